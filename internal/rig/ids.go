package rig

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/gateway"
)

// IDs is what nodes call the messages of a stream, found by reading it. Of a
// message that is in the stream several times, the first counts, as it does
// for nodes.
type IDs struct {
	url, stream string
	kill        context.CancelFunc
	done        chan struct{}

	mu  sync.Mutex
	ids map[Message]gateway.ID // guarded by mu
	err error                  // guarded by mu; of the last attempt
}

// ReadIDs reads a stream from its beginning on, over all interruptions, until
// Close. LastWord has no id here.
func ReadIDs(url, stream string) *IDs {
	ctx, cancel := context.WithCancel(context.Background())
	r := &IDs{url: url, stream: stream, kill: cancel, done: make(chan struct{}), ids: map[Message]gateway.ID{}}
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
	return r
}

// Close ends the reading.
func (r *IDs) Close() {
	r.kill()
	<-r.done
}

// Of waits for the id of the message that a client heard last.
func (r *IDs) Of(ctx context.Context, c *Client) (gateway.ID, error) { return r.Find(ctx, c.Latest()) }

// Find waits for the id of a message.
func (r *IDs) Find(ctx context.Context, m Message) (id gateway.ID, err error) {
	err = Await(ctx, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		var ok bool
		if id, ok = r.ids[m]; !ok {
			return fmt.Errorf("message %v was not found in the stream; last error: %v", m, r.err)
		}
		return nil
	})
	return id, err
}

func (r *IDs) run(ctx context.Context) {
	from := int64(0)
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		err := r.read(ctx, &from)
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
		again.Reset(200 * time.Millisecond)
	}
}

// read notes what is in the stream from an offset on.
func (r *IDs) read(ctx context.Context, from *int64) error {
	conn, cut, err := dialAMQP(r.url)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer cut()
	defer context.AfterFunc(ctx, cut)()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	deliveries, err := readStream(ch, r.stream, *from)
	if err != nil {
		return err
	}
	unacked := 0
	for d := range deliveries {
		offset, ok := d.Headers["x-stream-offset"].(int64)
		if !ok {
			return fmt.Errorf("a delivery of the stream has no offset: %v", d.Headers)
		}
		if offset >= *from { // else the chunk began before
			r.note(offset, &d)
			*from = offset + 1
		}
		if unacked++; unacked == streamPrefetch/2 {
			unacked = 0
			if err := d.Ack(true); err != nil {
				return err
			}
		}
	}
	return errors.New("the deliveries ended")
}

func (r *IDs) note(offset int64, d *amqp091.Delivery) {
	m, err := parse(d.Body)
	if err != nil {
		return // a node's own, or LastWord
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids[m].IsZero() {
		r.ids[m] = gateway.ID{Offset: uint64(offset), Check: check(d)}
	}
}

// check tells messages apart that were at the same offset of a stream:
// CRC-32C of id, routing key and body, apart by NUL; never 0.
func check(d *amqp091.Delivery) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, []byte(d.MessageId+"\x00"+d.RoutingKey+"\x00"))
	return max(crc32.Update(sum, table, d.Body), 1)
}
