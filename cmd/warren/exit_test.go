package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runBinary runs the built command in an empty directory to its end.
func runBinary(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// A wrong command line ends with 2, every other error with 1, each with one
// line on stderr.
func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("listen: \":3000\"\nclients:\n  max: lots\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "stream.yaml")
	if err := os.WriteFile(alone, []byte("amqp: {delivery: stream}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	shipped, err := filepath.Abs("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name string
		args []string
		code int
		line string // on stderr, after "warren: "
	}{
		{"version", []string{"version"}, 0, ""},
		{"version flag", []string{"--version"}, 0, ""},
		{"help", []string{"--help"}, 0, ""},
		{"check of defaults", []string{"config", "check"}, 0, ""},
		{"check of the shipped file", []string{"config", "check", shipped}, 0, ""},
		{"unknown flag", []string{"--bogus"}, 2, "unknown flag: --bogus (see warren --help)"},
		{"flag without value", []string{"--listen"}, 2, "flag needs an argument: --listen (see warren --help)"},
		{"unknown command", []string{"serve"}, 2, `unknown command or argument "serve" for warren (see warren --help)`},
		{"argument to version", []string{"version", "1"}, 2, `unknown command or argument "1" for warren version (see warren --help)`},
		{"config alone", []string{"config"}, 2, "unknown command: warren config has check only (see warren --help)"},
		{"two files", []string{"config", "check", "a", "b"}, 2, "config check takes one file (see warren --help)"},
		{"two ways", []string{"config", "check", "a", "--config=b"}, 2,
			"configuration file given twice, by --config and as an argument (see warren --help)"},
		{"empty --config", []string{"--config="}, 2, "--config needs the name of a file (see warren --help)"},
		{"missing file", []string{"--config=none.yaml"}, 1, "read configuration: open none.yaml: no such file or directory"},
		{"bad file", []string{"--config", bad}, 1, bad + `:3: clients.max: "lots": must be a whole number`},
		{"bad file, checked", []string{"config", "check", bad}, 1, bad + `:3: clients.max: "lots": must be a whole number`},
		{"stream without broker", []string{"--config", alone}, 1, alone + `:1: amqp.delivery: "stream": must be queue, or ` +
			"amqp.url or amqp.urls be set too: the stream is kept by RabbitMQ"},
		{"stream with broker, checked", []string{"config", "check", alone, "--amqp-url=amqp://h"}, 0, ""},
		{"bad flag value", []string{"--log-level=loud"}, 1,
			`--log-level: log.level: "loud": must be debug, info, warn or error`},
		{"bad URL", []string{"--amqp-url=amqp://u:s3cret@h:x"}, 1, "--amqp-url: amqp.url: (not shown): must be " +
			"amqp://user:password@host:port/vhost or amqps://, with special characters percent-encoded; several go into amqp.urls"},
		{"address in use", []string{"--listen", taken.Addr().String()}, 1, `--listen: listen: "` + taken.Addr().String() +
			`": must be a free address: it is in use; stop who listens there, or set another one here, in WARREN_LISTEN or with --listen`},
		{"admin address in use", []string{"--listen=127.0.0.1:0", "--admin-listen", taken.Addr().String()}, 1,
			`--admin-listen: admin.listen: "` + taken.Addr().String() + `": must be a free address: it is in use; stop who listens ` +
				`there, or set another one here, in WARREN_ADMIN_LISTEN or with --admin-listen`},
		{"admin address of another machine", []string{"--listen=127.0.0.1:0", "--admin-listen", "192.0.2.1:0"}, 1,
			`--admin-listen: admin.listen: "192.0.2.1:0": must be an address of this machine, or :port for all of them`},
		{"address of another machine", []string{"--listen", "192.0.2.1:0"}, 1,
			`--listen: listen: "192.0.2.1:0": must be an address of this machine, or :port for all of them`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runBinary(t, tt.args...)
			want := ""
			if tt.line != "" {
				want = "warren: " + tt.line + "\n"
			}
			if code != tt.code || stderr != want {
				t.Errorf("exit %d, stderr %q; want %d, %q", code, stderr, tt.code, want)
			}
			if (stdout == "") == (code == 0) {
				t.Errorf("exit %d with stdout %q", code, stdout)
			}
		})
	}
}

// The agent's address has no flag.
func TestAgentAddressInUse(t *testing.T) {
	taken := listenTCP(t).Addr().String()
	t.Setenv("WARREN_HAPROXY_AGENT_LISTEN", taken)
	code, _, stderr := runBinary(t, "--listen=127.0.0.1:0", "--admin-listen=")
	want := `warren: WARREN_HAPROXY_AGENT_LISTEN: haproxy.agent_listen: "` + taken + `": must be a free address: it is in use; ` +
		"stop who listens there, or set another one here or in WARREN_HAPROXY_AGENT_LISTEN\n"
	if code != 1 || stderr != want {
		t.Errorf("exit %d, stderr %q; want 1, %q", code, stderr, want)
	}
}

func TestConfigCheckHidesPasswords(t *testing.T) {
	t.Setenv("WARREN_AMQP_URL", "amqp://u:s3cret@h/v")
	code, stdout, stderr := runBinary(t, "config", "check", "--log-level=debug")
	if code != 0 || strings.Contains(stdout+stderr, "s3cret") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"# no configuration file\n", "url: amqp://u:xxxxx@h/v\n", "level: debug\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

func TestConfigCheckReadsCertificates(t *testing.T) {
	pem := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(pem, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WARREN_AMQP_URL", "amqps://h")
	t.Setenv("WARREN_AMQP_TLS_CA", pem)
	code, _, stderr := runBinary(t, "config", "check")
	if code != 1 || !strings.Contains(stderr, pem) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, stderr %q; want 1 and a line that names the file", code, stderr)
	}
}
