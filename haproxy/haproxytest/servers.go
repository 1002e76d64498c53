package haproxytest

import (
	"fmt"
	"strconv"
	"strings"
)

// Server is a node as the runtime API's "show servers state" has it, in
// HAProxy's numbers (management guide, 9.3).
type Server struct {
	Name          string
	OpState       int // 0: down, 1: starting slowly, 2: up, 3: up, about to stop
	AdminState    int // bits: 1 maintenance, 8 drain; others are inherited
	Weight        int // what it has now; an agent's percentage of
	InitialWeight int // what the configuration says
}

const forcedDrain = 8 // SRV_ADMF_FDRAIN

// Draining says that it gets no new clients, by word of its agent or of an
// administrator.
func (s Server) Draining() bool { return s.AdminState&forcedDrain != 0 }

// Up says that its checks, and its agent if there is one, hold it to be up.
func (s Server) Up() bool { return s.OpState != 0 }

// Servers asks HAProxy for the state of node 1 and 2.
func (p *Proxy) Servers() (servers [2]Server, err error) {
	answer, err := p.Command("show servers state websocket_servers")
	if err != nil {
		return servers, err
	}
	// A version, the columns' names behind a #, then one line a server.
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	if len(lines) != 2+len(servers) {
		return servers, fmt.Errorf("reading HAProxy's servers: %q", answer)
	}
	names := strings.Fields(strings.TrimPrefix(lines[1], "#"))
	for i := range servers {
		row := map[string]string{}
		for j, field := range strings.Fields(lines[2+i]) {
			if j < len(names) {
				row[names[j]] = field
			}
		}
		servers[i].Name = row["srv_name"]
		for name, to := range map[string]*int{
			"srv_op_state": &servers[i].OpState, "srv_admin_state": &servers[i].AdminState,
			"srv_uweight": &servers[i].Weight, "srv_iweight": &servers[i].InitialWeight,
		} {
			if *to, err = strconv.Atoi(row[name]); err != nil {
				return servers, fmt.Errorf("reading HAProxy's servers: %s in %q: %w", name, answer, err)
			}
		}
	}
	return servers, nil
}
