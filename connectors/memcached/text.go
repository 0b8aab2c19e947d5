package memcached

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// text is the conversation in the text protocol
// (https://github.com/memcached/memcached/blob/master/doc/protocol.txt).
func (s *session) text(ctx context.Context) error {
	line, err := s.greet(ctx)
	if err != nil {
		return err
	}
	auth := s.c.String("auth") == authASCII
	switch {
	case strings.HasPrefix(line, "CLIENT_ERROR unauthenticated"):
		if !auth {
			s.p.Enter(connectors.StageAuth)
			return &connectors.Failure{Code: connectors.AuthRequired, Hint: "Set auth to ascii, username and password."}
		}
		if line, err = s.login(); err != nil {
			return err
		}
	case auth:
		// Without authentication "set auth" would store the password as a
		// value that everybody can read.
		s.notNeeded()
	}
	version, ok := strings.CutPrefix(line, "VERSION ")
	switch {
	case strings.HasPrefix(line, "ERROR Too many open connections"):
		return &connectors.Failure{Code: connectors.ServerBusy, Detail: "too many open connections"}
	case !ok:
		return errProtocol
	}
	s.version = version
	s.send([]byte("quit\r\n"))
	return nil
}

// greet asks for the version, which proves the kind of server and shows
// whether it wants a login.
func (s *session) greet(ctx context.Context) (string, error) {
	w := s.watch(ctx)
	s.send([]byte("version\r\n"))
	line, err := readLine(s.r)
	if sasl := w.stop(); err == nil || !sasl {
		return line, err
	}
	s.p.Enter(connectors.StageAuth)
	f := &connectors.Failure{Code: connectors.AuthRequired, Hint: "Set auth to sasl, username and password.", Err: err}
	if s.c.String("auth") == authASCII {
		f.Code, f.Detail, f.Hint = connectors.AuthUnsupported, "the server offers only SASL", "Set auth to sasl."
	}
	return "", f
}

// login sends the credentials and asks for the version again.
func (s *session) login() (string, error) {
	s.enterAuth()
	credentials := s.c.String("username") + " " + s.c.String("password")
	s.send(fmt.Appendf(nil, "set auth 0 0 %d\r\n%s\r\n", len(credentials), credentials))
	line, err := readLine(s.r)
	if err != nil {
		return "", err
	}
	if line != "STORED" {
		f := &connectors.Failure{Code: connectors.AuthFailed, Err: errors.New(line)}
		if strings.ContainsAny(s.c.String("password"), ": ") {
			f.Hint = "With auth ascii, memcached ends a password at its first space or colon: choose another one."
		}
		return "", f
	}
	s.p.Enter(connectors.StageVerify)
	s.send([]byte("version\r\n"))
	return readLine(s.r)
}

// readLine reads a line of a text server. Whatever cannot begin one is refused
// at its first byte: the rest may never come.
func readLine(r *bufio.Reader) (string, error) {
	first, err := r.Peek(1)
	if err != nil {
		return "", err
	}
	if !strings.ContainsRune("CENSV", rune(first[0])) {
		return "", errProtocol
	}
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errProtocol
	}
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", errProtocol
	}
	return text, nil
}
