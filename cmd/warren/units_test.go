package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"

	"warren/config"
)

const units = "../../deploy/systemd/"

// readUnit is what a shipped unit sets, by "Section.Directive"; the last counts.
func readUnit(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(units + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options, err := unit.DeserializeOptions(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	set := map[string]string{}
	for _, o := range options {
		set[o.Section+"."+o.Name] = o.Value
	}
	return set
}

// The service waits for a drain, and says what this program relies on.
func TestServiceUnit(t *testing.T) {
	service := readUnit(t, "warren.service")
	stop, err := time.ParseDuration(service["Service.TimeoutStopSec"])
	if err != nil {
		t.Fatal(err)
	}
	if drain := config.Default().Drain.Timeout; stop < drain+endTime {
		t.Errorf("TimeoutStopSec=%v kills a node in its drain, which takes up to %v and %v", stop, drain, endTime)
	}
	for directive, want := range map[string]string{
		"Service.Type":       "notify",
		"Service.KillSignal": "SIGTERM", // SIGINT would skip the drain
		"Service.KillMode":   "mixed",
		"Service.Restart":    "always",
		"Service.ExecStart":  "/usr/local/bin/warren",
	} {
		if got := service[directive]; got != want {
			t.Errorf("%s=%s, want %s", directive, got, want)
		}
	}
	if watchdog, err := time.ParseDuration(service["Service.WatchdogSec"]); err != nil || watchdog < 10*time.Second {
		t.Errorf("WatchdogSec=%v, %v: a busy machine needs some seconds", watchdog, err)
	}
}

// The socket is the gateway's, and where the default configuration listens.
func TestSocketUnit(t *testing.T) {
	socket := readUnit(t, "warren.socket")
	if name := socket["Socket.FileDescriptorName"]; name != gatewaySocket {
		t.Errorf("FileDescriptorName=%s, want %s", name, gatewaySocket)
	}
	_, port, err := net.SplitHostPort(config.Default().Listen)
	if err != nil {
		t.Fatal(err)
	}
	if got := socket["Socket.ListenStream"]; got != port {
		t.Errorf("ListenStream=%s, and listen is %s by default", got, port)
	}
	if accept := socket["Socket.Accept"]; accept != "" && accept != "no" {
		t.Errorf("Accept=%s", accept)
	}
}

// HAProxy gets the descriptors that its configuration asks for.
func TestHAProxyLimits(t *testing.T) {
	text, err := os.ReadFile("../../haproxy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s*maxconn "\$\{HAPROXY_MAXCONN-(\d+)\}"`).FindSubmatch(text)
	if found == nil {
		t.Fatal("haproxy.cfg has no global maxconn")
	}
	most, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	limit := readUnit(t, "haproxy.service.d/limits.conf")["Service.LimitNOFILE"]
	if files, err := strconv.Atoi(limit); err != nil || files < 2*most+100 {
		t.Errorf("LimitNOFILE=%s, and maxconn %d takes twice that and some", limit, most)
	}
}

// Units are readable by all users of a machine.
func TestUnitsHoldNoSecrets(t *testing.T) {
	password := regexp.MustCompile(`amqps?://[^\s/]*@`)
	err := filepath.WalkDir(units, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if password.Match(text) {
			t.Errorf("%s has a password in it", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
