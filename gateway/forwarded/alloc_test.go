package forwarded_test

import (
	"net/netip"
	"testing"

	"warren/gateway/forwarded"
)

func TestNoAllocation(t *testing.T) {
	trusted := trust(t, proxies)
	peer := netip.MustParseAddr("::ffff:203.0.113.9")
	part := []byte(v2(proxy, tcp6, from6))
	part = part[:len(part)-1]
	request := []byte("GET / HTTP/1.1\r\n")
	for name, f := range map[string]func(){
		"whom to trust": func() {
			if trusted.Contains(peer) {
				t.Fatal("trusted")
			}
		},
		"no header": func() {
			if forwarded.MayBegin(request) {
				t.Fatal("a request may begin a header")
			}
			if _, _, err := forwarded.Header(request); err != forwarded.ErrNoHeader {
				t.Fatal(err)
			}
		},
		"part of a header": func() {
			if _, n, err := forwarded.Header(part); n != 0 || err != nil {
				t.Fatal(n, err)
			}
		},
		"no fields": func() {
			if addr, _ := forwarded.Client(peer, nil, nil, trusted); addr != peer.Unmap() || forwarded.Proto(nil, nil) != "" {
				t.Fatal(addr)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	for _, bm := range []struct{ name, in string }{
		{"v1", good[0].in},
		{"v2", v2(proxy, tcp4, from4)},
		{"v2_options", v2(proxy, tcp4, asHAProxy)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			in := []byte(bm.in)
			b.ReportAllocs()
			for b.Loop() {
				if _, n, err := forwarded.Header(in); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkClient(b *testing.B) {
	trusted, peer := trust(b, proxies), netip.MustParseAddr(thePeer)
	xff, fwd := lines("203.0.113.9, 10.0.0.2"), lines(`for=203.0.113.9;proto=https, for="[::1]:4711";proto=https`)
	b.ReportAllocs()
	for b.Loop() {
		if addr, conflict := forwarded.Client(peer, xff, fwd, trusted); conflict || !addr.Is4() {
			b.Fatal(addr)
		}
	}
}
