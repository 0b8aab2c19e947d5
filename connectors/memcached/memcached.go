// Package memcached tests connections to memcached, to all servers of a
// service at once. It speaks both protocols by hand: the text protocol, with
// or without a login, and the binary one, which SASL needs. Start at
// Connector.Test; text.go and binary.go are the protocols.
package memcached

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/backplane/backplane/connectors"
)

// The values of the field auth.
const (
	authNone  = "none"
	authASCII = "ascii"
	authSASL  = "sasl"
)

const defaultPort = 11211

// Connector tests memcached servers.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector of type memcached.
func New() *Connector { return &Connector{} }

// Spec describes the configuration of a memcached service.
func (*Connector) Spec() connectors.Spec {
	host := connectors.HostField()
	host.Required, host.Doc = false, "Host name or IP address, for a single server instead of servers."
	port := connectors.PortField(0)
	port.Doc = "TCP port, with host; default: 11211."
	fields := []connectors.Field{
		{Name: "servers", Kind: connectors.Strings, Min: 1, Max: 64, Check: checkServers,
			Doc: "The servers as host:port; the port may be left out."},
		host, port,
		{Name: "auth", Kind: connectors.String, Enum: []string{authNone, authASCII, authSASL}, Default: authNone,
			Doc: "How to log in: ascii for servers with an authentication file, sasl for SASL PLAIN."},
		{Name: "username", Kind: connectors.String, Max: 256, Doc: "User name; only with auth."},
		{Name: "password", Kind: connectors.String, Max: 1024, Secret: true, Doc: "Password; only with auth."},
		{Name: "use_tls", Kind: connectors.Boolean, Default: false, Doc: "Encrypt the connections with TLS from their start."},
		connectors.PoolField(5),
		{Name: "timeout_ms", Kind: connectors.Integer, Min: 1, Max: 300_000, Default: int64(1000),
			Doc: "Milliseconds to wait for the servers."},
	}
	fields = append(fields, connectors.TLSFields()...)
	fields = append(fields, connectors.UnusedFields("read_timeout", "write_timeout", "operation_timeout", "max_retries", "retry_delay")...)
	return connectors.Spec{
		Type: "memcached", Title: "Memcached", Doc: "One memcached server, or several that share the keys.",
		Fields: fields, Check: check, Derive: derive,
	}
}

func derive(c connectors.Config) {
	if c.Has("host") && !c.Has("port") {
		c["port"] = int64(defaultPort)
	}
}

func check(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := checkForm(c)
	faults = append(faults, checkLogin(c)...)
	return append(faults, connectors.CheckTLS(c)...)
}

// checkForm wants the servers named exactly one way.
func checkForm(c connectors.Config) []connectors.Fault {
	switch {
	case c.Has("servers") && c.Has("host"):
		return []connectors.Fault{{Field: "host", Message: "must not be set together with servers"}}
	case c.Has("servers") && c.Has("port"):
		return []connectors.Fault{{Field: "port", Message: "goes with host; the entries of servers name their ports"}}
	case !c.Has("servers") && !c.Has("host"):
		return []connectors.Fault{{Field: "servers", Message: "is required: a list of host:port strings"}}
	}
	return nil
}

func checkLogin(c connectors.Config) (faults []connectors.Fault) {
	auth, username, password := c.String("auth"), c.String("username"), c.String("password")
	if auth == authNone {
		if username != "" || password != "" {
			faults = append(faults, connectors.Fault{Field: "auth", Message: "must be ascii or sasl when username or password is set"})
		}
		return faults
	}
	if username == "" {
		faults = append(faults, connectors.Fault{Field: "username", Message: "is required with auth " + auth})
	}
	if password == "" {
		faults = append(faults, connectors.Fault{Field: "password", Message: "is required with auth " + auth})
	}
	if auth == authASCII && strings.Contains(username, " ") {
		faults = append(faults, connectors.Fault{Field: "username", Message: "must not contain spaces with auth ascii"})
	}
	return faults
}

func checkServers(value any, env connectors.Env) error {
	list, _ := value.([]string)
	for i, s := range list {
		host, _, err := split(s)
		if err == nil {
			err = connectors.CheckHost(host, env)
		}
		if err != nil {
			return fmt.Errorf("entry %d must be host:port, with an IPv6 address in brackets", i+1)
		}
	}
	return nil
}

// split parses host, host:port, an IP address or [IPv6]:port.
func split(s string) (host string, port int, err error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, defaultPort, nil
	}
	if bare, ok := strings.CutSuffix(s, "]"); ok && strings.HasPrefix(bare, "[") {
		return bare[1:], defaultPort, nil
	}
	if !strings.Contains(s, ":") {
		return s, defaultPort, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("port %q", text)
	}
	return host, int(n), nil
}

// Test reaches all servers at once and connects only if every one answers. It
// stores nothing.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	sessions, err := open(p, c)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, s := range sessions {
		all.Go(func() { s.run(ctx) })
	}
	all.Wait()
	return conclude(p, sessions)
}

// open prepares one session per server, without connecting yet.
func open(p *connectors.Probe, c connectors.Config) ([]*session, error) {
	servers := c.Strings("servers")
	if len(servers) == 0 {
		servers = []string{net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))}
	}
	out := make([]*session, len(servers))
	for i, server := range servers {
		host, port, err := split(server)
		if err != nil {
			return nil, connectors.Fail(connectors.InvalidConfig, err, "servers, entry %d", i+1)
		}
		s := &session{p: p.Fork(), c: c, address: net.JoinHostPort(host, strconv.Itoa(port))}
		if c.Bool("use_tls") {
			if s.tls, err = connectors.TLSConfig(c, host); err != nil {
				return nil, err
			}
		}
		out[i] = s
	}
	return out, nil
}

// conclude reports every server and fails with the first that failed.
func conclude(p *connectors.Probe, sessions []*session) error {
	var first *session
	failed := 0
	for _, s := range sessions {
		p.Adopt(s.p)
		peer := connectors.Peer{Address: s.address, Version: s.version}
		if s.failure != nil {
			peer.Error = s.failure.Error()
			failed++
			if first == nil {
				first = s
			}
		}
		p.Note(func(r *connectors.Report) { r.Peers = append(r.Peers, peer) })
	}
	if first == nil {
		return nil
	}
	p.Adopt(first.p)
	f := first.failure
	if len(sessions) > 1 {
		where := fmt.Sprintf("%s (%d of %d servers failed)", first.address, failed, len(sessions))
		if f.Detail != "" {
			where += ": " + f.Detail
		}
		f.Detail = where
	}
	return f
}
