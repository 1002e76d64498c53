package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"warren/internal/child"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// debianPython is the one that Debian's packages are for.
const debianPython = "/usr/bin/python3"

// The programs of docs/clients.md do what it says.
func TestClientsDoc(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	rigtest.Check(t, err)
	programs := map[string][]string{} // by language
	for _, block := range regexp.MustCompile("(?s)```(python|go)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		programs[block[1]] = append(programs[block[1]], block[2])
	}
	if len(programs["python"]) != 2 || len(programs["go"]) != 1 {
		t.Fatalf("%d programs in Python and %d in Go: which are they?", len(programs["python"]), len(programs["go"]))
	}
	b := rigtest.Broker(t)
	n, exchange := rigtest.ReadyNode(t, "doc", b.URL(), ""), rigtest.Exchange(t)

	t.Run("listener in Python", func(t *testing.T) {
		out := runProgram(t, debianPython, write(t, "listen.py", programs["python"][0]), "ws://"+n.Addr()+"/ws")
		c := speakJSON(t, n, "/ws")
		rigtest.Await(t, func() error {
			c.say("publish", map[string]any{"channel": "orders", "data": map[string]int{"order": 4711}})
			if !strings.Contains(out.String(), "{'order': 4711}\n") {
				return fmt.Errorf("it printed %q", out)
			}
			return nil
		})
	})
	for _, p := range []struct {
		name, says string
		command    []string
	}{
		{"answers in Go", "by Go", []string{"go", "run", write(t, "main.go", programs["go"][0])}},
		{"answers in Python", "by Python", []string{debianPython, write(t, "answer.py", programs["python"][1])}},
	} {
		t.Run(p.name, func(t *testing.T) {
			out := runProgram(t, append(p.command, b.URL(), exchange)...)
			c := speakJSON(t, n, "/ws")
			frames, asked := map[string]string{}, 0 // of the answers, by id
			rigtest.Await(t, func() error {
				asked++
				c.say("publish", map[string]any{"channel": "questions", "text": "?", "ref": asked})
				c.say("ping", nil)
				acked := false
				for pong := false; !pong || !acked; {
					switch f := c.next("ack", "direct", "pong"); f.Type {
					case "direct":
						frames[f.ID] = string(f.Data)
					case "ack":
						acked = true
						if f.MID == "" || f.Ref != asked {
							return rig.Never(fmt.Errorf("ack %+v", f))
						}
					default:
						pong = true
					}
				}
				if len(frames) == 0 {
					return fmt.Errorf("no answer; it printed %q", out)
				}
				return nil
			})
			for id, data := range frames {
				if data != `{"answer": "`+p.says+`"}` || id == "" {
					t.Errorf("the answer to %q is %s", id, data)
				}
			}
		})
	}
}

// runProgram runs a program until the test ends, and returns what it prints.
func runProgram(t *testing.T, command ...string) *rig.Log {
	t.Helper()
	out := &rig.Log{}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "../.." // where go.mod is
	cmd.Stdout, cmd.Stderr = out, out
	p, err := child.Start(cmd)
	rigtest.Check(t, err)
	t.Cleanup(func() { rigtest.Check(t, p.Stop(syscall.SIGKILL, rigtest.Patience)) })
	return out
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	rigtest.Check(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
