package wire

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/backplane/backplane/testbed"
)

// refServer is a server made of this package: it checks logins by every
// plugin, and answers a few queries.
type refServer struct {
	begins  string // the plugin of the greeting
	plugin  string // the plugin of the account, whose password is "secret"
	caps    Capability
	tls     *tls.Config
	key     *rsa.PrivateKey
	uncache bool // never takes the fast way of caching_sha2_password
	maria   bool

	mu   sync.Mutex
	seen HandshakeResponse
	err  error // of the last connection
}

const refCaps = Relayable &^ (CapCompress | CapSSL)

// startRefServer serves until t ends and returns the address.
func startRefServer(t *testing.T, s *refServer) string {
	t.Helper()
	if s.caps == 0 {
		s.caps = refCaps
	}
	if s.tls != nil {
		s.caps |= CapSSL
	}
	if s.maria {
		s.caps &^= CapMySQL
	} else {
		s.caps &= capStandard
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(20 * time.Second))
				err := s.serve(NewConn(nc, PeerClient))
				s.mu.Lock()
				defer s.mu.Unlock()
				s.err = err
			})
		}
	})
	return l.Addr().String()
}

func (s *refServer) serve(c *Conn) error {
	scramble := NewScramble()
	challenge := scramble[:]
	if s.begins == PluginEd25519 {
		challenge = pattern(Ed25519ScrambleSize)
	}
	g := Greeting{Version: "8.0.30-ref", ConnectionID: 42, Scramble: challenge, Capabilities: s.caps, Charset: CharsetUTF8MB4, Status: StatusAutocommit, Plugin: s.begins}
	if err := send(c, g.Append(nil)); err != nil {
		return err
	}
	p, err := c.ReadPacket()
	if err != nil {
		return err
	}
	if IsSSLRequest(p) && s.tls != nil {
		if err := c.StartTLSServer(context.Background(), s.tls); err != nil {
			return err
		}
		if p, err = c.ReadPacket(); err != nil {
			return err
		}
	}
	h, err := ParseHandshakeResponse(p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.seen = *h
	s.mu.Unlock()
	token := h.Token
	if h.Plugin != s.plugin {
		data := append(challenge[:len(challenge):len(challenge)], 0)
		switch s.plugin {
		case PluginEd25519:
			challenge = pattern(Ed25519ScrambleSize)
			data = challenge
		case PluginClear:
			data = nil
		}
		if err := send(c, (&AuthSwitch{Plugin: s.plugin, Data: data}).Append(nil)); err != nil {
			return err
		}
		if p, err = c.ReadPacket(); err != nil {
			return err
		}
		token = append([]byte(nil), p...)
	}
	ok, err := s.check(c, challenge, token)
	if err != nil {
		return err
	}
	if !ok {
		return send(c, (&ServerError{ErrCodeAccessDenied, StateAccessDenied, "Access denied"}).Append(nil))
	}
	caps := h.Capabilities & s.caps
	if err := send(c, (&OK{Status: StatusAutocommit}).Append(nil, caps, false)); err != nil {
		return err
	}
	return s.commands(c, caps)
}

func send(c *Conn, payload []byte) error {
	if err := c.WritePacket(payload); err != nil {
		return err
	}
	return c.Flush()
}

func (s *refServer) check(c *Conn, challenge, token []byte) (bool, error) {
	switch s.plugin {
	case PluginNative:
		hash, ok := HashNative("secret").Stored().Verify(challenge, token)
		return ok && hash == HashNative("secret"), nil
	case PluginEd25519:
		return HashEd25519("secret").Verify(challenge, token), nil
	case PluginClear:
		password, err := ParseClear(token)
		return c.Private() && password == "secret", err
	}
	_, ok := HashSHA2("secret").Cached().Verify(challenge, token)
	if !s.uncache && ok {
		return true, send(c, AppendAuthMore(nil, []byte{SHA2FastOK}))
	}
	if err := send(c, AppendAuthMore(nil, []byte{SHA2Full})); err != nil {
		return false, err
	}
	p, err := c.ReadPacket()
	if err != nil {
		return false, err
	}
	if c.Private() {
		password, err := ParseClear(p)
		return password == "secret", err
	}
	if len(p) == 1 && p[0] == SHA2RequestKey {
		key, err := AppendPublicKey(nil, &s.key.PublicKey)
		if err != nil {
			return false, err
		}
		if err := send(c, AppendAuthMore(nil, key)); err != nil {
			return false, err
		}
		if p, err = c.ReadPacket(); err != nil {
			return false, err
		}
	}
	password, err := DecryptPassword(p, challenge, s.key)
	return password == "secret", err
}

func (s *refServer) commands(c *Conn, caps Capability) error {
	for {
		c.SetSequence(0)
		p, err := c.ReadPacket()
		if err != nil {
			return err
		}
		switch Command(p[0]) {
		case ComQuit:
			return nil
		case ComQuery:
			column := Column{Name: []byte("a"), Charset: CharsetUTF8MB4, Length: 100, Type: TypeVarString}
			answer := [][]byte{ColumnCount{1, true}.Append(nil, caps), column.Append(nil, caps), AppendEOF(nil, 0, 0), AppendString(nil, p[1:])}
			end := AppendEOF(nil, StatusAutocommit, 0)
			if caps.Has(CapDeprecateEOF) {
				answer = append(answer[:2], answer[3:]...)
				end = (&OK{Status: StatusAutocommit}).Append(nil, caps, true)
			}
			for _, p := range append(answer, end) {
				if err := c.WritePacket(p); err != nil {
					return err
				}
			}
			err = c.Flush()
		default:
			err = send(c, (&OK{Status: StatusAutocommit}).Append(nil, caps, false))
		}
		if err != nil {
			return err
		}
	}
}

// rsaKey is shared, because it takes long to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func serverTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	ca := testbed.NewCA(t)
	server = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1").TLS(t)}}
	client = &tls.Config{ServerName: "127.0.0.1", RootCAs: pool(t, ca.PEM)}
	return server, client
}

// A client's handshake may come in one piece with its request for TLS, but
// nothing in clear.
func TestStartTLS(t *testing.T) {
	server, client := serverTLS(t)
	request := frame(0, (&HandshakeResponse{Capabilities: CapSSL | CapProtocol41 | CapMySQL}).AppendSSLRequest(nil))
	for _, inOnePiece := range []bool{false, true} {
		a, b := tcpPair(t)
		done := make(chan error, 1)
		go func() {
			tc := tls.Client(&prefixing{Conn: a, prefix: request, once: inOnePiece}, client)
			if !inOnePiece {
				a.Write(request)
			}
			_, err := tc.Write(frame(1, []byte("hello")))
			done <- err
		}()
		c := NewConn(b, PeerClient)
		if p, err := c.ReadPacket(); err != nil || !IsSSLRequest(p) {
			t.Fatal(err)
		}
		must(t, c.StartTLSServer(t.Context(), server))
		if p, err := c.ReadPacket(); err != nil || string(p) != "hello" {
			t.Errorf("in one piece %v: %q, %v", inOnePiece, p, err)
		}
		must(t, <-done)
		if _, ok := c.TLS(); !ok || !c.Private() {
			t.Error("not under TLS")
		}
	}

	a, b := tcpPair(t)
	if _, err := a.Write(append(request, frame(1, []byte("\x03DROP DATABASE x"))...)); err != nil {
		t.Fatal(err)
	}
	c := NewConn(b, PeerClient)
	if _, err := c.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PeekRaw(1); err != nil { // so that it is there
		t.Fatal(err)
	}
	if err := c.StartTLSServer(t.Context(), server); !isAbout(err, c, ErrPlaintext) {
		t.Errorf("a command in clear: %v", err)
	}
	if c.Buffered() {
		t.Error("the command is kept")
	}

	// What comes in clear before a server's handshake is refused as well.
	a, b = tcpPair(t)
	if _, err := a.Write(frame(0, []byte("hello"), []byte("\x00\x00\x00\x02\x00\x00\x00"))); err != nil {
		t.Fatal(err)
	}
	c = NewConn(b, PeerServer)
	if _, err := c.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PeekRaw(1); err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLSClient(t.Context(), client); !isAbout(err, c, ErrPlaintext) {
		t.Errorf("an answer in clear: %v", err)
	}
}

// prefixing writes something together with what is written first.
type prefixing struct {
	net.Conn
	prefix []byte
	once   bool
}

func (p *prefixing) Write(b []byte) (int, error) {
	if !p.once {
		return p.Conn.Write(b)
	}
	p.once = false
	if _, err := p.Conn.Write(append(p.prefix[:len(p.prefix):len(p.prefix)], b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *refServer) last() (HandshakeResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.err
}

func isServerError(err error, code uint16) bool { return errors.Is(err, &ServerError{Code: code}) }
