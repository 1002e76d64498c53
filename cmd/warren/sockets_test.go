package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// named is a duplicate of a socket or file under that name, as the service
// manager passes them.
func named(t *testing.T, socket syscall.Conn, name string) *os.File {
	t.Helper()
	raw, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if e := raw.Control(func(own uintptr) { fd, err = syscall.Dup(int(own)) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { f.Close() })
	return f
}

func listenTCP(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// One that listens on TCP is taken by its name; one without is the gateway's.
func TestSocketNames(t *testing.T) {
	for name, want := range map[string]string{
		"warren": "warren", "admin": "admin", "agent": "agent",
		"LISTEN_FD_3": "warren", "unknown": "warren", "warren.socket": "warren", "front.socket": "warren",
	} {
		t.Run(name, func(t *testing.T) {
			l, s := listenTCP(t), sockets{}
			if err := s.add(named(t, l, name)); err != nil {
				t.Fatal(err)
			}
			defer s.close()
			got := s.take(want)
			if got == nil || got.Addr().String() != l.Addr().String() {
				t.Fatalf("took %v", got)
			}
			got.Close()
			if s.take(want) != nil {
				t.Error("taken twice")
			}
		})
	}
}

func TestSocketsRefused(t *testing.T) {
	datagram, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@" + t.Name() + strconv.Itoa(os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	tcp := listenTCP(t)
	connected, err := net.DialTCP("tcp", nil, tcp.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tests := []struct {
		name   string
		files  []*os.File
		reason string
	}{
		{"unknown name", []*os.File{named(t, tcp, "public")}, `"public": unknown name; FileDescriptorName= must be warren, admin or agent`},
		{"twice", []*os.File{named(t, tcp, "admin"), named(t, tcp, "admin")}, `"admin": more than one has this name, or none`},
		{"two without name", []*os.File{named(t, tcp, "a.socket"), named(t, tcp, "b.socket")}, `"warren": more than one has this name, or none`},
		{"datagrams", []*os.File{named(t, datagram, "warren")}, `"warren": must be a TCP socket: ListenStream= with a port`},
		{"Unix", []*os.File{named(t, unix, "warren")}, `"warren": must be a TCP socket: ListenStream= with a port`},
		{"a connection", []*os.File{named(t, connected, "agent")}, `"agent": does not listen: Accept= must be no`},
		{"no socket", []*os.File{named(t, file, "warren")}, " is no socket: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sockets{}
			defer s.close()
			var err error
			for _, f := range tt.files {
				err = s.add(f)
			}
			if err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error %v, want %q", err, tt.reason)
			}
		})
	}
}

// What is meant for another process is left alone, and told to nobody.
func TestSocketsOfAnother(t *testing.T) {
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getppid()))
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "warren")
	if s, err := takeSockets(); err != nil || len(s) > 0 {
		t.Errorf("took %v, %v", s, err)
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if value, there := os.LookupEnv(name); there {
			t.Errorf("%s is still set, to %q", name, value)
		}
	}
}

// passing is a shell's command that runs a program as the one that the files
// passed to it are for.
const passing = `LISTEN_PID=$$ exec "$0" "$@"`

// passes tells of files, by name, to processes that are started with them.
func passes(t *testing.T, names ...string) {
	t.Helper()
	t.Setenv("LISTEN_FDS", strconv.Itoa(len(names)))
	t.Setenv("LISTEN_FDNAMES", strings.Join(names, ":"))
}

// Passed sockets are served in place of the configured addresses.
func TestServesPassedSockets(t *testing.T) {
	drains(t, 0, 0, 2*forever)
	public, adm, agent := listenTCP(t), listenTCP(t), listenTCP(t)
	passes(t, "agent", "warren", "admin")
	files := []*os.File{named(t, agent, ""), named(t, public, ""), named(t, adm, "")}
	taken := listenTCP(t).Addr().String() // not even tried
	cmd, lines, addr := processWith(t, files, "sh", "-c", passing, binary, "--listen", taken, "--admin-listen=")
	if addr != public.Addr().String() || adminURL(t, lines) != "http://"+adm.Addr().String()+"/" ||
		logged(t, lines, "agent check\" address=") != agent.Addr().String() {
		t.Errorf("the start's log:\n%s", strings.Join(lines, "\n"))
	}
	echoes(t, dial(t, addr, "/ws/room"))
	if code, body := get(t, adminURL(t, lines)+"readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if line := ask(t, agent.Addr().String()); !strings.HasPrefix(line, "ready up ") {
		t.Errorf("the agent says %q", line)
	}
	send(t, cmd, syscall.SIGTERM)
	endsWell(t, cmd)
	// Nobody accepts, but the ports are open.
	for _, l := range []*net.TCPListener{public, adm, agent} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Errorf("behind the process's end: %v", err)
			continue
		}
		conn.Close()
	}
}

// A socket that can't be used stops the start.
func TestBadPassedSocket(t *testing.T) {
	passes(t, "public")
	code, stderr := runPassing(t, named(t, listenTCP(t), ""))
	if want := "warren: sockets from the service manager: \"public\": unknown name; FileDescriptorName= must be warren, admin or agent\n"; code != 1 || stderr != want {
		t.Errorf("exit %d, stderr %q; want 1, %q", code, stderr, want)
	}
}

// runPassing runs the command with a file passed to it, to its end.
func runPassing(t *testing.T, f *os.File) (code int, stderr string) {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), "sh", "-c", passing, binary)
	cmd.Dir, cmd.ExtraFiles, cmd.Stderr = t.TempDir(), []*os.File{f}, &errs
	if err := cmd.Run(); err == nil {
		t.Error("it started")
	}
	return cmd.ProcessState.ExitCode(), errs.String()
}
