package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"warren/internal/rig"
)

// harm is what is done to the parts, one thing at a time.
type harm struct {
	s      *soak
	chance *rand.Rand
	faults *rig.Faults
	deck   []kind // shuffled; what is still to come before it is dealt anew
	done   map[string]int
}

// kind is something that is done to the parts.
type kind struct {
	name  string
	times int // in a deck
	do    func(*harm, context.Context) error
}

var kinds = []kind{
	{"RabbitMQ killed (SIGKILL)", 2, (*harm).killBroker},
	{"gateway killed (SIGKILL)", 2, (*harm).killNode},
	{"gateway stopped (SIGTERM)", 2, (*harm).stopNode},
	{"gateway drained (POST /drain)", 1, (*harm).drainNode},
	{"memory alarm in RabbitMQ", 1, (*harm).raiseAlarm},
	{"client frozen", 1, (*harm).freezeClient},
	{linkFault, 6, (*harm).harmLink},
}

// linkFault has names of its own.
const linkFault = "link"

func newHarm(s *soak, chance *rand.Rand) *harm {
	return &harm{s: s, chance: chance, faults: rig.NewFaults(s.links.All, s.o.seed, s.logf), done: map[string]int{}}
}

// next does harm and mends it.
func (h *harm) next(ctx context.Context) error {
	if len(h.deck) == 0 {
		for _, k := range kinds {
			for range k.times {
				h.deck = append(h.deck, k)
			}
		}
		h.chance.Shuffle(len(h.deck), func(i, j int) { h.deck[i], h.deck[j] = h.deck[j], h.deck[i] })
	}
	k := h.deck[0]
	h.deck = h.deck[1:]
	if k.name != linkFault {
		h.done[k.name]++
		h.s.logf("%s", k.name)
	}
	if err := k.do(h, ctx); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	return nil
}

// pause is for what is done to last a while.
func (h *harm) pause(ctx context.Context, least, most time.Duration) error {
	t := time.NewTimer(least + time.Duration(h.chance.Int64N(int64(most-least))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *harm) harmLink(ctx context.Context) error { return h.faults.One(ctx) }

func (h *harm) killBroker(ctx context.Context) error {
	if err := h.s.broker.Kill(); err != nil {
		return err
	}
	if err := h.pause(ctx, 0, 3*time.Second); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return h.s.broker.Start(limited)
}

// mortal is the node that is ended now and then. The other isn't, so that its
// memory can be judged over the whole time.
func (h *harm) mortal() *station { return h.s.nodes[1] }

func (h *harm) killNode(ctx context.Context) error {
	return h.mortal().ending(ctx, func() error {
		if err := h.mortal().Kill(); err != nil {
			return err
		}
		return h.pause(ctx, 0, 3*time.Second)
	})
}

// stopLimit is the drain, clients.close_timeout, 20 s for RabbitMQ's confirms, and as
// much again.
const stopLimit = 90 * time.Second

func (h *harm) stopNode(ctx context.Context) error {
	return h.mortal().ending(ctx, func() error {
		if err := h.mortal().Stop(stopLimit); err != nil {
			return err
		}
		return h.mortal().Err()
	})
}

// drainNode empties one of the nodes, and takes it back.
func (h *harm) drainNode(ctx context.Context) error {
	st := h.s.nodes[h.chance.IntN(len(h.s.nodes))]
	limited, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	return st.dismissing(func() error {
		if _, err := st.Drain(limited, http.MethodPost); err != nil {
			return err
		}
		if err := st.AwaitEmpty(limited); err != nil {
			return err
		}
		if err := h.pause(limited, 0, 3*time.Second); err != nil {
			return err
		}
		_, err := st.Drain(limited, http.MethodDelete)
		return err
	})
}

func (h *harm) raiseAlarm(ctx context.Context) error {
	if _, err := h.s.broker.Ctl(ctx, "set_vm_memory_high_watermark", "0"); err != nil {
		return err
	}
	waited := h.pause(ctx, time.Second, 15*time.Second)
	_, err := h.s.broker.Ctl(ctx, "set_vm_memory_high_watermark", "0.4")
	return errors.Join(waited, err)
}

// tryAgainLater is the close code of clients that are too slow.
const tryAgainLater = 1013

// freezeClient has one client flood a channel that another doesn't read. The
// latter must be closed, all others not notice.
func (h *harm) freezeClient(ctx context.Context) error {
	const (
		channel = "/ws/ice"
		size    = 4 << 10
	)
	limited, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	n := h.s.nodes[0]
	frozen, err := rig.Open(limited, n.Node, channel, rig.ClientOptions{Kernel: 16 << 10, Limit: recoveryLimit})
	if err != nil {
		return err
	}
	defer frozen.Close()
	loud, err := rig.Join(limited, n.Node, channel, rig.ClientOptions{})
	if err != nil {
		return err
	}
	flood := rig.NewSender(loud, h.s.sources.next())
	flood.Pad = " " + strings.Repeat(".", size)
	talk := rig.NewTalk([]*rig.Sender{flood}, 2*time.Millisecond)
	defer talk.Cut()
	const enough = 2000 // twice the default of clients.max_lag, and what kernels hold
	if err := rig.Await(limited, func() error {
		if loud.Last(flood.ID()) < enough {
			return fmt.Errorf("the channel of the frozen client got %d messages, of %d", loud.Last(flood.ID()), enough)
		}
		return nil
	}); err != nil {
		return err
	}
	frozen.Listen()
	if closed := (*rig.ClosedError)(nil); !errors.As(frozen.Err(), &closed) || closed.Code != tryAgainLater {
		return fmt.Errorf("instead of a close frame with 1013 the frozen client got: %w", frozen.Err())
	}
	return nil
}
