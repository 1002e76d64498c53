package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"warren/gateway"
	"warren/gateway/jsonv1"
)

// batch is what becomes of a body's lines, in their order.
type batch struct {
	room chan struct{} // a token for each message that is under way

	mu      sync.Mutex
	results []result      // guarded by mu
	open    int           // guarded by mu: results that are awaited
	over    bool          // guarded by mu: the answer is being written, nothing changes any more
	settled chan struct{} // of capacity 1: open fell to 0
}

// result is the id of a confirmed message, or an error.
type result struct {
	id  gateway.MessageID
	err *lineError
}

func newBatch(most int) *batch {
	return &batch{room: make(chan struct{}, most), settled: make(chan struct{}, 1)}
}

// publishBatch publishes the body's lines while it reads them. Its answer waits
// for the end of the body: many clients read none of it before they have sent
// all, and both would wait for ever.
func (s *Server) publishBatch(w http.ResponseWriter, r *http.Request) {
	p := encoded(r)
	if r.ContentLength > s.o.MaxBatchSize {
		p = &problem{status: http.StatusRequestEntityTooLarge, detail: overSize(s.o.MaxBatchSize)}
	}
	size := s.maxLine()
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	if p == nil && !s.reserve(size) {
		p = errMemory
	}
	if p != nil {
		s.refuse(w, r, p)
		return
	}
	defer s.release(size)

	b := newBatch(s.o.MaxUnconfirmed)
	why := s.readBatch(r.Context(), b, s.reader(w, r, s.o.MaxBatchSize))
	b.wait(r.Context(), s.o.ConfirmTimeout)
	results := b.end()
	if why != nil && !anyTaken(results) {
		s.refuse(w, r, problemOf(why))
		return
	}
	answer(w, http.StatusOK, "application/x-ndjson", appendResults(nil, results))
}

// maxLine is the longest line in bytes: an escaped payload may be thrice as long
// as what it means, but for control characters.
func (s *Server) maxLine() int64 { return min(3*int64(s.o.MaxMessageSize)+4<<10, s.o.Memory) }

func overSize(most int64) string { return fmt.Sprintf("the body is over %d bytes", most) }

// readBatch goes through the body's lines. It returns why the exchange takes
// nothing more, if it does not.
func (s *Server) readBatch(ctx context.Context, b *batch, body io.Reader) (why error) {
	in := newLines(body, int(s.maxLine()), 16<<10)
	parser := lineParser{most: s.o.MaxMessageSize}
	for n := 0; ; {
		line, err := in.next()
		switch {
		case err == io.EOF:
			return why
		case err == errLong:
			b.refuse(longLine(in.most))
		case err != nil:
			b.refuse(incomplete(err, s.o.MaxBatchSize))
			return why
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case n == s.o.MaxLines:
			b.refuse(&lineError{codeIncomplete, fmt.Sprintf("over %d messages: this one and those behind it were not published", n)})
			_, _ = io.Copy(io.Discard, body) // or it could not read the answer
			return why
		case why != nil:
			b.refuse(lineErrorOf(why))
		default:
			why = s.submit(ctx, b, &parser, line)
		}
		n++
	}
}

// submit publishes one line. It returns why the exchange takes nothing more, if
// it does not.
func (s *Server) submit(ctx context.Context, b *batch, parser *lineParser, line []byte) (why error) {
	m, wrong := parser.message(line)
	if wrong != nil {
		b.refuse(wrong)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.ConfirmTimeout)
	defer cancel()
	if !b.enter(ctx) {
		err := fmt.Errorf("%w: of the messages before, %d are not confirmed", gateway.ErrAway, s.o.MaxUnconfirmed)
		b.refuse(lineErrorOf(err))
		return err
	}
	m.Settled = b.await()
	err := s.node.Submit(ctx, m)
	if err == nil {
		return nil
	}
	m.Settled(gateway.MessageID{}, err) // it won't be called by who refused it
	if errors.Is(err, gateway.ErrAway) || errors.Is(err, gateway.ErrStopping) {
		return err
	}
	return nil
}

// incomplete is why the body could not be read to its end.
func incomplete(err error, most int64) *lineError {
	p := cutShort(err)
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		p = &problem{detail: overSize(most)}
	}
	return &lineError{codeIncomplete, p.detail + ": the message that begins here and those behind it were not published"}
}

// enter waits for a place among those under way, which settle gives back.
func (b *batch) enter(ctx context.Context) bool {
	select {
	case b.room <- struct{}{}: // even if ctx has ended
		return true
	default:
	}
	select {
	case b.room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// refuse adds a line that is not published.
func (b *batch) refuse(e *lineError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results = append(b.results, result{err: e})
}

// await adds a line whose result comes later, by the call of settle.
func (b *batch) await() (settle func(gateway.MessageID, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := len(b.results)
	b.results = append(b.results, result{})
	b.open++
	return func(id gateway.MessageID, err error) {
		<-b.room
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.over {
			return
		}
		b.results[at].id = id
		if err != nil {
			b.results[at].err = lineErrorOf(err)
		}
		if b.open--; b.open == 0 {
			select {
			case b.settled <- struct{}{}:
			default:
			}
		}
	}
}

// wait waits until all is settled, for so long at most.
func (b *batch) wait(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		b.mu.Lock()
		open := b.open
		b.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-b.settled:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// end returns the results, in which nothing changes any more.
func (b *batch) end() []result {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	for i, r := range b.results {
		if r.err == nil && r.id == (gateway.MessageID{}) {
			b.results[i].err = lineErrorOf(gateway.ErrUnconfirmed)
		}
	}
	return b.results
}

// anyTaken says whether the exchange took, or judged, at least one message.
func anyTaken(results []result) bool {
	for _, r := range results {
		if r.err == nil || r.err.Code == codeUnconfirmed || r.err.Code == jsonv1.CodeNotAccepted {
			return true
		}
	}
	return false
}

func appendResults(dst []byte, results []result) []byte {
	for _, r := range results {
		if r.err == nil {
			dst = appendID(dst, r.id)
			continue
		}
		line, _ := json.Marshal(struct {
			Error *lineError `json:"error"`
		}{r.err}) // of strings: no error
		dst = append(append(dst, line...), '\n')
	}
	return dst
}
