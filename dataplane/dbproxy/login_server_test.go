package dbproxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

// realm is a server with accounts of all kinds.
type realm struct {
	*testbed.MariaDB
	ca, clients *testbed.CA
	cert        testbed.Cert
}

var accounts = []string{
	"CREATE DATABASE shop",
	"CREATE TABLE shop.t (a INT)",
	"CREATE DATABASE other",
	"CREATE USER app@'%' IDENTIFIED BY 'secret'",
	"GRANT ALL ON shop.* TO app@'%'",
	"CREATE USER empty@'%'",
	"CREATE USER net@'127.0.0.0/255.255.255.0' IDENTIFIED BY 'secret'",
	"CREATE USER host@'127.0.0.1' IDENTIFIED BY 'here'",
	"CREATE USER host@'%' IDENTIFIED BY 'anywhere'",
	"CREATE USER away@'192.0.2.%' IDENTIFIED BY 'secret'",
	"CREATE USER locked@'%' IDENTIFIED BY 'secret' ACCOUNT LOCK",
	"CREATE USER secure@'%' IDENTIFIED BY 'secret' REQUIRE SSL",
	"CREATE USER certified@'%' IDENTIFIED BY 'secret' REQUIRE X509",
	"CREATE USER named@'%' IDENTIFIED BY 'secret' REQUIRE SUBJECT '/CN=someone'",
	"CREATE USER invalid@'%' IDENTIFIED VIA mysql_native_password USING 'invalid'",
	"CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')",
	"GRANT ALL ON shop.* TO ed@'%'",
	"CREATE USER either@'%' IDENTIFIED VIA ed25519 USING PASSWORD('one') OR mysql_native_password USING PASSWORD('two')",
	"CREATE ROLE reader",
	"GRANT SELECT ON shop.* TO reader",
	"CREATE USER roled@'%' IDENTIFIED BY 'secret'",
	"GRANT reader TO roled@'%'",
	"SET DEFAULT ROLE reader FOR roled@'%'",
	"CREATE USER roleless@'%' IDENTIFIED BY 'secret'",
	"GRANT reader TO roleless@'%'",
	"CREATE USER `it's`@'%' IDENTIFIED BY 'secret'",
	"CREATE USER backend@'%' IDENTIFIED BY 'hidden'",
	"GRANT ALL ON shop.* TO backend@'%'",
	"CREATE USER service@'%' IDENTIFIED BY 'service'",
	"GRANT SELECT ON mysql.* TO service@'%'",
	"GRANT SHOW DATABASES ON *.* TO service@'%'",
}

func newRealm(t *testing.T, settings ...string) *realm {
	t.Helper()
	r := &realm{ca: testbed.NewCA(t), clients: testbed.NewCA(t)}
	r.cert = r.ca.Issue(t, "127.0.0.1")
	r.MariaDB = testbed.StartMariaDB(t, testbed.MariaDBOptions{Cert: &r.cert, ClientCA: r.clients, Settings: settings})
	r.Exec(t, accounts...)
	return r
}

// proxy starts a proxy before the server.
func (r *realm) proxy(t *testing.T, o proxytest.Options) *proxytest.Proxy {
	t.Helper()
	o.Modules, o.Servers = builtin.Modules(), []*testbed.MariaDB{r.MariaDB}
	if o.User == "" {
		o.User, o.Password = "service", "service"
	}
	return proxytest.Start(t, o)
}

// client is how a client connects.
type client struct {
	addr                     string
	user, password, database string
	tls                      *tls.Config
	from                     string // address, "" for any
	header                   string // sent first
	change                   func(*mysql.Config)
}

// connect returns who the server says the client is: USER(), CURRENT_USER()
// and the database, or the error.
func (c client) connect(t *testing.T) string {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName, cfg.Net, cfg.Addr = c.user, c.password, c.database, "tcp", c.addr
	cfg.TLS, cfg.AllowFallbackToPlaintext, cfg.Logger = c.tls, false, &mysql.NopLogger{}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = proxytest.Patience, proxytest.Patience, proxytest.Patience
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		if c.from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.from)}
		}
		if strings.HasPrefix(addr, "/") {
			network = "unix"
		}
		nc, err := d.DialContext(ctx, network, addr)
		if err == nil && c.header != "" {
			_, err = nc.Write([]byte(c.header))
		}
		return nc, err
	}
	if c.change != nil {
		c.change(cfg)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	var user, account string
	var database sql.NullString
	err = db.QueryRowContext(t.Context(), "SELECT USER(), CURRENT_USER(), DATABASE()").Scan(&user, &account, &database)
	var refused *mysql.MySQLError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case err != nil:
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%s as %s in %s", user, account, database.String)
}

// TestLoginAsOnServer makes the same logins on a server and through a proxy,
// and expects the same of both.
func TestLoginAsOnServer(t *testing.T) {
	r := newRealm(t)
	cert := r.ca.Issue(t, "127.0.0.1")
	dir := t.TempDir()
	certFile, keyFile := cert.Files(t, dir, "proxy", "")
	ca := filepath.Join(dir, "clients.crt")
	testbed.Write(t, ca, r.clients.PEM)
	testbed.Write(t, filepath.Join(dir, "ca.crt"), r.ca.PEM)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM([]byte(r.ca.PEM))
	mine := r.clients.Issue(t, "someone")
	mineFile, mineKey := mine.Files(t, dir, "client", "")
	pair, err := tls.X509KeyPair([]byte(mine.CertPEM), []byte(mine.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	anonymous := &tls.Config{RootCAs: trust, ServerName: "127.0.0.1"}
	certified := &tls.Config{RootCAs: trust, ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}}
	settings := map[string]any{"skip_name_resolve": true} // as the server
	plain := r.proxy(t, proxytest.Options{Settings: settings})
	secure := r.proxy(t, proxytest.Options{
		Settings:     settings,
		Listener:     map[string]any{"ssl": true, "ssl_cert": certFile, "ssl_key": keyFile, "ssl_ca": ca},
		ServerParams: map[string]any{"ssl": true, "ssl_cert": mineFile, "ssl_key": mineKey, "ssl_ca": filepath.Join(dir, "ca.crt"), "ssl_verify_peer_certificate": true, "ssl_verify_peer_host": true},
	})
	attempts := []client{
		{user: "app", password: "secret", database: "shop"}, {user: "app", password: "secret"}, {user: "app", password: "wrong"}, {user: "app"},
		{user: "app", password: "secret", database: "other"}, {user: "app", password: "secret", database: "nowhere"},
		{user: "app", password: "secret", database: "SHOP"}, {user: "app", password: "secret", database: "information_schema"},
		{user: "nobody", password: "secret"}, {user: "nobody"}, {user: "", password: "secret"}, {user: ""},
		{user: "empty"}, {user: "empty", password: "secret"}, {user: "empty", database: "shop"},
		{user: "net", password: "secret"}, {user: "net", password: "secret", from: "127.0.0.2"}, {user: "net", password: "secret", from: "127.1.0.1"},
		{user: "host", password: "here"}, {user: "host", password: "anywhere"},
		{user: "away", password: "secret"}, {user: "locked", password: "secret"}, {user: "locked", password: "wrong"},
		{user: "invalid", password: "secret"}, {user: "invalid"},
		{user: "roled", password: "secret", database: "shop"}, {user: "roleless", password: "secret", database: "shop"},
		{user: "roled", password: "secret", database: "other"}, {user: "reader"}, {user: "it's", password: "secret"}, {user: "it's", password: "wrong"},
		{user: "root", password: r.Password}, {user: "root", password: r.Password, database: "nowhere"}, {user: "root", password: "wrong"},
		{user: "secure", password: "secret"}, {user: "certified", password: "secret"}, {user: "named", password: "secret"},
	}
	for _, tls := range []*tls.Config{nil, anonymous, certified} {
		for _, c := range attempts {
			c.tls, c.addr = tls, testbed.Addr(r.Port)
			want := c.connect(t)
			c.addr = plain.Addr(t)
			if tls != nil {
				c.addr = secure.Addr(t)
			}
			got := c.connect(t)
			if c.from != "" { // the server sees the proxy's address
				want = strings.ReplaceAll(want, "@"+c.from+" as", "@127.0.0.1 as")
			}
			if got != want {
				t.Errorf("%q with %q in %q from %q, TLS %v:\n%s\nthe server: %s", c.user, c.password, c.database, c.from, tls != nil, got, want)
			}
		}
	}
}
