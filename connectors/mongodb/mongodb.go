// Package mongodb tests connections to MongoDB and servers that speak its
// protocol. The official driver does the talking, on connections of the shared
// dialer; what it would only tell after its whole selection timeout is learned
// from its events instead. Start at Connector.Test: uri.go and options.go read
// the configuration, srv.go the DNS, dial.go connects, watch.go follows the
// driver, errors.go explains.
package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

const defaultPort = 27017

// Connector tests MongoDB deployments.
type Connector struct {
	dns resolver
}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector of type mongodb.
func New() *Connector { return &Connector{dns: net.DefaultResolver} }

// Spec describes the configuration of a MongoDB service.
func (*Connector) Spec() connectors.Spec {
	host := connectors.HostField()
	host.Required, host.Doc = false, "Host name or IP address, instead of uri."
	port := connectors.PortField(0)
	port.Doc = "TCP port, with host; default: 27017."
	fields := []connectors.Field{
		{Name: "uri", Kind: connectors.String, Mask: mask, Parts: secrets, Check: checkURI,
			Doc: "Connection string, mongodb:// or mongodb+srv://; or give host and the fields that follow."},
		host, port,
		{Name: "username", Kind: connectors.String, Max: 256, Doc: "User name, with host."},
		{Name: "password", Kind: connectors.String, Secret: true, Doc: "Password, with host."},
		{Name: "auth_source", Kind: connectors.String, Check: checkDatabase, Doc: "Database that knows the user, with host; default: admin."},
		{Name: "replica_set", Kind: connectors.String, Min: 1, Max: 128, Doc: "Name of the replica set, with host."},
		{Name: "use_tls", Kind: connectors.Boolean, Doc: "Encrypt with TLS, with host; default: false. A uri says tls=true."},
		{Name: "direct_connection", Kind: connectors.Boolean, Doc: "Talk to this host alone, with host; default: false."},
		{Name: "database", Kind: connectors.String, Required: true, Check: checkDatabase, Doc: "Name of the database."},
		{Name: "min_pool_size", Kind: connectors.Integer, Min: 0, Max: 1000, Default: int64(1), Doc: "Connections that a user of the service should keep at least."},
		{Name: "max_pool_size", Kind: connectors.Integer, Min: 1, Max: 1000, Default: int64(10), Doc: "Connections that a user of the service should keep at most."},
		{Name: "connect_timeout_ms", Kind: connectors.Integer, Min: 1, Max: 300_000, Default: int64(10_000), Doc: "Milliseconds to wait for the server."},
	}
	fields = append(fields, connectors.TLSFields()...)
	fields = append(fields, connectors.UnusedFields("read_timeout", "write_timeout", "operation_timeout", "max_retries", "retry_delay")...)
	return connectors.Spec{
		Type: "mongodb", Title: "MongoDB", Doc: "A MongoDB server, replica set or cluster.",
		Fields: fields, Check: check, Derive: derive,
	}
}

func derive(c connectors.Config) {
	if !c.Has("host") || c.Has("uri") {
		return
	}
	for key, value := range map[string]any{"port": int64(defaultPort), "use_tls": false, "direct_connection": false} {
		if !c.Has(key) {
			c[key] = value
		}
	}
}

func check(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := checkForm(c)
	if c.Int("min_pool_size") > c.Int("max_pool_size") {
		faults = append(faults, connectors.Fault{Field: "min_pool_size", Message: "must not be above max_pool_size"})
	}
	return append(faults, connectors.CheckTLS(c)...)
}

// checkForm wants a uri, or a host with its fields, and nothing of both.
func checkForm(c connectors.Config) (faults []connectors.Fault) {
	if !c.Has("uri") && !c.Has("host") {
		return []connectors.Fault{{Field: "uri", Message: "is required, or host instead"}}
	}
	if c.Has("uri") {
		for _, key := range []string{"host", "port", "username", "password", "auth_source", "replica_set", "use_tls", "direct_connection"} {
			if c.Has(key) {
				faults = append(faults, connectors.Fault{Field: key, Message: "must not be set together with uri, which says it itself"})
			}
		}
		return faults
	}
	if c.String("username") != "" && c.String("password") == "" {
		faults = append(faults, connectors.Fault{Field: "password", Message: "is required with username"})
	}
	if c.String("password") != "" && c.String("username") == "" {
		faults = append(faults, connectors.Fault{Field: "username", Message: "is required with password"})
	}
	return faults
}

func checkDatabase(value any, _ connectors.Env) error {
	s, _ := value.(string)
	if len(s) < 1 || len(s) > 63 || strings.ContainsAny(s, `/\. "$*<>:|?`) {
		return errors.New(`must be 1 to 63 bytes long, without spaces and /\."$*<>:|?`)
	}
	return nil
}

// target is the deployment that the configuration means.
func target(c connectors.Config) (*uri, error) {
	if c.Has("uri") {
		u, err := parse(c.String("uri"))
		if err != nil {
			return nil, connectors.Fail(connectors.InvalidConfig, nil, "uri %v", err)
		}
		return u, nil
	}
	u := &uri{
		user: c.String("username"), password: c.String("password"), hasUser: c.String("username") != "",
		hosts: []string{net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))},
	}
	u.set("authSource", c.String("auth_source"))
	u.set("replicaSet", c.String("replica_set"))
	if c.Bool("use_tls") {
		u.set("tls", "true")
	}
	if c.Bool("direct_connection") {
		u.set("directConnection", "true")
	}
	return u, nil
}

// Test finds the servers, lets the driver connect and log in, and lists the
// database's collections, which proves the login: a ping does not need one.
func (m *Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	u, err := target(c)
	if err != nil {
		return err
	}
	if u.srv {
		p.Enter(connectors.StageResolve)
		if err := u.resolve(ctx, m.dns); err != nil {
			return err
		}
	}
	if err := reach(ctx, p, u.hosts); err != nil {
		return err
	}
	s := &session{p: p, c: c, uri: u}
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close()
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := s.login(ctx); err != nil {
		return err
	}
	if err := s.list(ctx); err != nil {
		return err
	}
	s.describe(ctx)
	return nil
}

// reach opens and closes a plain connection to every seed at once. The driver
// would wait out its whole selection timeout to tell a refused port.
func reach(ctx context.Context, p *connectors.Probe, seeds []string) error {
	forks := make([]*connectors.Probe, len(seeds))
	outcome := make(chan struct {
		i   int
		err error
	})
	for i, seed := range seeds {
		forks[i] = p.Fork()
		go func() {
			conn, err := forks[i].Dial(ctx, "tcp", seed)
			if err == nil {
				err = conn.Close()
			}
			outcome <- struct {
				i   int
				err error
			}{i, err}
		}()
	}
	failures := make([]*connectors.Failure, len(seeds))
	good := -1
	for range seeds {
		o := <-outcome
		if o.err != nil {
			failures[o.i] = forks[o.i].Explain(o.err)
		} else if good < 0 {
			good = o.i
		}
	}
	if good >= 0 {
		p.Adopt(forks[good])
		return nil
	}
	p.Adopt(forks[0])
	f := failures[0]
	if len(seeds) > 1 {
		f.Detail = strings.TrimSuffix(fmt.Sprintf("none of %d servers was reached, %s first: %s", len(seeds), seeds[0], f.Detail), ": ")
	}
	return f
}
