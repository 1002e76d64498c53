package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// keys are the dotted names of all settings, in the order of Config.
// They are read off its yaml tags once.
var keys, fieldOf = func() ([]string, map[string][]int) {
	var names []string
	index := map[string][]int{}
	var walk func(t reflect.Type, prefix string, at []int)
	walk = func(t reflect.Type, prefix string, at []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			key, here := prefix+f.Tag.Get("yaml"), append(slices.Clone(at), i)
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, key+".", here)
				continue
			}
			names = append(names, key)
			index[key] = here
		}
	}
	walk(reflect.TypeFor[Config](), "", nil)
	return names, index
}()

// secret says that a key's value may hold a password.
func secret(key string) bool { return key == "amqp.url" || key == "amqp.urls" }

// Keys are all keys, as dotted names.
func Keys() []string { return slices.Clone(keys) }

// EnvName is the environment variable of a key: WARREN_AMQP_URL for amqp.url.
func EnvName(key string) string {
	return "WARREN_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// FlagName is the flag of a key, if the command has it: amqp-url for amqp.url.
func FlagName(key string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(key)
}

// sectionKeys are the names right below a section; "" is the whole file.
func sectionKeys(section string) []string {
	var names []string
	for _, key := range keys {
		rest, below := key, section == ""
		if !below {
			rest, below = strings.CutPrefix(key, section+".")
		}
		name, _, _ := strings.Cut(rest, ".")
		if below && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// field is the setting itself.
func (c *Config) field(key string) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(fieldOf[key])
}

// kindOf says what a key takes, in words for an error.
func kindOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration with its unit, such as 500ms, 25s or 1h30m"
	case reflect.TypeFor[Size]():
		return "a size: a whole number with B, KB, MB, GB, KiB, MiB or GiB, such as 64KiB"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return `a list of texts, such as ["a", "b"]`
	default:
		return "text; put it in quotes"
	}
}
