package config_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"warren/config"
)

const (
	shipped = "../config.yaml"
	guide   = "../docs/configuration.md"
)

// values are a configuration's values by dotted key, as YAML writes them.
func values(t *testing.T, text []byte) map[string]string {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	flat := map[string]string{}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for name, v := range m {
			if section, ok := v.(map[string]any); ok {
				walk(prefix+name+".", section)
				continue
			}
			out, err := yaml.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			flat[prefix+name] = strings.TrimSpace(string(out))
		}
	}
	walk("", doc)
	return flat
}

// The shipped file has every key and equals the defaults.
func TestShippedFile(t *testing.T) {
	l, err := config.Load(shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(l.Config, want) {
		t.Errorf("config.yaml and the defaults differ:\nfile    %+v\ndefault %+v", l.Config, want)
	}
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	given := values(t, text)
	for _, key := range config.Keys() {
		if _, ok := given[key]; !ok {
			t.Errorf("config.yaml lacks %s", key)
		}
	}
}

// Without a file there are the defaults, and they are allowed.
func TestDefaultsLoad(t *testing.T) {
	l, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(l.Config, want) || l.File != "" {
		t.Errorf("got  %+v\nwant %+v", l.Config, want)
	}
}

var row = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([^`]*)` \\| `(WARREN_[A-Z_]+)` \\|")

// printedAs is a value of the guide as YAML prints it: 5m as 5m0s, a list an
// entry a line.
func printedAs(value string) string {
	var list []string
	if err := yaml.Unmarshal([]byte(value), &list); err == nil && len(list) > 0 {
		return "- " + strings.Join(list, "\n- ")
	}
	if d, err := time.ParseDuration(value); err == nil && d != 0 {
		return d.String()
	}
	return value
}

// The guide's tables list every key, in order, with its default and variable.
func TestGuideListsEveryKey(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	printed, err := config.Default().YAML()
	if err != nil {
		t.Fatal(err)
	}
	defaults := values(t, printed)
	var listed []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, m[1])
		if printedAs(m[2]) != defaults[m[1]] {
			t.Errorf("%s: guide says default %s, it is %s", m[1], m[2], defaults[m[1]])
		}
		if m[3] != config.EnvName(m[1]) {
			t.Errorf("%s: guide says variable %s, it is %s", m[1], m[3], config.EnvName(m[1]))
		}
	}
	if !slices.Equal(listed, config.Keys()) {
		t.Errorf("guide lists\n%q\nkeys are\n%q", listed, config.Keys())
	}
}

// Keys must not meet in one variable or flag.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, key := range config.Keys() {
		for _, name := range []string{config.EnvName(key), config.FlagName(key)} {
			if other := seen[name]; other != "" {
				t.Errorf("%s and %s share %s", key, other, name)
			}
			seen[name] = key
		}
	}
}

// What is printed loads again as the same, without passwords.
func TestPrintedConfiguration(t *testing.T) {
	l := load(t, `
listen: "[::1]:80"
websocket: {ping_interval: 90s, origins: ["https://a.example"], max_deliver_size: 100KB}
amqp: {urls: ["amqps://u:s3cret@a:5671/v", "amqp://b"], tls: {server_name: rabbit}}
`)
	text, err := l.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "s3cret") {
		t.Errorf("password in\n%s", text)
	}
	want := l.Config
	want.AMQP.URLs = []string{"amqps://u:xxxxx@a:5671/v", "amqp://b"}
	if again := load(t, string(text)); !reflect.DeepEqual(again.Config, want) {
		t.Errorf("got  %+v\nwant %+v\nfrom\n%s", again.Config, want, text)
	}
	if l.AMQP.URLs[0] != "amqps://u:s3cret@a:5671/v" {
		t.Error("printing changed the configuration")
	}
}
