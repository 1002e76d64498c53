package amqp

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/rabbitmq/amqp091-go"
)

// endpoint is one of the URLs.
type endpoint struct {
	url  string // with the password: for dialing only
	name string // scheme://host:port/vhost, for people to read
	user string
}

// parseURLs refuses bad URLs. Its errors hold no password: those of the
// parsers print the URL, or the part of it that they took for a port.
func parseURLs(urls []string) ([]endpoint, error) {
	eps := make([]endpoint, len(urls))
	for i, s := range urls {
		u, err := amqp091.ParseURI(s)
		if err != nil || u.Port < 1 || u.Port > 65535 {
			return nil, fmt.Errorf("AMQP URL %d of %d (%s): must be amqp[s]://user:password@host:port/vhost,"+
				" with reserved characters in user and password percent-encoded", i+1, len(urls), redact(s))
		}
		if parsed, err := url.Parse(s); err == nil && parsed.Query().Has("heartbeat") {
			return nil, fmt.Errorf("AMQP URL %d of %d (%s): heartbeat in the URL would override amqp.heartbeat: set it there", i+1, len(urls), redact(s))
		}
		eps[i] = endpoint{
			url:  s,
			name: u.Scheme + "://" + net.JoinHostPort(u.Host, strconv.Itoa(u.Port)) + "/" + vhostPath(u.Vhost),
			user: u.Username,
		}
	}
	return eps, nil
}

func vhostPath(vhost string) string {
	if vhost == "/" {
		return ""
	}
	return url.PathEscape(vhost)
}

// redact keeps of an unparsable URL its scheme and what follows the last @.
// Without an @ even the host may be a misplaced password.
func redact(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || len(scheme) > len("amqps") {
		return "no scheme"
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		return fmt.Sprintf("%q", scheme+"://***"+rest[i:])
	}
	return fmt.Sprintf("%q", scheme+"://***")
}
