package memcached

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/backplane/backplane/connectors"
)

// errProtocol says that the peer does not speak memcached's protocol.
var errProtocol = errors.New("not a memcached answer")

// maxLine bounds a line of the text protocol; a version is far shorter.
const maxLine = 2 << 10

// session is the conversation with one server.
type session struct {
	p       *connectors.Probe
	c       connectors.Config
	address string
	tls     *tls.Config // nil for plain

	conn net.Conn
	r    *bufio.Reader

	version string
	failure *connectors.Failure
}

// run tests the server and leaves the outcome in version and failure.
func (s *session) run(ctx context.Context) {
	err := s.connect(ctx)
	if err == nil {
		defer s.conn.Close()
		if s.c.String("auth") == authSASL {
			err = s.binary()
		} else {
			err = s.text(ctx)
		}
	}
	if err == nil {
		s.p.Verified()
		s.p.Note(func(r *connectors.Report) { r.ServerVersion = s.version })
		return
	}
	s.failure = s.explain(err)
}

func (s *session) connect(ctx context.Context) (err error) {
	if s.tls == nil {
		s.conn, err = s.p.Dial(ctx, "tcp", s.address)
	} else {
		s.conn, err = s.p.DialTLS(ctx, "tcp", s.address, s.tls)
	}
	s.r = bufio.NewReaderSize(s.conn, maxLine)
	return err
}

// explain adds what only this protocol knows to a broken conversation.
func (s *session) explain(err error) *connectors.Failure {
	first := s.p.First()
	switch {
	case isTLSRecord(first) && s.tls == nil:
		err = &connectors.Failure{Code: connectors.TLSRequired, Hint: "Set use_tls.", Err: err}
	case errors.Is(err, errProtocol):
		f := connectors.Mismatch("a memcached", first)
		f.Err = err
		err = f
	case isEOF(err) && s.p.Stage() == connectors.StageGreeting:
		hint := "The server may expect TLS: try use_tls."
		if s.tls != nil {
			hint = "The server may want a client certificate."
		}
		err = &connectors.Failure{Code: connectors.Closed, Hint: hint, Err: err}
	}
	f := s.p.Explain(err)
	if f.Code == connectors.Timeout && f.Stage == connectors.StageGreeting && s.c.String("auth") == authSASL {
		f.Hint = "A server without the binary protocol says nothing to a SASL login: try auth ascii."
	}
	return f
}

func isTLSRecord(b []byte) bool {
	return len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// send writes a command. A server that refuses the connection says why and
// closes, so what can still be read is worth more than the failed write.
func (s *session) send(b []byte) {
	_, _ = s.conn.Write(b)
}

// enterAuth marks the login, and warns of a password in the clear.
func (s *session) enterAuth() {
	s.p.Enter(connectors.StageAuth)
	if s.tls == nil {
		s.p.WarnPlaintext()
	}
}

func (s *session) notNeeded() {
	s.p.Warn("password_not_needed", "The server has no login: it lets everyone in.")
}

// saslProbe watches a silent greeting: a server started for SASL says nothing
// to the text protocol, but tells its version to a binary client.
type saslProbe struct {
	cancel context.CancelFunc
	done   chan struct{}
	found  bool
}

// watch asks over a second connection once half the time is gone, and when a
// binary answer comes, ends the wait on the first.
func (s *session) watch(ctx context.Context) *saslProbe {
	ctx, cancel := context.WithCancel(ctx)
	w := &saslProbe{cancel: cancel, done: make(chan struct{})}
	probe := &session{p: s.p.Fork(), c: s.c, address: s.address, tls: s.tls}
	go func() {
		defer close(w.done)
		deadline, ok := ctx.Deadline()
		if !ok {
			return
		}
		half := time.NewTimer(time.Until(deadline) / 2)
		defer half.Stop()
		select {
		case <-ctx.Done():
			return
		case <-half.C:
		}
		if probe.connect(ctx) != nil {
			return
		}
		defer probe.conn.Close()
		if _, err := probe.call(opVersion, "", ""); err == nil {
			w.found = true
			s.conn.Close()
		}
	}()
	return w
}

// stop ends the watch and reports whether the server is one for SASL.
func (w *saslProbe) stop() bool {
	w.cancel()
	<-w.done
	return w.found
}
