package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func pool(t *testing.T, pem string) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(pem)) {
		t.Fatal("no certificate")
	}
	return p
}

// dialLogin connects and logs in.
func dialLogin(t *testing.T, addr string, o LoginOptions) (*Conn, *LoginResult, error) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := NewConn(nc, PeerServer)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if o.User == "" {
		o.User = "app"
	}
	r, err := Login(ctx, c, o)
	return c, r, err
}

func TestLogin(t *testing.T) {
	serverTLS, clientTLS := serverTLS(t)
	native, sha2 := HashNative("secret").Credentials(), HashSHA2("secret").Credentials()
	for _, c := range []struct {
		name    string
		server  *refServer
		options LoginOptions
		want    error
	}{
		{"native", &refServer{begins: PluginNative, plugin: PluginNative}, LoginOptions{Credentials: Password("secret")}, nil},
		{"native by hash", &refServer{begins: PluginNative, plugin: PluginNative}, LoginOptions{Credentials: native}, nil},
		{"native by switch", &refServer{begins: PluginSHA2, plugin: PluginNative, maria: true}, LoginOptions{Credentials: native}, nil},
		{"native, wrong", &refServer{begins: PluginNative, plugin: PluginNative}, LoginOptions{Credentials: Password("Secret")}, &ServerError{Code: 1045}},
		{"native, empty", &refServer{begins: PluginNative, plugin: PluginNative}, LoginOptions{Credentials: Password("")}, &ServerError{Code: 1045}},
		{"native under TLS", &refServer{begins: PluginNative, plugin: PluginNative, tls: serverTLS}, LoginOptions{Credentials: native, TLS: clientTLS}, nil},
		{"no TLS", &refServer{begins: PluginNative, plugin: PluginNative}, LoginOptions{Credentials: native, TLS: clientTLS}, ErrNoTLS},
		{"sha2, fast", &refServer{begins: PluginSHA2, plugin: PluginSHA2}, LoginOptions{Credentials: Password("secret")}, nil},
		{"sha2, fast by hash", &refServer{begins: PluginSHA2, plugin: PluginSHA2}, LoginOptions{Credentials: sha2}, nil},
		{"sha2 by switch", &refServer{begins: PluginNative, plugin: PluginSHA2}, LoginOptions{Credentials: sha2}, nil},
		{"sha2 by TLS", &refServer{begins: PluginSHA2, plugin: PluginSHA2, uncache: true, tls: serverTLS}, LoginOptions{Credentials: Password("secret"), TLS: clientTLS}, nil},
		{"sha2 by TLS, wrong", &refServer{begins: PluginSHA2, plugin: PluginSHA2, tls: serverTLS}, LoginOptions{Credentials: Password("Secret"), TLS: clientTLS}, &ServerError{Code: 1045}},
		{"sha2 by hash, not cached", &refServer{begins: PluginSHA2, plugin: PluginSHA2, uncache: true}, LoginOptions{Credentials: sha2}, ErrPlugin},
		{"sha2 by key asked for", &refServer{begins: PluginSHA2, plugin: PluginSHA2, uncache: true, key: rsaKey()}, LoginOptions{Credentials: Password("secret"), AskServerKey: true}, nil},
		{"sha2 by key known", &refServer{begins: PluginSHA2, plugin: PluginSHA2, uncache: true, key: rsaKey()}, LoginOptions{Credentials: Password("secret"), ServerKey: &rsaKey().PublicKey}, nil},
		{"sha2 in the open", &refServer{begins: PluginSHA2, plugin: PluginSHA2, uncache: true, key: rsaKey()}, LoginOptions{Credentials: Password("secret")}, ErrPlugin},
		{"ed25519", &refServer{begins: PluginNative, plugin: PluginEd25519}, LoginOptions{Credentials: Password("secret")}, nil},
		{"ed25519 from the beginning", &refServer{begins: PluginEd25519, plugin: PluginEd25519}, LoginOptions{Credentials: Password("secret")}, nil},
		{"ed25519, wrong", &refServer{begins: PluginNative, plugin: PluginEd25519}, LoginOptions{Credentials: Password("Secret")}, &ServerError{Code: 1045}},
		{"ed25519 by hash", &refServer{begins: PluginNative, plugin: PluginEd25519}, LoginOptions{Credentials: native}, ErrPlugin},
		{"clear", &refServer{begins: PluginNative, plugin: PluginClear, tls: serverTLS}, LoginOptions{Credentials: Password("secret"), TLS: clientTLS, AllowClear: true}, nil},
		{"clear, not allowed", &refServer{begins: PluginNative, plugin: PluginClear, tls: serverTLS}, LoginOptions{Credentials: Password("secret"), TLS: clientTLS}, ErrPlugin},
		{"clear, in the open", &refServer{begins: PluginClear, plugin: PluginClear}, LoginOptions{Credentials: Password("secret"), AllowClear: true}, ErrPlugin},
		{"unknown plugin", &refServer{begins: "auth_gssapi_client", plugin: "auth_gssapi_client"}, LoginOptions{Credentials: native}, ErrPlugin},
		{"lacking", &refServer{begins: PluginNative, plugin: PluginNative}, LoginOptions{Credentials: native, Required: CapBulkOperations}, ErrCapabilities},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := startRefServer(t, c.server)
			conn, r, err := dialLogin(t, addr, c.options)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err != nil {
				if strings.Contains(strings.ToLower(err.Error()), "secret") {
					t.Errorf("the password shows: %v", err)
				}
				return
			}
			if r.Plugin != c.server.plugin || r.Greeting.ConnectionID != 42 || r.OK.Status != StatusAutocommit {
				t.Errorf("%+v", r)
			}
			var reply Reply
			if rows := query(t, conn, &reply, r.Capabilities, "SELECT 1"); reply.Rows() != 1 || rows != 1 {
				t.Errorf("%+v", reply)
			}
		})
	}
}

// query runs a statement and counts rows by the kinds of the packets.
func query(t *testing.T, c *Conn, r *Reply, caps Capability, statement string) (rows int) {
	t.Helper()
	must(t, c.WriteCommand(ComQuery, []byte(statement)...))
	must(t, c.Flush())
	for r.Start(ComQuery, caps); !r.Done(); {
		p, err := c.ReadPacket()
		if err != nil {
			t.Fatal(err)
		}
		kind, err := r.Feed(p, min(len(p), MaxPayload))
		if err != nil {
			t.Fatal(err)
		}
		if kind == KindRow {
			rows++
		}
	}
	return rows
}

func TestLoginTells(t *testing.T) {
	s := &refServer{begins: PluginNative, plugin: PluginNative, maria: true}
	addr := startRefServer(t, s)
	attributes := []Attribute{{"_client_name", "backplane"}, {"program_name", "test"}}
	_, r, err := dialLogin(t, addr, LoginOptions{
		User: "app", Database: "shop", Credentials: Password("secret"), Attributes: attributes, Charset: CharsetLatin1, MaxPacket: 12345,
		Capabilities: CapMultiStatements | CapDeprecateEOF | CapSSL | CapBulkOperations | CapCompress, Required: CapSessionTrack,
	})
	if err != nil {
		t.Fatal(err)
	}
	h, _ := s.last()
	if h.User != "app" || h.Database != "shop" || h.Charset != CharsetLatin1 || h.MaxPacket != 12345 || !reflect.DeepEqual(h.Attributes, attributes) {
		t.Errorf("the server saw %+v", h)
	}
	if !r.Capabilities.Has(CapMultiStatements|CapDeprecateEOF|CapBulkOperations|CapSessionTrack|CapConnectWithDB) || r.Capabilities&(CapSSL|CapCompress|CapMySQL) != 0 {
		t.Errorf("capabilities %#x", r.Capabilities)
	}
	if h.Capabilities != r.Capabilities {
		t.Errorf("capabilities %#x, the server saw %#x", r.Capabilities, h.Capabilities)
	}
}

func TestLoginEnds(t *testing.T) {
	// A server that says nothing.
	a, _ := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := Login(ctx, NewConn(a, PeerServer), LoginOptions{User: "app", Credentials: Password("secret")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// One that says nothing once TLS should begin.
	_, client := serverTLS(t)
	silent := Greeting{Version: "8", Scramble: pattern(20), Capabilities: refCaps | CapSSL, Plugin: PluginSHA2}
	a, b := tcpPair(t)
	if _, err := b.Write(frame(0, silent.Append(nil))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Login(ctx, NewConn(a, PeerServer), LoginOptions{User: "app", Credentials: Password("secret"), TLS: client}); !timedOut(err) {
		t.Errorf("no handshake: %v", err)
	}
	greeting := Greeting{Version: "8", Scramble: pattern(20), Capabilities: refCaps, Plugin: PluginSHA2}
	for name, said := range map[string][][]byte{
		"endless switches":     repeat((&AuthSwitch{Plugin: PluginNative, Data: pattern(20)}).Append(nil), 100),
		"endless confirmation": repeat(AppendAuthMore(nil, []byte{SHA2FastOK}), 100),
		"a short challenge":    {(&AuthSwitch{Plugin: PluginNative, Data: pattern(5)}).Append(nil)},
		"an empty packet":      {nil},
		"a row":                {{5}},
		"an empty challenge":   {AppendAuthMore(nil, nil)},
	} {
		stream := frame(0, greeting.Append(nil))
		for i, p := range said {
			seq := byte(2 + 2*i)
			if name == "endless confirmation" {
				seq = byte(2 + i)
			}
			stream = append(stream, frame(seq, p)...)
		}
		c := NewConn(&script{said: stream}, PeerServer)
		if _, err := Login(t.Context(), c, LoginOptions{User: "app", Credentials: Password("secret")}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused := NewConn(&script{said: frame(0, []byte("\xff\x10\x04Too many connections"))}, PeerServer)
	if _, err := Login(t.Context(), refused, LoginOptions{User: "app", Credentials: Password("secret")}); !isServerError(err, ErrCodeTooManyConnections) {
		t.Errorf("refused: %v", err)
	}
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

func repeat(p []byte, n int) (list [][]byte) {
	for range n {
		list = append(list, p)
	}
	return list
}

// The server's side by Go's usual driver, which is none of ours.
func TestServeDriver(t *testing.T) {
	serverTLS, clientTLS := serverTLS(t)
	for _, c := range []struct {
		name   string
		server *refServer
		params func(*mysql.Config)
		fails  bool
	}{
		{"native", &refServer{begins: PluginNative, plugin: PluginNative}, nil, false},
		{"native by switch", &refServer{begins: PluginSHA2, plugin: PluginNative}, nil, false},
		{"native, wrong", &refServer{begins: PluginNative, plugin: PluginNative}, func(c *mysql.Config) { c.Passwd = "Secret" }, true},
		{"sha2, fast", &refServer{begins: PluginSHA2, plugin: PluginSHA2}, nil, false},
		{"sha2 by key", &refServer{begins: PluginSHA2, plugin: PluginSHA2, uncache: true, key: rsaKey()}, nil, false},
		{"sha2 by TLS", &refServer{begins: PluginNative, plugin: PluginSHA2, uncache: true, tls: serverTLS}, func(c *mysql.Config) { c.TLS = clientTLS }, false},
		{"ed25519", &refServer{begins: PluginNative, plugin: PluginEd25519}, nil, false},
		{"clear", &refServer{begins: PluginNative, plugin: PluginClear, tls: serverTLS}, func(c *mysql.Config) { c.TLS, c.AllowCleartextPasswords = clientTLS, true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mysql.NewConfig()
			cfg.User, cfg.Passwd, cfg.DBName, cfg.Net, cfg.Addr = "app", "secret", "shop", "tcp", startRefServer(t, c.server)
			cfg.Logger = &mysql.NopLogger{}
			if c.params != nil {
				c.params(cfg)
			}
			connector, err := mysql.NewConnector(cfg)
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(connector)
			defer db.Close()
			var got string
			err = db.QueryRow("SELECT 1").Scan(&got)
			if c.fails {
				var refused *mysql.MySQLError
				if !errors.As(err, &refused) || refused.Number != ErrCodeAccessDenied {
					t.Error(err)
				}
				return
			}
			if err != nil || got != "SELECT 1" {
				_, serr := c.server.last()
				t.Fatalf("%q, %v, server: %v", got, err, serr)
			}
			h, _ := c.server.last()
			if h.User != "app" || h.Database != "shop" || len(h.Attributes) == 0 {
				t.Errorf("the server saw %+v", h)
			}
		})
	}
}

// A login is under TLS from its first byte: nothing of it passes in clear.
func TestLoginHidesUnderTLS(t *testing.T) {
	_, client := serverTLS(t)
	greeting := Greeting{Version: "8", Scramble: pattern(20), Capabilities: refCaps | CapSSL, Plugin: PluginNative}
	out := &script{said: frame(0, greeting.Append(nil))}
	_, err := Login(t.Context(), NewConn(out, PeerServer), LoginOptions{User: "someone", Credentials: Password("secret"), TLS: client})
	if err == nil || bytes.Contains(out.written, []byte("someone")) || len(out.written) <= headerSize+sslRequestSize {
		t.Errorf("%v, sent %q", err, out.written)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		t.Errorf("a server that hung up is taken for one that does not speak TLS: %v", err)
	}
}

func FuzzLogin(f *testing.F) {
	g := Greeting{Version: "8", Scramble: pattern(20), Capabilities: refCaps, Plugin: PluginSHA2}
	f.Add(append(frame(0, g.Append(nil)), frame(2, AppendAuthMore(nil, []byte{SHA2FastOK}), []byte("\x00\x00\x00\x02\x00\x00\x00"))...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := NewConn(&script{said: stream}, PeerServer)
		r, err := Login(context.Background(), c, LoginOptions{User: "app", Credentials: Password("secret"), AskServerKey: true})
		if (err == nil) == (r == nil) {
			t.Error("a result and an error")
		}
	})
}
