package config_test

import (
	"testing"

	"warren/config"
)

func TestParseSize(t *testing.T) {
	tests := []struct {
		in   string
		want config.Size
		out  string
	}{
		{"0", 0, "0"},
		{"1", 1, "1B"},
		{"64KiB", 64 << 10, "64KiB"},
		{"65536", 64 << 10, "64KiB"},
		{"64kib", 64 << 10, "64KiB"},
		{" 64 KiB ", 64 << 10, "64KiB"},
		{"1000B", 1000, "1KB"},
		{"3MB", 3_000_000, "3MB"},
		{"2GB", 2_000_000_000, "2GB"},
		{"1024MiB", 1 << 30, "1GiB"},
		{"1025MiB", 1025 << 20, "1025MiB"},
		{"1001", 1001, "1001B"},
	}
	for _, tt := range tests {
		got, err := config.ParseSize(tt.in)
		if err != nil || got != tt.want || got.String() != tt.out {
			t.Errorf("ParseSize(%q) = %v (%d), %v; want %s (%d)", tt.in, got, int64(got), err, tt.out, int64(tt.want))
		}
		if again, err := config.ParseSize(got.String()); err != nil || again != got {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", got, int64(again), err, int64(got))
		}
	}
	for _, in := range []string{"", "KiB", "-1", "+1", "1.5MiB", "1 000", "1TB", "64K", "1e3", "9223372036854775808", "8589934592GiB", "1Ki B", "0x10"} {
		if got, err := config.ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %v, want an error", in, got)
		}
	}
}
