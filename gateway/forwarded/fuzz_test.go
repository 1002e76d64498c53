package forwarded_test

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"warren/gateway/forwarded"
)

// FuzzHeader: whatever bytes come, split anywhere, and beside the library's own
// reading of them.
func FuzzHeader(f *testing.F) {
	for _, c := range good {
		f.Add([]byte(c.in+"GET /"), uint16(len(c.in)-1))
	}
	f.Add([]byte("POST / HTTP/1.1\r\n"), uint16(1))
	f.Add([]byte(v2(proxy, tcp4, from4, tlv(ssl, "\x01")[:3])), uint16(20))
	f.Add([]byte("PROXY TCP4 203.0.113.9 192.0.2.1 1 65536\r\n"), uint16(6))
	f.Fuzz(func(t *testing.T, b []byte, split uint16) {
		given := bytes.Clone(b)
		h, n, err := forwarded.Header(b)
		if !bytes.Equal(b, given) {
			t.Fatal("Header changed its input")
		}
		checkParts(t, b, min(int(split), len(b)), h, n, err)
		checkLibrary(t, b, h, n, err)
	})
}

// checkParts judges Header(b) by itself and by Header(b[:at]).
func checkParts(t *testing.T, b []byte, at int, h forwarded.Proxy, n int, err error) {
	switch {
	case n < 0 || n > len(b) || n > forwarded.MaxHeader:
		t.Fatalf("%d bytes of %d", n, len(b))
	case n == 0 && h != (forwarded.Proxy{}), err != nil && n != 0:
		t.Fatalf("%+v, %d, %v", h, n, err)
	case n > 0 && h.Local == h.Source.IsValid(), h.Source.Addr().Is4In6():
		t.Fatalf("%+v", h)
	case n == 0 && err == nil && len(b) >= forwarded.MaxHeader:
		t.Fatalf("not whole after %d bytes", len(b))
	case forwarded.MayBegin(b) == (err == forwarded.ErrNoHeader):
		t.Fatalf("MayBegin %v, and %v", forwarded.MayBegin(b), err)
	}
	h2, n2, err2 := forwarded.Header(b[:at])
	switch {
	case n2 == 0 && err2 == nil: // not whole yet
		if n > 0 && n <= at {
			t.Fatalf("whole at %d, but not after %d bytes", n, at)
		}
	case h2 != h || n2 != n || err2 != err:
		t.Fatalf("%+v, %d, %v; but %+v, %d, %v after %d bytes", h, n, err, h2, n2, err2, at)
	}
}

// checkLibrary compares with proxyproto.Read.
func checkLibrary(t *testing.T, b []byte, h forwarded.Proxy, n int, err error) {
	r := bufio.NewReaderSize(bytes.NewReader(b), max(len(b), 16))
	theirs, theirErr := proxyproto.Read(r)
	if theirErr != nil {
		if n > 0 && (theirErr != proxyproto.ErrUnsupportedAddressFamilyAndProtocol || string(b[12:14]) != proxy+unspec || h != forwarded.Proxy{Local: true}) {
			t.Fatalf("%+v, but the library: %v", h, theirErr)
		}
		return
	}
	if err != nil {
		if _, tlvErr := theirs.TLVs(); tlvErr == nil || theirs.Command.IsLocal() {
			t.Fatalf("%v, but the library reads %+v", err, theirs)
		}
		return
	}
	if n != len(b)-r.Buffered() {
		t.Fatalf("%d bytes, the library takes %d", n, len(b)-r.Buffered())
	}
	source, tcp := theirs.SourceAddr.(*net.TCPAddr)
	if h.Local != (theirs.Command.IsLocal() || !tcp) {
		t.Fatalf("%+v, but the library reads %+v", h, theirs)
	}
	if !h.Local && net.TCPAddrFromAddrPort(h.Source).String() != source.String() {
		t.Fatalf("%v, but the library reads %v", h.Source, source)
	}
}

// FuzzXForwardedFor compares with a walk over the list as a whole.
func FuzzXForwardedFor(f *testing.F) {
	for _, s := range []string{
		"203.0.113.9, 10.0.0.2", "203.0.113.9\n10.0.0.3,10.0.0.2\n", "203.0.113.9, unknown, 10.0.0.2\n10.0.0.2:80",
		`"[2001:db8::9]:80", [::1]:1, ::1, 127.0.0.1`, ",\n,", "_x\n127.0.0.1",
	} {
		f.Add(s)
	}
	trusted := trust(f, proxies)
	f.Fuzz(func(t *testing.T, s string) {
		want := netip.MustParseAddr(thePeer)
		list := strings.Split(strings.ReplaceAll(s, "\n", ","), ",")
		for _, e := range slices.Backward(list) {
			e = strings.Trim(e, " \t")
			if e == "" {
				continue
			}
			a, ok := modelAddr(e)
			if !ok {
				break
			}
			want = a
			if !trusted.Contains(a) {
				break
			}
		}
		got, disagree := forwarded.Client(netip.MustParseAddr(thePeer), lines(s), nil, trusted)
		if got != want || disagree {
			t.Fatalf("%q: %s, %v; want %s", s, got, disagree, want)
		}
	})
}

// modelAddr reads an element by other means.
func modelAddr(e string) (netip.Addr, bool) {
	if len(e) > 1 && strings.HasPrefix(e, `"`) && strings.HasSuffix(e, `"`) {
		e = e[1 : len(e)-1]
	}
	if strings.Contains(e, "%") {
		return netip.Addr{}, false
	}
	const pseudonym = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	if i := strings.LastIndex(e, ":_"); i >= 0 && len(e) > i+2 && strings.Trim(e[i+2:], pseudonym) == "" {
		e = e[:i] + ":1"
	} else if a, err := netip.ParseAddr(e); err == nil {
		return a.Unmap(), true
	}
	if p, err := netip.ParseAddrPort(e); err == nil && len(e)-strings.LastIndex(e, ":") <= len(":65535") {
		return p.Addr().Unmap(), true
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(e, "["), "]")); err == nil && e == "["+strings.Trim(e, "[]")+"]" && a.Is6() {
		return a.Unmap(), true
	}
	return netip.Addr{}, false
}

// FuzzForwarded: whatever a client puts on the left, what the proxies add on the
// right is read as if it were alone.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", `for="`, `for=198.51.100.1;x="\`, `\\"\",=`, "for=_x, for=10.0.0.2;by=\"a,\\\",b\"", `""""`} {
		f.Add(s, `a,"\b`)
		f.Add(s, `,\`)
	}
	trusted := trust(f, proxies)
	f.Fuzz(func(t *testing.T, before, text string) {
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		peer := netip.MustParseAddr(thePeer)
		for _, c := range []struct{ fwd, client, proto string }{
			{before + `,for="[2001:db8::9]:4711";Proto=https`, "2001:db8::9", "https"},
			{before + `,x=` + quoted + `;for=203.0.113.9, for=10.0.0.2;proto=http;y=` + quoted, "203.0.113.9", "http"},
			{before + ",for=203.0.113.9;x=" + quoted + "\nfor=\"\\[::1]\";proto=wss;x=" + quoted, "203.0.113.9", "https"},
			{before + ",for=_x;x=" + quoted + ",for=10.0.0.2;x=" + quoted, "10.0.0.2", ""},
		} {
			if strings.Contains(before+text, "\n") {
				continue // a line's end in the middle of a value
			}
			got, _ := forwarded.Client(peer, nil, lines(c.fwd), trusted)
			if got.String() != c.client || forwarded.Proto(nil, lines(c.fwd)) != c.proto {
				t.Fatalf("%q: %s, %s; want %s, %s", c.fwd, got, forwarded.Proto(nil, lines(c.fwd)), c.client, c.proto)
			}
		}
		// Alone, before may be anything, but it must not panic.
		forwarded.Client(peer, lines(before), lines(before), trusted)
		forwarded.Proto(lines(before), lines(before))
	})
}
