package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// searched are the files that are tried when none is named.
var searched = []string{"config.yaml", "/etc/warren/config.yaml"}

// Loaded is a configuration that was checked, and where it came from.
type Loaded struct {
	Config
	File    string // "" if there was none
	sources map[string]source
}

// level says how strong a source is; a higher one overrides.
type level int

const (
	fromDefault level = iota
	fromFile
	fromEnv
	fromFlag
)

// source is where a value was set.
type source struct {
	level level
	name  string // "config.yaml:12", "WARREN_LISTEN", "--listen"
}

// Find is the configuration file to read: the named one; that of
// WARREN_CONFIG; config.yaml in the working directory; that in /etc/warren;
// or "" if there is none.
func Find(named string) string {
	if named != "" {
		return named
	}
	if file := os.Getenv(FileVariable); file != "" {
		return file
	}
	for _, file := range searched {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return file
		}
	}
	return ""
}

// Load reads file (none if ""), the environment, and those flags that were set
// and have the FlagName of a key. flags may be nil. Errors are one line that
// names the place, the key, the value unless it may be a password, and what
// is allowed.
func Load(file string, flags *pflag.FlagSet) (*Loaded, error) {
	v := viper.New()
	lines := map[string]int{}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if lines, err = readLines(file, text); err != nil {
			return nil, err
		}
		v.SetConfigType("yaml")
		if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s: not YAML: %s", file, oneLine(err))
		}
	}
	if err := checkEnv(os.Environ()); err != nil {
		return nil, err
	}
	l := &Loaded{Config: Default(), File: file, sources: map[string]source{}}
	for _, key := range keys {
		if err := bind(v, key, flags); err != nil {
			return nil, fmt.Errorf("bind %s: %w", key, err)
		}
		raw := v.Get(key)
		if raw == nil {
			continue
		}
		src := sourceOf(key, file, lines[key], flags)
		l.sources[key] = src
		value, err := decode(l.field(key).Type(), raw, src.level == fromFile)
		if err != nil {
			return nil, l.reject(key, show(key, raw), kindOf(l.field(key).Type()))
		}
		l.field(key).Set(value)
	}
	l.settleBrokers()
	return l, l.check()
}

// bind tells viper of a key's variable and flag. An empty variable counts as
// unset, as people expect of "${AMQP_URL:-}" in a compose file.
func bind(v *viper.Viper, key string, flags *pflag.FlagSet) error {
	if flags != nil {
		// viper would take an unset flag's default for a value.
		if f := flags.Lookup(FlagName(key)); f != nil && f.Changed {
			if err := v.BindPFlag(key, f); err != nil {
				return err
			}
		}
	}
	return v.BindEnv(key, EnvName(key))
}

// sourceOf says which source viper took key from; it has a value.
func sourceOf(key, file string, line int, flags *pflag.FlagSet) source {
	if flags != nil {
		if f := flags.Lookup(FlagName(key)); f != nil && f.Changed {
			return source{fromFlag, "--" + f.Name}
		}
	}
	if os.Getenv(EnvName(key)) != "" {
		return source{fromEnv, EnvName(key)}
	}
	return source{fromFile, fmt.Sprintf("%s:%d", file, line)}
}

// settleBrokers lets a stronger source's amqp.url replace a weaker one's
// amqp.urls, and the other way round: who sets WARREN_AMQP_URL means it.
func (l *Loaded) settleBrokers() {
	one, many := l.sources["amqp.url"].level, l.sources["amqp.urls"].level
	if one > many && l.AMQP.URL != "" {
		l.AMQP.URLs = []string{}
	}
	if many > one && len(l.AMQP.URLs) > 0 {
		l.AMQP.URL = ""
	}
}

// Reject words an error for a value of key that turned out not to work after
// it had been loaded, such as an address in use: it must be what want says.
func (l *Loaded) Reject(key, want string) error {
	return l.reject(key, show(key, l.field(key).Interface()), want)
}

// reject names the place of key; for a default, only the key.
func (l *Loaded) reject(key, value, want string) error {
	place := l.sources[key].name
	if place == "" {
		place = "default"
	}
	return fmt.Errorf("%s: %s: %s: must be %s", place, key, value, want)
}
