package forwarded

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

// Proxy is what a PROXY protocol header says.
type Proxy struct {
	// Source is the client, as the proxy saw it, IPv4 never in IPv6 form. It is
	// the zero value if Local.
	Source netip.AddrPort
	// Local says that the socket's own address stands: the proxy speaks for
	// itself (a health check), or the client has no address of TCP over IP.
	Local bool
	// TLS says that the client came to the proxy over TLS. Version 1 can't say.
	TLS bool
}

// How a header begins, and how long it may be (proxy-protocol.txt of HAProxy,
// 2.1 and 2.2).
const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	maxLine1   = 107 // bytes of version 1, its CR LF included
	fixed2     = 16  // bytes of version 2 before the addresses; their length is in the last two
	version2   = 2   // in the upper half of the byte behind the signature

	// Addresses take 216 bytes at most, host name, protocol, unique ID and TLS
	// some hundred each, a client's certificate 1 to 2 KiB. The library, too,
	// takes no more.
	maxRest2 = 4096
)

// MaxHeader is the most bytes a header may have.
const MaxHeader = fixed2 + maxRest2

// ErrNoHeader: what came is not the beginning of a header.
var ErrNoHeader = errors.New("no PROXY header at the beginning of the connection")

var (
	errNoEnd   = errors.New("PROXY header: no CR LF in the first 107 bytes")
	errBareLF  = errors.New("PROXY header: ends in LF without CR")
	errVersion = errors.New("PROXY header: unknown version of the binary form: must be 2")
	errTooLong = errors.New("PROXY header: over 4096 bytes behind the first 16")
	errCommand = errors.New("PROXY header: unknown command: must be LOCAL or PROXY")
	errFamily  = errors.New("PROXY header: unknown family or protocol, or not two addresses and two ports behind it")
	errShort   = errors.New("PROXY header: shorter than the addresses of its family")
	errAddress = errors.New("PROXY header: bad address")
	errPort    = errors.New("PROXY header: bad port")
	errTLV     = errors.New("PROXY header: malformed values behind the addresses")
	errOther   = errors.New("PROXY header: malformed")
)

// MayBegin says whether a connection that has brought b so far may begin with a
// header. It is true of nothing, and false once one byte doesn't fit.
func MayBegin(b []byte) bool { return begins(b, signature1) || begins(b, signature2) }

func begins(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}

// Header reads the header, version 1 or 2, at the start of b, which is what has
// come so far. It is b[:n]; n is 0 if it is not whole yet, or if there is an
// error: ErrNoHeader, or what is wrong with it, in one line. More bytes don't
// mend an error.
//
// A checksum in the header is not compared.
func Header(b []byte) (h Proxy, n int, err error) {
	n, err = headerLen(b)
	if n == 0 || err != nil {
		return Proxy{}, 0, err
	}
	h, err = readHeader(b[:n])
	if err != nil {
		return Proxy{}, 0, err
	}
	return h, n, nil
}

// headerLen is the length of the header at the start of b, or 0 if it is not
// whole yet.
func headerLen(b []byte) (int, error) {
	switch {
	case !MayBegin(b):
		return 0, ErrNoHeader
	case len(b) == 0:
		return 0, nil
	case b[0] == signature1[0]:
		return lineLen(b)
	case len(b) > len(signature2) && b[len(signature2)]>>4 != version2:
		return 0, errVersion
	case len(b) < fixed2:
		return 0, nil
	}
	rest := int(binary.BigEndian.Uint16(b[fixed2-2:]))
	switch {
	case rest > maxRest2:
		return 0, errTooLong
	case len(b) < fixed2+rest:
		return 0, nil
	}
	return fixed2 + rest, nil
}

func lineLen(b []byte) (int, error) {
	lf := bytes.IndexByte(b[:min(len(b), maxLine1)], '\n')
	switch {
	case lf >= 0 && b[lf-1] != '\r': // the signature is in front of it
		return 0, errBareLF
	case lf >= 0:
		return lf + 1, nil
	case len(b) >= maxLine1:
		return 0, errNoEnd
	}
	return 0, nil
}

// readHeader reads a header that is whole.
func readHeader(b []byte) (Proxy, error) {
	// A client whose address the proxy doesn't know. The library refuses that, the
	// specification leaves it open (2.2). What follows may be anything.
	if b[0] != signature1[0] && b[12] == byte(proxyproto.PROXY) && b[13] == byte(proxyproto.UNSPEC) {
		return Proxy{Local: true}, nil
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return Proxy{}, reason(err)
	}
	if h.Command.IsLocal() {
		return Proxy{Local: true}, nil // all else in it is to be ignored (2.2)
	}
	tlvs, err := h.TLVs()
	if err != nil {
		return Proxy{}, errTLV
	}
	ssl, ok := tlvparse.FindSSL(tlvs)
	p := Proxy{TLS: ok && ssl.ClientSSL()}
	source, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		p.Local = true
		return p, nil
	}
	at := source.AddrPort()
	p.Source = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return p, nil
}

// reason says in our words what the library found.
func reason(err error) error {
	for _, known := range []struct{ theirs, ours error }{
		{proxyproto.ErrUnsupportedProtocolVersionAndCommand, errCommand},
		{proxyproto.ErrUnsupportedAddressFamilyAndProtocol, errFamily},
		{proxyproto.ErrCantReadAddressFamilyAndProtocol, errFamily},
		{proxyproto.ErrInvalidLength, errShort},
		{proxyproto.ErrInvalidAddress, errAddress},
		{proxyproto.ErrInvalidPortNumber, errPort},
	} {
		if errors.Is(err, known.theirs) {
			return known.ours
		}
	}
	return errOther
}
