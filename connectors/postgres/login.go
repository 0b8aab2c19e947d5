package postgres

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the server's login method
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/backplane/backplane/connectors"
)

// Codes of authentication requests.
const (
	authOK        = 0
	authCleartext = 3
	authMD5       = 5
	authSASL      = 10
	authSASLCont  = 11
	authSASLFinal = 12
)

// authNames are the methods that a test does not support.
var authNames = map[uint32]string{2: "Kerberos 5", 6: "SCM credentials", 7: "GSSAPI", 8: "GSSAPI", 9: "SSPI"}

// maxIterations bounds the work a server may demand for SCRAM. PostgreSQL
// defaults to 4096; more than this would take seconds.
const maxIterations = 1_000_000

// login sends the startup packet and answers the server until it is ready for
// queries.
func (w *wire) login(p *connectors.Probe, c connectors.Config, encrypted bool) error {
	if err := w.startup(c.String("username"), c.String("database")); err != nil {
		return err
	}
	var conv *scram.ClientConversation
	for {
		typ, body, err := w.receive()
		if w.heard && p.Stage() == connectors.StageGreeting {
			p.Enter(connectors.StageAuth)
		}
		if err != nil {
			return err
		}
		switch typ {
		case msgReady:
			return nil
		case msgAuth:
			if len(body) < 4 {
				return errMalformed
			}
			code, data := binary.BigEndian.Uint32(body), body[4:]
			switch {
			case code == authOK:
				if conv != nil && !conv.Valid() {
					return errUnproven
				}
				p.Enter(connectors.StageSelect)
			case code == authSASL:
				conv, err = w.scramFirst(c.String("password"), data)
			case code == authSASLCont && conv != nil:
				err = w.scramNext(conv, data)
			case code == authSASLFinal && conv != nil:
				if _, err := conv.Step(string(data)); err != nil {
					return errUnproven
				}
			default:
				err = w.password(p, c, encrypted, code, data)
			}
			if err != nil {
				return err
			}
		}
	}
}

// errUnproven tells of a server that took the login without proving that it
// knows the password, as SCRAM demands (RFC 5802, section 5).
var errUnproven = &connectors.Failure{Code: connectors.AuthFailed, Detail: "the server could not prove that it knows the password",
	Hint: "Something may be impersonating the server."}

// password answers the methods that need one message.
func (w *wire) password(p *connectors.Probe, c connectors.Config, encrypted bool, code uint32, data []byte) error {
	password := c.String("password")
	switch {
	case code == authCleartext:
		if !encrypted {
			p.WarnPlaintext()
		}
		return w.send('p', append([]byte(password), 0))
	case code == authMD5 && len(data) >= 4:
		inner := md5Hex([]byte(password + c.String("username")))
		outer := md5Hex(slices.Concat([]byte(inner), data[:4]))
		return w.send('p', append([]byte("md5"+outer), 0))
	case code == authMD5, code == authSASLCont, code == authSASLFinal:
		return errMalformed
	}
	name, ok := authNames[code]
	if !ok {
		name = fmt.Sprintf("method %d", code)
	}
	return connectors.Fail(connectors.AuthUnsupported, nil, "the server asks for %s", name)
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // the server's login method
	return hex.EncodeToString(sum[:])
}

// scramFirst begins a SCRAM-SHA-256 login.
func (w *wire) scramFirst(password string, mechanisms []byte) (*scram.ClientConversation, error) {
	const mechanism = "SCRAM-SHA-256"
	offered := strings.Split(strings.Trim(string(mechanisms), "\x00"), "\x00")
	if !slices.Contains(offered, mechanism) {
		return nil, connectors.Fail(connectors.AuthUnsupported, nil, "the server offers %.100q", strings.Join(offered, ", "))
	}
	client, err := scramClient(password)
	if err != nil {
		return nil, err
	}
	conv := client.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		return nil, err
	}
	body := append([]byte(mechanism), 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(first)))
	return conv, w.send('p', append(body, first...))
}

func (w *wire) scramNext(conv *scram.ClientConversation, challenge []byte) error {
	if iterations(challenge) > maxIterations {
		return connectors.Fail(connectors.AuthUnsupported, nil, "the server demands too many SCRAM iterations")
	}
	answer, err := conv.Step(string(challenge))
	if err != nil {
		return connectors.Fail(connectors.ProtocolMismatch, err, "the server's SCRAM challenge is malformed")
	}
	return w.send('p', []byte(answer))
}

// iterations reads i= from a SCRAM challenge; 0 when there is none.
func iterations(challenge []byte) int {
	for part := range bytes.SplitSeq(challenge, []byte(",")) {
		if text, ok := bytes.CutPrefix(part, []byte("i=")); ok {
			n, err := strconv.Atoi(string(text))
			if err != nil {
				return maxIterations + 1
			}
			return n
		}
	}
	return 0
}
