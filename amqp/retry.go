package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rabbitmq/amqp091-go"
)

// stableAfter is how long a link must have held for the next failure to be
// met with the shortest wait again.
const stableAfter = 5 * time.Second

// retry spaces the attempts of one link.
type retry struct {
	slow   time.Duration
	bo     *backoff.ExponentialBackOff
	logins int             // refused or cut off in a row
	logged map[string]bool // by endpoint and text, since the last link
}

// newRetry waits with full jitter: anything from 0 to a bound that doubles
// from lo to hi. The library spreads ±100 % around half of that bound.
func newRetry(lo, hi time.Duration) *retry {
	bo := backoff.NewExponentialBackOff()
	bo.InitialInterval, bo.MaxInterval = lo/2, hi/2
	bo.Multiplier, bo.RandomizationFactor = 2, 1
	bo.Reset()
	return &retry{slow: hi, bo: bo, logged: map[string]bool{}}
}

// after is how long to wait after err. up is how long the link had held.
// operator says that it fails until someone mends it.
func (r *retry) after(err error, up time.Duration) (wait time.Duration, operator bool) {
	if up >= stableAfter {
		r.bo.Reset()
	}
	// RabbitMQ hangs up on a wrong password as on anything else that fails
	// during login, such as its own death: believe it the second time.
	login := errors.Is(err, amqp091.ErrCredentials)
	if login {
		r.logins++
	}
	if needsOperator(err) || login && r.logins > 1 {
		return r.slow, true
	}
	return r.bo.NextBackOff(), false
}

// isNews reports whether a failure at ep was not logged yet since the last
// link. Behind a proxy an outage shows in two ways, in turn.
func (r *retry) isNews(ep endpoint, err error) bool {
	key := ep.name + " " + err.Error()
	if errors.Is(err, amqp091.ErrCredentials) && r.logins == 1 || r.logged[key] {
		return false
	}
	r.logged[key] = true
	return true
}

// linked makes the next failure news.
func (r *retry) linked() { clear(r.logged); r.logins = 0 }

// sleep reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// needsOperator tells what no retry mends from what comes with a restart or
// a failover (404, 406 without "inequivalent", 506, 541).
func needsOperator(err error) bool {
	if op := (operatorError{}); errors.As(err, &op) {
		return true
	}
	if verify := (*tls.CertificateVerificationError)(nil); errors.As(err, &verify) {
		return true
	}
	ae := (*amqp091.Error)(nil)
	if !errors.As(err, &ae) || errors.Is(err, amqp091.ErrCredentials) {
		return false
	}
	switch ae.Code {
	case amqp091.AccessRefused, amqp091.NotAllowed, amqp091.NotImplemented:
		return true
	case amqp091.PreconditionFailed:
		return strings.Contains(ae.Reason, "inequivalent")
	case amqp091.FrameError: // what the library makes of a read error; here of a refused client certificate
		return strings.Contains(ae.Reason, "remote error: tls: ")
	}
	return false
}

// linkError is a failure in words that stay the same from one attempt to the
// next, so that it is logged once: no local port numbers.
type linkError struct {
	what string // what was tried; may be empty
	ep   endpoint
	err  error
}

func (e *linkError) Unwrap() error { return e.err }

func (e *linkError) Error() string {
	if e.what == "" {
		return e.reason()
	}
	return e.what + ": " + e.reason()
}

func (e *linkError) reason() string {
	ae, op := (*amqp091.Error)(nil), (*net.OpError)(nil)
	switch {
	case errors.Is(e.err, amqp091.ErrCredentials), isLoginRefusal(e.err):
		return fmt.Sprintf("login as %q failed: wrong user or password, or RabbitMQ went down meanwhile", e.ep.user)
	case errors.Is(e.err, amqp091.ErrClosed), errors.Is(e.err, net.ErrClosed):
		return "RabbitMQ closed the connection"
	case errors.As(e.err, &ae) && ae.Server:
		return fmt.Sprintf("RabbitMQ says %d %s", ae.Code, ae.Reason)
	case isUnreadable(e.err):
		return "a message on the exchange can't be read: its headers are nested over 32 deep, or have over 8192 entries"
	case errors.As(e.err, &ae):
		return plainReason(ae.Reason)
	case errors.Is(e.err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.As(e.err, &op):
		return op.Err.Error()
	case errors.Is(e.err, io.EOF):
		return "RabbitMQ closed the connection"
	}
	return e.err.Error()
}

// isUnreadable says that the library could not read what RabbitMQ sent.
func isUnreadable(err error) bool {
	ae := (*amqp091.Error)(nil)
	return errors.As(err, &ae) && !ae.Server && strings.Contains(ae.Reason, amqp091.ErrSyntax.Reason)
}

func isLoginRefusal(err error) bool {
	ae := (*amqp091.Error)(nil)
	return errors.As(err, &ae) && ae.Code == amqp091.AccessRefused && strings.Contains(ae.Reason, "Login was refused")
}

// plainReason strips "read tcp 127.0.0.1:41234->127.0.0.1:5672: " from the
// text of a read error, which is all that the library keeps of it.
func plainReason(s string) string {
	switch {
	case s == "EOF" || s == "unexpected EOF":
		return "RabbitMQ closed the connection"
	case strings.HasSuffix(s, "i/o timeout"):
		return "no sign of life from RabbitMQ"
	}
	if _, after, ok := strings.Cut(s, "->"); ok {
		if _, reason, ok := strings.Cut(after, ": "); ok {
			return reason
		}
	}
	return s
}
