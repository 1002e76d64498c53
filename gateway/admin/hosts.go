package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"warren/gateway/request"
)

// hosts are the names by which requests may ask for this listener. A page of a
// foreign site can have its own name resolve to 127.0.0.1, and is then of the
// same origin as what it asks for (DNS rebinding): only the name tells.
type hosts struct {
	own     string // of the configured address; may be empty
	network bool   // others than this machine reach it, by names unknown here
}

func hostsOf(configured string, bound net.Addr) hosts {
	own, _, _ := net.SplitHostPort(configured)
	tcp, ok := bound.(*net.TCPAddr)
	return hosts{own: own, network: !ok || !tcp.IP.IsLoopback()}
}

// known says whether host, with or without a port, can't be a foreign site's
// name. None at all is HTTP/1.0, which no browser speaks.
func (h hosts) known(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if name == "" || strings.EqualFold(name, "localhost") || strings.EqualFold(name, h.own) {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// sameHost allows no origin but the page's own host.
var sameHost request.Origins

// guard refuses what a page of a foreign site may have sent; nil if r may pass.
func (h hosts) guard(r *http.Request) *problem {
	origins, page := r.Header["Origin"]
	if (page || !h.network) && !h.known(r.Host) {
		return &problem{status: http.StatusMisdirectedRequest,
			detail: "Host must be an IP address, localhost or the host of admin.listen"}
	}
	if page && (len(origins) != 1 || !sameHost.Allow([]byte(origins[0]), []byte(r.Host))) {
		return &problem{status: http.StatusForbidden, detail: "pages of other hosts may not ask for this: the request has an Origin header"}
	}
	return nil
}
