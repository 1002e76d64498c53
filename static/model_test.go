package static_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// model is a gateway with a history that never ends, whose connections are cut
// after a random number of steps, at any of them, for as long as it is harsh.
type model struct {
	t       *testing.T
	running handlers // and goroutines of connections

	mu      sync.Mutex
	random  *rand.Rand
	log     []frame             // messages; their id is their place in here, from 1 on
	used    map[string]string   // mids by session and id
	kept    map[string]struct{} // sessions that came
	changed chan struct{}       // closed with the next message
	harsh   bool
	conns   int
	done    chan struct{}
}

func newModel(t *testing.T) *model {
	return &model{
		t: t, random: rand.New(rand.NewPCG(1, 2)), used: map[string]string{}, kept: map[string]struct{}{},
		changed: make(chan struct{}), harsh: true, done: make(chan struct{}),
	}
}

// stop ends all connections.
func (m *model) stop() {
	close(m.done)
	m.running.stop()
}

func (m *model) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.harsh = false
}

func (m *model) appendLocked(channel string, data any) string {
	n := len(m.log) + 1
	mid := fmt.Sprint("m", n)
	m.log = append(m.log, frame{"type": "message", "channel": channel, "id": fmt.Sprintf("%d-00000001", n), "mid": mid, "at": 1, "data": data})
	close(m.changed)
	m.changed = make(chan struct{})
	return mid
}

// session is one connection to the model.
type session struct {
	*model
	conn    *websocket.Conn
	name    string
	steps   int            // left until the cut
	cursors map[string]int // by channel: places in the log that are behind it
	order   []string
	owed    []frame
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !m.running.enter() {
		return
	}
	defer m.running.Done()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"warren.v1.json"}, CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true,
	})
	if err != nil {
		return // the client has left already
	}
	conn.SetReadLimit(-1)
	tcp := r.Context().Value(tcpKey{}).(*net.TCPConn)
	m.mu.Lock()
	m.conns++
	m.kept[r.URL.Query().Get("session")] = struct{}{}
	m.appendLocked("b", "by a program")
	s := &session{model: m, conn: conn, name: r.URL.Query().Get("session"), steps: m.random.IntN(60), cursors: map[string]int{},
		owed: []frame{{"type": "welcome", "connection": "c", "node": "n"}}}
	end := []websocket.CloseError{{}, {}, {Code: 1001}, {Code: 1011}, {Code: 1012}, {Code: 1012, Reason: move}}[m.random.IntN(6)]
	m.mu.Unlock()

	ctx, cancel := context.WithCancel(context.Background())
	incoming := make(chan frame)
	m.running.Go(func() {
		defer close(incoming)
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return
			}
			var f frame
			if err := json.Unmarshal(text, &f); err != nil {
				m.t.Errorf("the client sends %q: %v", text, err)
			}
			select {
			case incoming <- f:
			case <-ctx.Done():
				return
			}
		}
	})
	s.run(ctx, incoming)
	if end.Code == 0 {
		_ = tcp.SetLinger(0)
		tcp.Close()
	} else {
		m.running.Go(func() { _ = conn.Close(end.Code, end.Reason) })
	}
	cancel()
}

// run serves until the steps are used up or the client leaves.
func (s *session) run(ctx context.Context, incoming <-chan frame) {
	for {
		s.mu.Lock()
		out, changed, over := s.nextLocked(), s.changed, s.harsh && s.steps < 0
		s.steps--
		s.mu.Unlock()
		if over {
			return
		}
		if out != nil {
			text, err := json.Marshal(out)
			if err != nil || s.conn.Write(ctx, websocket.MessageText, text) != nil {
				return
			}
			select {
			case f, ok := <-incoming:
				if !ok {
					return
				}
				s.take(f)
			default:
			}
			continue
		}
		select {
		case f, ok := <-incoming:
			if !ok {
				return
			}
			s.take(f)
		case <-changed:
		case <-s.done:
			return
		}
	}
}

// nextLocked is what goes out next, if there is anything.
func (s *session) nextLocked() frame {
	if len(s.owed) > 0 {
		f := s.owed[0]
		s.owed = s.owed[1:]
		return f
	}
	for _, channel := range s.order {
		for s.cursors[channel] < len(s.log) {
			m := s.log[s.cursors[channel]]
			s.cursors[channel]++
			if channel == "" {
				root := frame{"root": true}
				for k, v := range m {
					root[k] = v
				}
				return root
			}
			if m["channel"] == channel {
				return m
			}
		}
	}
	return nil
}

func (s *session) take(f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	channel, _ := f["channel"].(string)
	switch f["type"] {
	case "subscribe":
		at := 0
		if _, err := fmt.Sscanf(f["since"].(string), "%d-00000001", &at); err != nil {
			s.t.Errorf("since %v: %v", f["since"], err)
		}
		s.owed = append(s.owed, frame{"type": "subscribed", "channel": channel, "ref": f["ref"], "id": f["since"]})
		s.order = append(s.order, channel)
		// Some are given again what they have.
		s.cursors[channel] = max(0, at-s.random.IntN(4))
	case "publish":
		name := s.name + " " + f["id"].(string)
		mid, again := s.used[name]
		if !again {
			mid = s.appendLocked(channel, f["data"])
			s.used[name] = mid
		}
		s.owed = append(s.owed, frame{"type": "ack", "ref": f["ref"], "mid": mid})
		if s.random.IntN(4) == 0 {
			s.owed = append(s.owed, frame{"type": "news"})
		}
	default:
		s.t.Errorf("the client sends %v", f)
	}
}
