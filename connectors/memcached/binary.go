package memcached

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// The binary protocol, as far as a login needs it
// (https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped and
// https://github.com/memcached/memcached/wiki/SASLAuthProtocol).
const (
	magicRequest  = 0x80
	magicResponse = 0x81
	headerSize    = 24
	maxBody       = 4 << 10

	opNoop      = 0x0a
	opVersion   = 0x0b
	opQuitQuiet = 0x17
	opSASLList  = 0x20
	opSASLAuth  = 0x21

	statusOK        = 0x00
	statusAuthError = 0x20
	statusUnknown   = 0x81
	statusBusy      = 0x85
)

// statusError is an answer with a status other than fine.
type statusError uint16

func (e statusError) Error() string { return fmt.Sprintf("memcached status 0x%02x", uint16(e)) }

// binary is the conversation with a SASL login.
func (s *session) binary() error {
	version, err := s.call(opVersion, "", "")
	if err != nil {
		return s.status(err)
	}
	s.version = version
	if err := s.sasl(); err != nil {
		return err
	}
	s.p.Enter(connectors.StageVerify)
	if _, err := s.call(opNoop, "", ""); err != nil {
		return s.status(err)
	}
	s.send(request(opQuitQuiet, "", ""))
	return nil
}

func (s *session) sasl() error {
	offered, err := s.call(opSASLList, "", "")
	if errors.Is(err, statusError(statusUnknown)) {
		s.notNeeded()
		return nil
	}
	if err != nil {
		return s.status(err)
	}
	if !slices.Contains(strings.Fields(strings.ToUpper(offered)), "PLAIN") {
		s.p.Enter(connectors.StageAuth)
		return connectors.Fail(connectors.AuthUnsupported, nil, "the server offers %s, not PLAIN", offered)
	}
	s.enterAuth()
	_, err = s.call(opSASLAuth, "PLAIN", "\x00"+s.c.String("username")+"\x00"+s.c.String("password"))
	var status statusError
	if errors.As(err, &status) && status != statusBusy {
		return &connectors.Failure{Code: connectors.AuthFailed, Err: err}
	}
	return s.status(err)
}

// status explains an answer that is no success outside the login.
func (s *session) status(err error) error {
	var status statusError
	if !errors.As(err, &status) {
		return err
	}
	if status == statusAuthError {
		return &connectors.Failure{Code: connectors.PermissionDenied, Err: err}
	}
	return connectors.Fail(connectors.ServerBusy, err, "status 0x%02x", uint16(status))
}

// call sends one request and returns the value of its answer.
func (s *session) call(op byte, key, value string) (string, error) {
	s.send(request(op, key, value))
	return readResponse(s.r, op)
}

func request(op byte, key, value string) []byte {
	b := make([]byte, headerSize, headerSize+len(key)+len(value))
	b[0], b[1] = magicRequest, op
	binary.BigEndian.PutUint16(b[2:], uint16(len(key)))
	binary.BigEndian.PutUint32(b[8:], uint32(len(key)+len(value)))
	return append(append(b, key...), value...)
}

func readResponse(r *bufio.Reader, op byte) (string, error) {
	first, err := r.Peek(1)
	if err != nil {
		return "", err
	}
	if first[0] != magicResponse {
		return "", errProtocol
	}
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return "", err
	}
	skip := int(binary.BigEndian.Uint16(h[2:])) + int(h[4])
	size := binary.BigEndian.Uint32(h[8:])
	if h[1] != op || size > maxBody || skip > int(size) {
		return "", errProtocol
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	if status := binary.BigEndian.Uint16(h[6:]); status != statusOK {
		return "", statusError(status)
	}
	return string(body[skip:]), nil
}
