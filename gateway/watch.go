package gateway

import (
	"context"
	"time"
)

// watchEvery is how often losses and limits are logged, if there were any:
// a line each for a thousand clients would bury the reason.
const watchEvery = 10 * time.Second

// watch logs what went wrong since it last looked.
func (g *Gateway) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	was := g.Stats()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		is := g.Stats()
		for _, w := range []struct {
			message string
			was, is uint64
		}{
			{"slow clients closed: more than clients.max_lag behind", was.Evicted, is.Evicted},
			{"messages skipped for slow clients: more than clients.max_lag behind", was.Skipped, is.Skipped},
			{"lagging clients closed: memory.logs is used up", was.Shed, is.Shed},
			{"parts of histories dropped early: memory.logs is used up", was.Trimmed, is.Trimmed},
			{"memory.inbound was used up", was.InboundFull, is.InboundFull},
			{"gap: messages over websocket.max_deliver_size were not delivered", was.Oversize, is.Oversize},
			{"accepting paused: out of descriptors or memory", was.AcceptPauses, is.AcceptPauses},
			{"connections refused: the node is full, draining or stopping, or has not reached its exchange", was.Refused[503], is.Refused[503]},
			{"clients refused: clients.max_per_ip of their address", was.PerAddress, is.PerAddress},
			{"clients refused: more a second than clients.handshake_rate", was.Crowded, is.Crowded},
			{"X-Forwarded-For and Forwarded contradict each other: neither was believed", was.Conflicts, is.Conflicts},
			{"source held back: most clients could not keep up", was.Holds, is.Holds},
		} {
			if n := w.is - w.was; n > 0 {
				g.log.Warn(w.message, "count", n, "within", watchEvery)
			}
		}
		was = is
	}
}
