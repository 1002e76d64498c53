package haproxytest

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Node is a gateway as HAProxy sees it.
type Node struct {
	Name     string // of the server in the configuration
	Up       bool   // gets new clients
	Check    string // the last check's result, such as L7OK; empty before the first
	Sessions int    // connections it holds now
	Total    int    // sessions it was given so far
}

// checked says that a check has ended. Until then HAProxy holds every server
// to be up. "* " marks one that runs again.
func (n Node) checked() bool { return n.Check != "" && !strings.HasPrefix(n.Check, "INI") }

func (p *Proxy) socket() string { return filepath.Join(p.dir, "stats.sock") }

// Nodes asks HAProxy about the servers of backend websocket_servers, in the
// configuration's order.
func (p *Proxy) Nodes() ([]Node, error) {
	answer, err := p.Command("show stat websocket_servers 4 -1") // 4: servers only
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	if err != nil || len(rows) < 3 {
		return nil, fmt.Errorf("reading HAProxy's statistics %q: %w", answer, err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var nodes []Node
	for _, row := range rows[1:] {
		sessions, _ := strconv.Atoi(row[column["scur"]])
		total, _ := strconv.Atoi(row[column["stot"]])
		nodes = append(nodes, Node{
			Name:     row[column["svname"]],
			Up:       strings.HasPrefix(row[column["status"]], "UP"),
			Check:    strings.TrimPrefix(row[column["check_status"]], "* "),
			Sessions: sessions,
			Total:    total,
		})
	}
	return nodes, nil
}

// Command sends one command to HAProxy's runtime API and returns its answer.
func (p *Proxy) Command(command string) (string, error) {
	const limit = 5 * time.Second
	conn, err := net.DialTimeout("unix", p.socket(), limit)
	if err != nil {
		return "", fmt.Errorf("asking HAProxy to %s: %w", command, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", fmt.Errorf("asking HAProxy to %s: %w", command, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("asking HAProxy to %s: %w", command, err)
	}
	return string(answer), nil
}
