package dbproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// maxLoginPacket bounds the packets of a login.
const maxLoginPacket = 64 << 10

// login lets the client prove who it is, up to the last packet but one: the OK
// is for welcome to send, once there are servers. What a client is refused for
// it has been told when login returns.
func (s *Session) login(ctx context.Context) error {
	lc := s.listener.config.Load()
	s.client.SetLimit(maxLoginPacket)
	if err := s.client.SetWriteTimeout(s.proxy.loginTimeout("auth_write_timeout")); err != nil {
		return err
	}
	h, x, err := s.handshake(ctx, lc)
	if err != nil {
		return err
	}
	id, err := s.admit(ctx, x, claim{user: h.User, database: h.Database})
	if err != nil {
		return err
	}
	s.become(id, h.Charset, h.Attributes, lc.login)
	if err := s.client.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return s.client.SetWriteTimeout(0)
}

// handshake goes as far as the client's login packet.
func (s *Session) handshake(ctx context.Context, lc *listenerConfig) (*wire.HandshakeResponse, *exchange, error) {
	// Who speaks for others is not one of them.
	proxied := lc.login.networks.contain(s.remote.Addr())
	if !proxied && s.proxy.blocker.Blocked(s.remote.Addr()) {
		s.client.SetSequence(0)
		return nil, nil, s.refuse(s.blocked())
	}
	offered, plugin, err := s.greet(lc.tls != nil)
	if err != nil {
		return nil, nil, err
	}
	if proxied {
		if err := s.takeProxyHeader(); err != nil {
			return nil, nil, err
		}
	}
	packet, err := s.secured(ctx, lc.tls)
	if err != nil {
		return nil, nil, err
	}
	h, err := wire.ParseHandshakeResponse(packet)
	if err != nil {
		return nil, nil, s.refuse(badHandshake(err))
	}
	s.caps = h.Capabilities & offered &^ (wire.CapSSL | wire.CapConnectWithDB)
	if !h.Capabilities.Has(wire.CapPluginAuth) {
		h.Plugin = wire.PluginNative
	}
	x := &exchange{session: s, rules: lc.login, begins: plugin, switchable: h.Capabilities.Has(wire.CapPluginAuth)}
	x.told(h.Plugin, s.scramble[:], h.Token)
	return h, x, nil
}

func badHandshake(cause error) *wire.ServerError {
	if errors.Is(cause, wire.ErrOldProtocol) {
		return &wire.ServerError{Code: wire.ErrCodeAuthMode, State: wire.StateRejected, Message: "Client does not support authentication protocol requested by server; consider upgrading MariaDB client"}
	}
	return &wire.ServerError{Code: wire.ErrCodeHandshake, State: wire.StateCommunication, Message: "Bad handshake"}
}

// takeProxyHeader reads the header, if there is one, and takes the client that
// it speaks of for this one.
func (s *Session) takeProxyHeader() error {
	if err := s.client.SetReadDeadline(time.Now().Add(s.proxy.loginTimeout("auth_read_timeout"))); err != nil {
		return err
	}
	header, err := readProxyHeader(s.client)
	if err != nil {
		s.service.log.Warn("PROXY header refused", "remote", s.remote.String(), "error", err)
		return err
	}
	if client, ok := clientOf(header); ok {
		s.setRemote(client)
	}
	return nil
}

func (s *Session) setRemote(client netip.AddrPort) {
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	s.remote = client
}

// secured returns the client's login packet, which has to come under TLS where
// the listener has it.
func (s *Session) secured(ctx context.Context, cfg *tls.Config) ([]byte, error) {
	packet, err := s.hear()
	if err != nil {
		return nil, err
	}
	if !wire.IsSSLRequest(packet) {
		if cfg != nil {
			return nil, s.refuse(&wire.ServerError{Code: wire.ErrCodeAccessDenied, State: wire.StateAccessDenied, Message: "Access without SSL denied"})
		}
		return packet, nil
	}
	if cfg == nil {
		return nil, s.refuse(badHandshake(nil))
	}
	ctx, cancel := context.WithTimeout(ctx, s.proxy.loginTimeout("auth_read_timeout"))
	defer cancel()
	if s.Outside(func() { err = s.client.StartTLSServer(ctx, cfg) }); err != nil {
		s.service.log.Warn("TLS with a client failed", "listener", s.listener.name, "remote", s.remote.String(), "error", err)
		return nil, err
	}
	return s.hear()
}

// refuse tells the client why it is refused.
func (s *Session) refuse(e *wire.ServerError) error {
	s.tell(e)
	return e
}

func (s *Session) blocked() *wire.ServerError {
	return &wire.ServerError{
		Code: wire.ErrCodeHostBlocked, State: "",
		Message: fmt.Sprintf("Host '%s' is temporarily blocked due to too many authentication failures", s.host()),
	}
}

// host is what the client's host is called in messages.
func (s *Session) host() string {
	if !s.remote.IsValid() {
		return "localhost"
	}
	return s.remote.Addr().String()
}

// become makes the session that of who was admitted.
func (s *Session) become(a *admission, charset byte, attributes []wire.Attribute, rules *loginRules) {
	s.user, s.identity = a.user, a.identity
	s.charset, s.attributes = charset, attributes
	s.mode = beginMode(charset, s.caps, s.service.real(), rules.oracle)
	s.status = wire.StatusAutocommit
	if rules.oracle {
		s.status = 0
	}
	s.setDatabase(a.database)
	s.diag.mu.Lock()
	s.diag.user = a.user
	s.diag.mu.Unlock()
}
