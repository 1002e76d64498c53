package amqp

import (
	"time"

	"warren/gateway"
)

// silence is how long a stream may give nothing before the node has read the
// marker that RabbitMQ confirmed to have put into it.
const silence = 3 * time.Second

// heartbeats is more bytes than they come to between two looks.
const heartbeats = 64

// catching ticks until the node has caught up; never in queue delivery.
func (f *feed) catching() *time.Ticker {
	t := time.NewTicker(silence / 6)
	if f.marker == nil {
		f.caught = true
		t.Stop()
	}
	return t
}

// checkSilence ends an attachment to a place where the stream has nothing: it
// was cut or made anew, and shorter than what was read of it. RabbitMQ says
// nothing then until it has grown that long.
func (f *feed) checkSilence(now time.Time) error {
	select {
	case <-f.marker.confirmed:
	default:
		// While an alarm keeps the marker out, nobody else's messages get
		// in either: what is there is all.
		if f.x.counters.blocked.Load() && now.Sub(f.lastRead) > silence && !f.place.behind {
			f.caughtUp()
		}
		return nil
	}
	if f.markedAt.IsZero() {
		f.markedAt = now
	}
	// A large message over a slow link is on its way for long.
	if got := f.link.sock.received(); got > f.got+heartbeats {
		f.got, f.lastRead = got, now
	}
	if f.caught || now.Sub(f.lastRead) <= silence || now.Sub(f.markedAt) <= silence {
		return nil
	}
	f.place.silent()
	return errSilent
}

// caughtUp makes the node ready.
func (f *feed) caughtUp() {
	x := f.x
	f.caught = true
	if f.readyAt.IsZero() {
		f.readyAt = f.began
	}
	x.status.set(&x.status.consume, side{up: true})
	x.opts.Logger.Info("caught up with the stream", "stream", x.opts.Stream.Name, "messages", f.read,
		"within", time.Since(f.began).Round(time.Millisecond), "away", f.away().Round(time.Millisecond))
	f.lostAt = time.Time{}
}

// away is how long nothing was read, 0 if that is normal.
func (c *consumer) away() time.Duration {
	if c.lostAt.IsZero() {
		return 0
	}
	return time.Since(c.lostAt)
}

// gap counts and announces one.
func (c *consumer) gap(gap gateway.Gap) {
	if !gap.Known {
		c.dups.epoch++ // the holes that show from now on are this one's
	}
	c.x.counters.gaps.Add(1)
	c.x.counters.gapTime.Add(int64(gap.Lasted))
	c.to.Gap(gap)
}
