package email

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// maxSession bounds what a server may say in one test.
const maxSession = 1 << 20

// session is one SMTP dialogue (RFC 5321).
type session struct {
	p      *connectors.Probe
	conn   net.Conn
	in     *textproto.Reader
	out    *textproto.Writer
	first  firstBytes
	secure bool
	helo   string
	offers map[string]string // keyword to its parameters; nil without EHLO
}

func newSession(conn net.Conn, p *connectors.Probe) *session {
	s := &session{p: p}
	s.use(conn)
	return s
}

// use starts reading from a connection, with nothing buffered.
func (s *session) use(conn net.Conn) {
	s.conn = conn
	limited := io.TeeReader(io.LimitReader(conn, maxSession), &s.first)
	s.in = textproto.NewReader(bufio.NewReader(limited))
	s.out = textproto.NewWriter(bufio.NewWriter(conn))
}

func (s *session) close() { s.conn.Close() }

// reply is one answer of the server.
type reply struct {
	code int
	text string // lines joined by "\n"
}

// ask sends a command and returns the answer; err is about the connection.
func (s *session) ask(command string) (reply, error) {
	if err := s.out.PrintfLine("%s", command); err != nil {
		return reply{}, err
	}
	return s.read()
}

// read reads one answer. It stops at the first line that is none, because a
// foreign server may never send another.
func (s *session) read() (reply, error) {
	var lines []string
	for {
		line, err := s.in.ReadLine()
		if err != nil {
			return reply{}, err
		}
		code, text, more, ok := parseLine(line)
		if !ok {
			return reply{}, connectors.Mismatch("an SMTP", s.first)
		}
		lines = append(lines, text)
		if !more {
			return reply{code, strings.Join(lines, "\n")}, nil
		}
	}
}

// parseLine splits a line of an answer; more says that another follows. ok is
// false for what is no SMTP answer.
func parseLine(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, "", false, false
	}
	switch {
	case len(line) == 3:
		return code, "", false, true
	case line[3] == ' ', line[3] == '-':
		return code, line[4:], line[3] == '-', true
	}
	return 0, "", false, false
}

// greet reads the banner and introduces this machine.
func (s *session) greet(helo string) error {
	banner, err := s.read()
	if err != nil {
		return err
	}
	if banner.code != 220 {
		return s.refusedGreeting(banner)
	}
	s.p.Note(func(r *connectors.Report) { r.ServerVersion = clip(firstLine(banner.text), 120) })
	if s.helo = helo; helo == "" {
		s.helo = ownName(s.conn.LocalAddr())
	}
	return s.hello()
}

// hello sends EHLO, or HELO to servers that do not know it.
func (s *session) hello() error {
	r, err := s.ask("EHLO " + s.helo)
	if err != nil {
		return err
	}
	if r.code == 250 {
		s.offers = parseOffers(r.text)
		return nil
	}
	s.offers = nil
	if !unknownCommand(r.code) {
		return helloFailure(s.helo, r)
	}
	r, err = s.ask("HELO " + s.helo)
	switch {
	case err != nil:
		return err
	case r.code == 250:
		return nil
	case unknownCommand(r.code):
		return connectors.Mismatch("an SMTP", s.first) // an FTP server, most likely
	}
	return helloFailure(s.helo, r)
}

// startTLS encrypts the session and greets again, as RFC 3207 demands.
func (s *session) startTLS(ctx context.Context, cfg *tls.Config) error {
	s.p.Enter(connectors.StageTLS)
	if _, ok := s.offers["STARTTLS"]; !ok {
		return &connectors.Failure{Code: connectors.TLSNotSupported, Detail: "it offers " + s.offered(),
			Hint: `If the port expects TLS from the start (usually 465), use encryption "tls".`}
	}
	r, err := s.ask("STARTTLS")
	if err != nil {
		return err
	}
	if r.code != 220 {
		return startTLSFailure(r)
	}
	if s.in.R.Buffered() > 0 {
		// Anything sent before the handshake could come from someone else.
		return connectors.Fail(connectors.TLSHandshake, nil, "data before the handshake")
	}
	conn, err := s.p.Handshake(ctx, s.conn, cfg)
	if err != nil {
		return err
	}
	s.use(conn)
	s.secure = true
	return s.hello()
}

// mail names the sender and nothing more.
func (s *session) mail(from string, loggedIn bool) error {
	s.p.Enter(connectors.StageVerify)
	command := "MAIL FROM:<" + from + ">"
	if !isASCII(from) {
		if _, ok := s.offers["SMTPUTF8"]; !ok {
			return connectors.Fail(connectors.InvalidConfig, nil, "from_address is not ASCII, which this server requires")
		}
		command += " SMTPUTF8"
	}
	r, err := s.ask(command)
	if err != nil {
		return err
	}
	if r.code/100 != 2 {
		return mailFailure(from, loggedIn, r)
	}
	return nil
}

// leave takes the sender back and says goodbye. The test has succeeded by
// then, so answers do not matter; some servers lack RSET.
func (s *session) leave() {
	if _, err := s.ask("RSET"); err != nil {
		return
	}
	_, _ = s.ask("QUIT")
}

// offered is the list of EHLO keywords, for messages.
func (s *session) offered() string { return joinOffers(s.offers) }

// parseOffers reads the keywords of an EHLO answer; its first line is the
// server's name. "AUTH=PLAIN" is how servers from before RFC 4954 wrote it.
func parseOffers(text string) map[string]string {
	offers := map[string]string{}
	_, rest, _ := strings.Cut(text, "\n")
	for line := range strings.SplitSeq(rest, "\n") {
		key, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		key = strings.ToUpper(key)
		if legacy, ok := strings.CutPrefix(key, "AUTH="); ok {
			key, params = "AUTH", legacy+" "+params
		}
		if key == "" {
			continue
		}
		if before := offers[key]; before != "" {
			params = before + " " + params
		}
		offers[key] = strings.TrimSpace(params)
	}
	return offers
}

// ownName is what to greet with: the host name when it is a full one, and
// otherwise the address literal, as RFC 5321 section 4.1.4 advises.
func ownName(local net.Addr) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && heloName.MatchString(name) {
		return name
	}
	ap, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return "localhost"
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// firstBytes keeps the first bytes written to it, for telling what kind of
// server this is.
type firstBytes []byte

func (f *firstBytes) Write(b []byte) (int, error) {
	if room := 64 - len(*f); room > 0 {
		*f = append(*f, b[:min(room, len(b))]...)
	}
	return len(b), nil
}
