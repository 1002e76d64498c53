package config_test

import (
	"testing"

	"warren/config"
)

func TestRedact(t *testing.T) {
	tests := []struct{ in, want string }{
		{"amqp://h", "amqp://h"},
		{"amqp://u:s3cret@h:5672/v", "amqp://u:xxxxx@h:5672/v"},
		{"amqps://u:s3cr%40et@[::1]:5671/%2f?heartbeat=5", "amqps://u:xxxxx@[::1]:5671/%2f?heartbeat=5"},
		{"amqp://u:s3cret@h:5672/v/w", "amqp://u:xxxxx@h:5672/v/w"},
		{"amqp://u:s3cret@h_1.example", "amqp://u:xxxxx@h_1.example"},
		{"amqp://u:s3cret@h:567x", "(not shown)"},
		{"amqp://u:s3cr@et@h", "amqp://u:xxxxx@h"},
		{"amqp://u:s3cret%@h", "(not shown)"},
		{"amqp:u:s3cret@h", "(not shown)"},
		{"amqp://u:s3/cret@h", "(not shown)"},
		{"amqp://u:s3?cret@h", "(not shown)"},
		{"amqp://u:s3#cret@h", "(not shown)"},
		{"amqp://a,amqp://u:s3cret@b", "(not shown)"},
		{"http://u:s3cret@h", "(not shown)"},
		{"s3cret", "(not shown)"},
		{"", "(not shown)"},
	}
	for _, tt := range tests {
		if got := config.Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
