package haproxy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"warren/haproxy"
	"warren/haproxy/haproxytest"
)

// HAProxy takes each file without a word: as it is but for the certificate,
// with every variable set, and with what stands in comments.
func TestConfigIsValid(t *testing.T) {
	t.Parallel()
	certificate := filepath.Join(t.TempDir(), "cert.pem")
	haproxytest.WriteCertificate(t, certificate)
	cert := haproxy.EnvCert + "=" + certificate
	everything := []string{
		cert, "HAPROXY_BIND=10.0.0.9:443,[2001:db8::9]:443", "HAPROXY_BIND_HTTP=10.0.0.9:80,[2001:db8::9]:80",
		"HAPROXY_NODE1=10.0.0.1:3000", "HAPROXY_NODE2=[2001:db8::2]:3000", "HAPROXY_AGENT1=3009", "HAPROXY_AGENT2=3009",
		"HAPROXY_MAXCONN=200000", "HAPROXY_CONNS=7", "HAPROXY_CONN_RATE=8", "HAPROXY_TUNNELS=9", "HAPROXY_HSTS=31536000",
		"HAPROXY_METRICS=10.0.0.9:8405", "HAPROXY_SOCKET=/tmp/admin.sock", "HAPROXY_LOGASAP=1", "HAPROXY_ROOTLESS=1",
	}
	named := regexp.MustCompile(`\$\{(\w+)`)
	known := strings.Join(everything, "\n")
	for name, content := range map[string][]byte{"haproxy.cfg": haproxy.Config, "tutorial.cfg": haproxy.Tutorial, "tcp.cfg": haproxy.TCP} {
		for _, m := range named.FindAllSubmatch(content, -1) {
			if !strings.Contains(known, string(m[1])+"=") {
				t.Errorf("%s has a variable that isn't tested: %s", name, m[1])
			}
		}
		for variant, v := range map[string]struct {
			text string
			env  []string
		}{
			"defaults":         {string(content), []string{cert}},
			"environment":      {string(content), everything},
			"source addresses": {withSources(string(content)), []string{cert}},
			"WebSockets apart": {withSocketsApart(string(content)), []string{cert}},
		} {
			t.Run(name+"/"+variant, func(t *testing.T) {
				check(t, v.text, v.env)
			})
		}
	}
}

// check has HAProxy judge a configuration: an error, a warning and a notice
// of its diagnostic mode all fail the test.
func check(t *testing.T, text string, env []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("haproxy", "-c", "-dW", "-dD", "-f", file)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	if said := strings.TrimSpace(string(out)); said != "Configuration file is valid" && said != "" {
		t.Errorf("haproxy -c says:\n%s", said)
	}
}

var moreSources = regexp.MustCompile(`(?m)^    # (server node[12]b .*)$`)

// withSources takes the servers with source addresses of their own out of their
// comment.
func withSources(text string) string { return moreSources.ReplaceAllString(text, "    $1") }
