package email

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"github.com/backplane/backplane/connectors"
)

const authAuto = "auto"

// maxIterations bounds the key derivation that a server may ask for in SCRAM,
// which no deadline could interrupt.
const maxIterations = 1_000_000

// mechanism is a login method.
type mechanism struct {
	name     string // as configured
	sasl     string // as the server lists it
	readable bool   // sends the password, or a token as good as it
	auto     bool   // taken without being asked for
	make     func(user, password string) smtp.Auth
}

// mechanisms returns the login methods, best first on an encrypted line. The
// library's own check against readable logins is off: the choice is made
// here, from what is known of the line.
func mechanisms() []mechanism {
	const host, allow = "", true
	return []mechanism{
		{name: "scram-sha-256", sasl: "SCRAM-SHA-256", auto: true, make: smtp.ScramSHA256Auth},
		{name: "scram-sha-1", sasl: "SCRAM-SHA-1", auto: true, make: smtp.ScramSHA1Auth},
		{name: "plain", sasl: "PLAIN", readable: true, auto: true,
			make: func(u, p string) smtp.Auth { return smtp.PlainAuth("", u, p, host, allow) }},
		{name: "login", sasl: "LOGIN", readable: true, auto: true,
			make: func(u, p string) smtp.Auth { return smtp.LoginAuth(u, p, host, allow) }},
		{name: "cram-md5", sasl: "CRAM-MD5", auto: true, make: smtp.CRAMMD5Auth},
		{name: "xoauth2", sasl: "XOAUTH2", readable: true, make: smtp.XOAuth2Auth},
	}
}

func mechanismNames() []string {
	var names []string
	for _, m := range mechanisms() {
		names = append(names, m.name)
	}
	return names
}

func mechanismNamed(name string) (mechanism, bool) {
	all := mechanisms()
	i := slices.IndexFunc(all, func(m mechanism) bool { return m.name == name })
	if i < 0 {
		return mechanism{}, false
	}
	return all[i], true
}

// login authenticates with the configured method or the best offered.
func (s *session) login(c connectors.Config) error {
	s.p.Enter(connectors.StageAuth)
	m, err := s.choose(c.String("auth"), c.Bool("allow_plaintext_auth"))
	if err != nil {
		return err
	}
	if m.readable && !s.secure {
		s.p.WarnPlaintext()
	}
	return s.authenticate(m, c.String("username"), c.String("password"))
}

// choose picks a method that the server offers. On a line in clear, methods
// that show the password come last and only when allowed.
func (s *session) choose(want string, allowReadable bool) (mechanism, error) {
	offered := strings.Fields(strings.ToUpper(s.offers["AUTH"]))
	var last *mechanism
	for _, m := range mechanisms() {
		if !slices.Contains(offered, m.sasl) || want != m.name && (want != authAuto || !m.auto) {
			continue
		}
		switch {
		case !m.readable || s.secure:
			return m, nil
		case allowReadable && last == nil:
			last = &m
		}
	}
	if last != nil {
		return *last, nil
	}
	return mechanism{}, s.noMethod(offered)
}

func (s *session) noMethod(offered []string) error {
	f := &connectors.Failure{Code: connectors.AuthUnsupported}
	if len(offered) == 0 {
		f.Detail = "the server offers no login, only " + s.offered()
	} else {
		f.Detail = "the server offers " + clip(strings.Join(offered, " "), 200)
	}
	if _, ok := s.offers["STARTTLS"]; ok && !s.secure {
		f.Hint = `The server may offer more once encrypted: use encryption "starttls".`
	}
	return f
}

// authenticate runs the exchange of RFC 4954 section 4.
func (s *session) authenticate(m mechanism, user, password string) error {
	auth := m.make(user, password)
	_, first, err := auth.Start(&smtp.ServerInfo{TLS: s.secure})
	if err != nil {
		return err
	}
	command := "AUTH " + m.sasl
	if withFirst := command + " " + encode(first); first != nil && len(withFirst) <= 510 {
		// The limit is that of a command line; longer ones wait for a prompt.
		command, first = withFirst, nil
	}
	r, err := s.ask(command)
	proven := !strings.HasPrefix(m.sasl, "SCRAM")
	for err == nil && r.code == 334 {
		answer := first
		if first == nil {
			challenge, bad := decode(r.text)
			if bad == nil {
				answer, bad = auth.Next(challenge, true)
			}
			if bad != nil {
				return s.abort(bad)
			}
			// What comes last in SCRAM is the server's own proof, and the
			// library has just checked it.
			proven = proven || bytes.HasPrefix(challenge, []byte("v="))
		}
		first = nil
		r, err = s.ask(encode(answer))
	}
	switch {
	case err != nil:
		return err
	case r.code != 235:
		return authFailure(r, s.offers["AUTH"])
	case !proven:
		return connectors.Fail(connectors.AuthFailed, nil, "the server did not prove that it knows the password")
	}
	return nil
}

func decode(text string) ([]byte, error) {
	challenge, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the server's challenge is not base64: %w", err)
	}
	if tooCostly(challenge) {
		return nil, errors.New("the server asks for too long a key derivation")
	}
	return challenge, nil
}

// tooCostly looks for the iteration count in a SCRAM challenge (RFC 5802).
func tooCostly(challenge []byte) bool {
	if !bytes.HasPrefix(challenge, []byte("r=")) {
		return false
	}
	for part := range bytes.SplitSeq(challenge, []byte(",")) {
		if n, ok := bytes.CutPrefix(part, []byte("i=")); ok {
			i, err := strconv.Atoi(string(n))
			return err != nil || i < 1 || i > maxIterations
		}
	}
	return false
}

// abort ends an exchange that the client cannot go on with.
func (s *session) abort(cause error) error {
	_, _ = s.ask("*")
	return connectors.Fail(connectors.AuthFailed, cause, "the exchange went wrong on the server's side")
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
