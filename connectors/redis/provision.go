package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

var _ connectors.Provisioner = (*Connector)(nil)

const (
	// registry is the hash whose fields are the names of the databases, with
	// the time when each was made. No login reaches it, because no database may
	// be called backplane.
	registry = "backplane:databases"
	reserved = "backplane"
	// connectTimeout bounds a connect with its login, whatever the context allows.
	connectTimeout = 5 * time.Second
	maxName        = 512
)

// Rules are those of databases that are prefixes of keys.
func (*Connector) Rules() connectors.EngineRules {
	return connectors.EngineRules{
		EngineType: "redis", Reserved: []string{reserved}, ReservedUsers: []string{"default"}, Format: dumpFormat,
	}
}

// Endpoint names the user as well, because the server knows logins by name. The
// database is in the rights of the login, and number 0 for all.
func (*Connector) Endpoint(c connectors.Config, _ string) string {
	scheme := "redis"
	if c.Bool("use_tls") {
		scheme = "rediss"
	}
	return scheme + "://<user>:<password>@" + address(c) + "/0"
}

// ConfigFor puts the login in the administrator's place. The number of the
// database is 0 for all.
func (*Connector) ConfigFor(c connectors.Config, l connectors.Login) (connectors.Config, error) {
	out := maps.Clone(c)
	out["username"], out["password"], out["database"] = l.User, l.Password, int64(0)
	return out, nil
}

func address(c connectors.Config) string {
	return net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
}

// Open logs in as the administrator, once.
func (*Connector) Open(ctx context.Context, env connectors.Env, c connectors.Config) (connectors.DatabaseServer, error) {
	s := &server{env: env, c: c, address: address(c)}
	s.client.connect = s.connect
	if _, err := s.client.all(ctx, []string{"PING"}); err != nil {
		return nil, s.failure(err)
	}
	return s, nil
}

// server makes databases on a Redis. A database is the keys and channels that
// begin with its name and a colon, all in the database number 0.
type server struct {
	env     connectors.Env
	c       connectors.Config
	address string
	client  client

	known map[string]bool // the server's commands, once they were asked for
	keep  []string        // the command that makes users outlive a restart; empty when there is none
	asked bool            // keep is found out
	// version is 0.0 until it was asked for.
	version version
}

// Close ends the connection.
func (s *server) Close() error {
	s.client.close()
	return nil
}

// connect opens a connection, makes sure that it leads to a Redis before any
// password is sent, and logs in.
func (s *server) connect(ctx context.Context) (net.Conn, *wire, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, nil, orEnded(ctx, err)
	}
	stop := bound(ctx, conn)
	w := newWire(conn)
	err = s.login(w)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, nil, orEnded(ctx, err)
	}
	return conn, w, nil
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	raw, err := s.env.Dial(ctx, "tcp", s.address)
	if err != nil || !s.c.Bool("use_tls") {
		return raw, err
	}
	cfg, err := connectors.TLSConfig(s.c, s.c.String("host"))
	if err != nil {
		raw.Close()
		return nil, err
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

func (s *server) login(w *wire) error {
	greeting, err := w.ask("HELLO", "2")
	if err != nil {
		return err
	}
	text := greeting.text
	acl := greeting.kind != '-' || strings.Contains(text, "HELLO")
	if greeting.kind == '-' && (strings.HasPrefix(text, "DENIED") || strings.Contains(text, "max number of clients")) {
		return greeting.err()
	}
	password := s.c.String("password")
	if password == "" {
		if greeting.kind == '-' && acl {
			return &connectors.Failure{Code: connectors.AuthRequired, Hint: "Set password, and username for an ACL user."}
		}
		return nil
	}
	args := []string{"AUTH", password}
	if username := s.c.String("username"); username != "" || acl {
		args = []string{"AUTH", orDefault(username), password}
	}
	answer, err := w.ask(args...)
	if err != nil {
		return err
	}
	if answer.kind == '-' {
		return refusal(reply{kind: '-', text: answer.text}, connectors.StageAuth, 0)
	}
	return nil
}

// failure explains an error of the server or of the way to it.
func (s *server) failure(err error) error {
	var refused *replyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return s.refused(refused)
	case errors.Is(err, errProtocol):
		f := connectors.Mismatch("a Redis", nil)
		f.Err = err
		return f
	}
	return connectors.Classify(err, s.address, s.c.String("password"))
}

// passing are refusals of a server that is starting, full or busy, or whose
// primary is another for now.
var passing = []string{"LOADING", "BUSY", "MASTERDOWN", "MISCONF", "OOM", "NOREPLICAS", "READONLY", "TRYAGAIN", "CLUSTERDOWN"}

// passwordHashes are how rules name passwords.
var passwordHashes = regexp.MustCompile(`#[0-9a-fA-F]{64}`)

func (s *server) refused(r *replyError) error {
	// A server, or what is in front of it, may say back what it was told; and of
	// so short a password the hash says much.
	r = &replyError{passwordHashes.ReplaceAllString(r.text, "#***")}
	if slices.ContainsFunc(passing, r.hasCode) || strings.Contains(r.text, "max number of clients") {
		return &connectors.Failure{Code: connectors.ServerBusy, Detail: r.text, Err: r}
	}
	f := refusal(reply{kind: '-', text: r.text}, connectors.StageVerify, 0)
	if f.Code == connectors.ServerBusy { // nothing that the shared table knows
		f.Code, f.Phrase = connectors.Internal, "The server refuses a command"
	}
	return f
}

// checkName refuses what cannot be part of a rule: the server splits rules at
// white space, and reads quotes where it finds users in its configuration.
func checkName(what, name, more string) error {
	bad := func(why string) error {
		return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: "Name not allowed", Detail: fmt.Sprintf("a %s of Redis %s", what, why)}
	}
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`"'\`+more, r)
	}
	switch {
	case name == "" || len(name) > maxName:
		return bad("has a name of 1 to " + strconv.Itoa(maxName) + " bytes")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, odd):
		return bad(`has no spaces, control characters, or any of "'\` + more + ` in its name`)
	}
	return nil
}

func checkDatabase(name string) error {
	if name == reserved {
		return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: "Name not allowed", Detail: strconv.Quote(name) + " is reserved"}
	}
	return checkName("database", name, ":")
}

// prefix is what the keys of a database begin with.
func prefix(database string) string { return database + ":" }

// pattern is the glob that matches the keys of a database and no others.
func pattern(database string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(prefix(database)) + "*"
}

func missing(database string) error {
	return connectors.Missing(connectors.DatabaseMissing, "Database", database, nil)
}
