package config

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// hidden stands where a value isn't shown because it may be a password.
const hidden = "(not shown)"

// show is a value as an error names it.
func show(key string, raw any) string {
	switch v := raw.(type) {
	case string:
		// A URL may have been put where another key's value belongs.
		if v != "" && (secret(key) || strings.Contains(v, "://") && strings.Contains(v, "@")) {
			return Redact(v)
		}
		return fmt.Sprintf("%q", v)
	case []string:
		if secret(key) {
			return fmt.Sprint(redactAll(v))
		}
		return fmt.Sprintf("%q", v)
	case nil:
		return "(nothing)"
	}
	if secret(key) {
		return hidden
	}
	return fmt.Sprint(raw)
}

// Redact is an AMQP URL without its password. What can't be read as a URL,
// and so may hold one anywhere, isn't shown at all.
func Redact(amqpURL string) string {
	u, err := url.Parse(amqpURL)
	if err != nil || !isBroker(amqpURL) {
		return hidden
	}
	return u.Redacted()
}

func redactAll(urls []string) []string {
	out := slices.Clone(urls)
	for i, u := range out {
		out[i] = Redact(u)
	}
	return out
}

// YAML prints c as a file that Load would read, but for the passwords.
func (c Config) YAML() ([]byte, error) {
	if c.AMQP.URL != "" {
		c.AMQP.URL = Redact(c.AMQP.URL)
	}
	c.AMQP.URLs = redactAll(c.AMQP.URLs)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}
