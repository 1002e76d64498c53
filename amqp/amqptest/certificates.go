package amqptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// serverName is in the server's certificate; its address is not, so that a
// client must be told what name to expect.
const serverName = "rabbit.test"

// writeCertificates makes an authority, and certificates by it for the server
// and for a client, as PEM files in dir.
func writeCertificates(dir string) (TLS, error) {
	t := TLS{
		CAFile:     filepath.Join(dir, "ca.pem"),
		CertFile:   filepath.Join(dir, "client.pem"),
		KeyFile:    filepath.Join(dir, "client.key"),
		ServerName: serverName,
	}
	ca := template(1, "Warren test authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	server := template(2, serverName)
	server.DNSNames, server.ExtKeyUsage = []string{serverName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client := template(3, "Warren test client")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return t, fmt.Errorf("making test certificates: %w", err)
	}
	for _, c := range []struct {
		cert              *x509.Certificate
		key               *ecdsa.PrivateKey // made if nil
		certFile, keyFile string
	}{
		{ca, caKey, t.CAFile, ""},
		{server, nil, filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")},
		{client, nil, t.CertFile, t.KeyFile},
	} {
		if err := writeCertificate(c.cert, ca, c.key, caKey, c.certFile, c.keyFile); err != nil {
			return t, fmt.Errorf("making test certificates: %w", err)
		}
	}
	return t, nil
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func writeCertificate(cert, ca *x509.Certificate, key, caKey *ecdsa.PrivateKey, certFile, keyFile string) error {
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		if err := writePEM(keyFile, "PRIVATE KEY", der); err != nil {
			return err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
