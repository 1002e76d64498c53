package haproxytest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
)

// URL is a WebSocket's address: "ws://" or "wss://", host and port, path.
func (p *Proxy) URL(path string) string { return p.scheme("ws") + p.addr + path }

// Site is the same for ordinary requests: "http://" or "https://".
func (p *Proxy) Site(path string) string { return p.scheme("http") + p.addr + path }

func (p *Proxy) scheme(name string) string {
	if p.certificate != nil {
		name += "s"
	}
	return name + "://"
}

// TLS is what a client needs to connect by 127.0.0.1, ::1 or localhost; nil if
// there is no TLS.
func (p *Proxy) TLS() *tls.Config {
	if p.certificate == nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.certificate.parsed)
	return &tls.Config{RootCAs: roots}
}

// CAFile is the certificate to trust, as PEM; empty if there is no TLS.
func (p *Proxy) CAFile() string {
	if p.certificate == nil {
		return ""
	}
	return filepath.Join(p.dir, "ca.pem")
}

// Client returns an HTTP/1.1 client that trusts the certificate. It keeps no
// connections.
func (p *Proxy) Client() *http.Client {
	// With a TLSClientConfig of its own a Transport doesn't try HTTP/2.
	return &http.Client{Transport: &http.Transport{TLSClientConfig: p.TLS(), DisableKeepAlives: true}}
}
