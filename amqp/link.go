package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// Time limits of a connection.
const (
	dialTimeout  = 5 * time.Second  // TCP, TLS and AMQP handshake together
	writeTimeout = 10 * time.Second // one write; a frozen broker must not hold one for ever
	setupTimeout = 15 * time.Second // everything declared and opened on a new connection
	closeTimeout = time.Second      // for the polite close
)

// link is one AMQP connection, and the socket below it.
type link struct {
	*amqp091.Connection
	sock *socket
	stop func() bool // of the watch on ctx
}

// dial connects to ep. The link is cut closeTimeout after ctx ends, whatever
// is being done with it. role is shown in RabbitMQ's list of connections.
func (o *Options) dial(ctx context.Context, ep endpoint, role string) (*link, error) {
	tlsConfig, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	if tlsConfig == nil && !strings.Contains(ep.url, "?") {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12} // what the library would take
	}
	l := &link{}
	asked := false // for a client certificate that we don't have
	if tlsConfig != nil && len(tlsConfig.Certificates) == 0 {
		tlsConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return new(tls.Certificate), nil
		}
	}
	conn, err := amqp091.DialConfig(ep.url, amqp091.Config{
		Heartbeat:       o.Heartbeat,
		TLSClientConfig: tlsConfig,
		Properties: amqp091.Table{
			"product":         "warren",
			"connection_name": "warren " + o.Node + " " + role,
		},
		Dial: func(network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			l.sock = &socket{Conn: c}
			l.stop = context.AfterFunc(ctx, func() { l.sock.cutAfter(closeTimeout) })
			return l.sock, c.SetDeadline(time.Now().Add(dialTimeout)) // the library lifts it
		},
	})
	if err != nil {
		// The library leaves the socket open when the AMQP part failed.
		if l.sock != nil {
			l.stop()
			l.sock.Close()
		}
		if asked && !saidByServer(err) && !errors.Is(err, os.ErrDeadlineExceeded) {
			err = errNoCertificate
		}
		return nil, &linkError{"", ep, err}
	}
	l.Connection = conn
	return l, nil
}

// setUp runs f, which opens and declares things on the link. The library has
// no time limit for an answer, and heartbeats can go on while one stays away.
func (l *link) setUp(ep endpoint, f func() error) error {
	limit := time.AfterFunc(setupTimeout, l.sock.cut)
	err := f()
	if !limit.Stop() { // it is cut, whatever f says
		err = &linkError{"", ep, fmt.Errorf("RabbitMQ left a request unanswered for %v", setupTimeout)}
	}
	return err
}

// close says goodbye, after ctx has ended: the library's Close has no time
// limit of its own and can wait for a stuck write.
func (l *link) close() {
	l.Connection.Close()
	l.cut()
}

// cut ends the connection at once.
func (l *link) cut() {
	l.stop()
	l.sock.cut()
	l.Connection.Close() // can't wait any more; frees what the library holds
}

// errNoCertificate is what a server's wish for a client certificate comes to
// since TLS 1.3: the handshake succeeds first, and what fails next, and how,
// depends on who is faster.
var errNoCertificate = errors.New("RabbitMQ asked for a client certificate, got none, and closed the connection: set one (amqp.tls.cert)")

// saidByServer reports whether err is RabbitMQ's own word, by AMQP.
func saidByServer(err error) bool {
	ae := (*amqp091.Error)(nil)
	return errors.Is(err, amqp091.ErrCredentials) || errors.Is(err, amqp091.ErrVhost) || errors.As(err, &ae) && ae.Server
}
