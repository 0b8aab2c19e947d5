// Package email tests SMTP servers. It greets, encrypts as configured, logs in
// and names the sender, which is as far as an SMTP session goes without
// leaving a trace: no recipient is named and no message is sent.
//
// Start at Connector; session.go holds the dialogue, auth.go the logins and
// replies.go the meaning of what servers answer.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"

	"github.com/backplane/backplane/connectors"
)

// Connector reaches an SMTP server.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector for the type email.
func New() *Connector { return &Connector{} }

// Test runs one SMTP session up to the sender's acceptance.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	cfg, err := connectors.TLSConfig(c, c.String("host"))
	if err != nil {
		return err
	}
	s, err := open(ctx, p, c, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.greet(c.String("helo")); err != nil {
		return withModeHint(err, c, p)
	}
	if c.String("encryption") == encryptionStartTLS {
		if err := s.startTLS(ctx, cfg); err != nil {
			return err
		}
	}
	if c.String("username") != "" {
		if err := s.login(c); err != nil {
			return err
		}
	}
	if err := s.mail(c.String("from_address"), c.String("username") != ""); err != nil {
		return err
	}
	p.Verified()
	s.leave()
	return nil
}

func open(ctx context.Context, p *connectors.Probe, c connectors.Config, cfg *tls.Config) (*session, error) {
	addr := net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
	if c.String("encryption") != encryptionTLS {
		conn, err := p.Dial(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return newSession(conn, p), nil
	}
	conn, err := p.DialTLS(ctx, "tcp", addr, cfg)
	if err != nil {
		return nil, withModeHint(err, c, p)
	}
	s := newSession(conn, p)
	s.secure = true
	return s, nil
}

// withModeHint adds what to do when the configured encryption and the port's
// differ: a plain-text port answers a TLS handshake with text, and a TLS port
// waits for one in silence.
func withModeHint(err error, c connectors.Config, p *connectors.Probe) error {
	var (
		record tls.RecordHeaderError
		netErr net.Error
	)
	switch {
	case errors.As(err, &record):
		return &connectors.Failure{Code: connectors.TLSHandshake, Err: err,
			Hint: `The port speaks plain text. Use encryption "starttls" (usually port 587), or the port for TLS (usually 465).`}
	case c.String("encryption") != encryptionTLS && p.Stage() == connectors.StageGreeting && errors.As(err, &netErr) && netErr.Timeout():
		return &connectors.Failure{Code: connectors.Timeout, Err: err,
			Detail: "connected, but nothing was said: wrong port, or TLS expected?",
			Hint:   `If this is a port for TLS (usually 465), use encryption "tls"; "starttls" usually has port 587.`}
	}
	return err
}
