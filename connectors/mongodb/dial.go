package mongodb

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/backplane/backplane/connectors"
)

// dialer connects the driver through the probe and encrypts, so that the
// driver knows nothing of TLS: it would fetch revocation lists on its own.
type dialer struct {
	ctx context.Context // of the whole test: the driver's ends with each dial
	p   *connectors.Probe
	c   connectors.Config
	uri *uri

	mu    sync.Mutex
	noted bool
}

// DialContext makes dialer an options.ContextDialer.
func (d *dialer) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	raw, err := d.p.DialMore(d.ctx, network, address)
	if err != nil || !d.uri.tls() {
		return raw, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		raw.Close()
		return nil, err
	}
	cfg, err := d.uri.encryption(d.c, host)
	if err != nil {
		raw.Close()
		return nil, err
	}
	if !d.secured() {
		d.p.Enter(connectors.StageTLS)
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(d.ctx); err != nil {
		raw.Close()
		return nil, err
	}
	d.note(conn.ConnectionState(), !cfg.InsecureSkipVerify)
	return conn, nil
}

// encryption is how to encrypt a connection to host.
func (u *uri) encryption(c connectors.Config, host string) (*tls.Config, error) {
	cfg, err := connectors.TLSConfig(c, host)
	if err == nil && (u.get("tlsInsecure") == "true" || u.get("sslInsecure") == "true") {
		cfg.InsecureSkipVerify = true
	}
	return cfg, err
}

func (d *dialer) secured() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.noted
}

// note reports the first handshake; the driver's later connections are alike.
func (d *dialer) note(cs tls.ConnectionState, verified bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noted {
		return
	}
	d.noted = true
	d.p.NoteTLS(cs, verified)
	d.p.Enter(connectors.StageGreeting)
}
