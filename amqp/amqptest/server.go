// Package amqptest starts real RabbitMQ nodes for tests and demonstrations:
// each with its own name, ports and folder, killable and startable again.
package amqptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/internal/port"
)

// Options configures a Server. Zero is fine.
type Options struct {
	TLS    bool   // listen for amqps too; clients must show the certificate of Server.TLS
	Config string // more lines for rabbitmq.conf
}

// Server is one RabbitMQ node. Its user is guest with password guest. Not safe
// for concurrent use, but for URL and Ctl.
type Server struct {
	TLS TLS // set if asked for

	dir      string
	node     string // name@localhost
	bin      string // where RabbitMQ's scripts are
	env      []string
	port     port.Port
	tlsPort  port.Port
	distPort port.Port
	epmd     *epmd
	ownEpmd  bool // else it is the cluster's

	broker *process // nil while stopped
}

// TLS names the files a client needs for TLSURL.
type TLS struct {
	CAFile, CertFile, KeyFile string
	ServerName                string // the only name in the server's certificate
}

// scripts is where Debian keeps the scripts that don't insist on being run
// as RabbitMQ's own user.
const scripts = "/usr/lib/rabbitmq/bin"

// Start runs a new node in a folder of its own below dir, or below the
// system's temporary folder if dir is "". It returns once AMQP answers, and
// needs some 5 to 10 s. Close ends it.
func Start(ctx context.Context, dir string, o Options) (*Server, error) {
	s, err := newServer(dir)
	if err != nil {
		return nil, err
	}
	s.ownEpmd = true
	if s.epmd, err = startEpmd(s.dir); err == nil {
		if err = s.setUp(o); err == nil {
			err = s.Start(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// newServer makes the node's folder, which names it.
func newServer(dir string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(dir, "rabbitmq-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for RabbitMQ: %w", err)
	}
	return &Server{dir: home, bin: bin, node: filepath.Base(home) + "@localhost"}, nil
}

// find says in one line what to install if something is missing.
func find() (bin string, err error) {
	const install = "install RabbitMQ and Erlang (Debian: apt-get install rabbitmq-server)"
	if _, err := exec.LookPath("epmd"); err != nil {
		return "", fmt.Errorf("epmd not found: %s", install)
	}
	if _, err := os.Stat(filepath.Join(scripts, "rabbitmq-server")); err == nil {
		return scripts, nil
	}
	path, err := exec.LookPath("rabbitmq-server")
	if err != nil {
		return "", fmt.Errorf("rabbitmq-server not found: %s", install)
	}
	return filepath.Dir(path), nil
}

// setUp takes ports and writes what configures the node.
func (s *Server) setUp(o Options) error {
	for _, p := range []*port.Port{&s.port, &s.tlsPort, &s.distPort} {
		var err error
		if *p, err = port.Reserve(); err != nil {
			return err
		}
	}
	if o.TLS {
		var err error
		if s.TLS, err = writeCertificates(s.dir); err != nil {
			return err
		}
	}
	files := map[string]string{
		".erlang.cookie":  "WARRENTEST" + strconv.Itoa(os.Getpid()),
		"enabled_plugins": "[].\n",
		"rabbitmq.conf":   s.config(o),
		"env.conf":        "", // else the system's would be read
	}
	for name, text := range files {
		if err := os.WriteFile(s.path(name), []byte(text), 0o400); err != nil {
			return fmt.Errorf("configuring RabbitMQ: %w", err)
		}
	}
	s.env = s.environment()
	return nil
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) config(o Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listeners.tcp.1 = 127.0.0.1:%v\n", s.port)
	// A full disk of the machine is no concern of a test.
	b.WriteString("disk_free_limit.absolute = 1MB\nlog.file.level = info\n")
	if o.TLS {
		fmt.Fprintf(&b, "listeners.ssl.1 = 127.0.0.1:%v\n", s.tlsPort)
		fmt.Fprintf(&b, "ssl_options.cacertfile = %s\n", s.TLS.CAFile)
		fmt.Fprintf(&b, "ssl_options.certfile = %s\n", s.path("server.pem"))
		fmt.Fprintf(&b, "ssl_options.keyfile = %s\n", s.path("server.key"))
		b.WriteString("ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n")
	}
	return b.String() + o.Config
}

func (s *Server) environment() []string {
	return append(s.epmd.environment(),
		"HOME="+s.dir,
		"RABBITMQ_NODENAME="+s.node,
		"RABBITMQ_DIST_PORT="+s.distPort.String(),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"RABBITMQ_MNESIA_BASE="+s.path("data"),
		"RABBITMQ_LOG_BASE="+s.path("log"),
		"RABBITMQ_LOGS="+s.path("rabbitmq.log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+s.path("enabled_plugins"),
		"RABBITMQ_CONFIG_FILE="+s.path("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+s.path("advanced.config"),
		"RABBITMQ_CONF_ENV_FILE="+s.path("env.conf"),
		"RABBITMQ_PID_FILE="+s.path("pid"),
		// Makes the script become the Erlang machine instead of its parent,
		// so that a signal to our child, or our death, reaches it.
		"RUNNING_UNDER_SYSTEMD=true",
	)
}

// Start runs a stopped or killed node again, with the data it left, and
// returns once AMQP answers.
func (s *Server) Start(ctx context.Context) error {
	if s.broker != nil {
		return errors.New("RabbitMQ is running")
	}
	var err error
	if s.broker, err = spawn(s.path("out.log"), s.env, filepath.Join(s.bin, "rabbitmq-server")); err != nil {
		return err
	}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, dialErr := amqp091.Dial(s.URL())
		if dialErr == nil {
			return conn.Close()
		}
		select {
		case <-poll.C:
		case <-s.broker.Done():
			s.Kill() // what is left of its group
			return fmt.Errorf("RabbitMQ ended while starting; the end of its output:\n%s", s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("waiting for RabbitMQ to answer (last: %v): %w; the end of its output:\n%s", dialErr, ctx.Err(), s.logTail())
		}
	}
}

func (s *Server) logTail() string {
	var all []byte
	for _, name := range []string{"out.log", "rabbitmq.log"} {
		b, _ := os.ReadFile(s.path(name))
		all = append(all, b[max(0, len(b)-2000):]...)
	}
	return string(all)
}

// Log is what the node has logged.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.path("rabbitmq.log"))
	return string(b)
}

// Addr is where it listens for amqp, "127.0.0.1:port"; the same after a restart.
func (s *Server) Addr() string { return s.port.Addr() }

// URL is for amqp, with user and password.
func (s *Server) URL() string { return s.URLFor("guest", "guest", "/") }

// URLFor is URL with another user, password and vhost.
func (s *Server) URLFor(user, password, vhost string) string {
	return fmt.Sprintf("amqp://%s@%s/%s", url.UserPassword(user, password), s.Addr(), url.PathEscape(vhost))
}

// TLSURL is for amqps.
func (s *Server) TLSURL() string {
	return "amqps://guest:guest@" + s.tlsPort.Addr() + "/"
}

// Ctl runs rabbitmqctl, which takes seconds, and returns what it printed.
func (s *Server) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "rabbitmqctl"), append([]string{"--node", s.node, "--quiet"}, args...)...)
	cmd.Env, cmd.Dir = s.env, s.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("rabbitmqctl %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

// Sync has the node write to disk what was declared, and which Raft servers it
// runs, the one that keeps track of streams among them. By itself it does that
// within seconds; a node killed before that may have a stream that is neither
// there nor to be made anew.
func (s *Server) Sync(ctx context.Context) error {
	_, err := s.Ctl(ctx, "eval",
		// RabbitMQ 4 may keep what was declared without Mnesia.
		"case mnesia:system_info(is_running) of yes -> ok = mnesia:sync_log(); no -> ok end, [ok = dets:sync(T) || T <- dets:all()], ok.")
	return err
}

// Freeze stops the node's processes where they are (SIGSTOP).
func (s *Server) Freeze() error { return s.broker.signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *Server) Thaw() error { return s.broker.signal(syscall.SIGCONT) }

// Kill ends the node at once (SIGKILL). Start runs it again.
func (s *Server) Kill() error {
	if s.broker == nil {
		return nil
	}
	err := s.broker.kill()
	s.broker = nil
	return err
}

// stopTimeout is how long an orderly stop may take.
const stopTimeout = 30 * time.Second

// Stop ends the node in order (SIGTERM). Start runs it again.
func (s *Server) Stop() error {
	if s.broker == nil {
		return nil
	}
	if err := s.broker.terminate(); err != nil {
		return err
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.broker.Done():
		return s.Kill() // of its group there may be something left
	case <-timer.C:
		return errors.Join(fmt.Errorf("RabbitMQ did not stop in %v", stopTimeout), s.Kill())
	}
}

// Close kills the node and removes its folder. It can be called twice.
func (s *Server) Close() error {
	err := s.Kill()
	if s.ownEpmd && s.epmd != nil {
		err = errors.Join(err, s.epmd.close())
		s.epmd = nil
	}
	for _, p := range []*port.Port{&s.port, &s.tlsPort, &s.distPort} {
		p.Release()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
