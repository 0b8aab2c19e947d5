package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/testbed"
)

// miniProxy relays sessions to one server: what a proxy does with this
// package, without anything a proxy is for.
type miniProxy struct {
	backend string
	stored  NativeStored
	front   *tls.Config // to clients that ask for it
	back    *tls.Config // to the server, for the sessions of these clients

	mu    sync.Mutex
	seen  map[Command]int
	fault error
}

func (m *miniProxy) start(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				if err := m.session(nc); err != nil && !errors.Is(err, io.EOF) {
					m.mu.Lock()
					m.fault = errors.Join(m.fault, err)
					m.mu.Unlock()
				}
			})
		}
	})
	return l.Addr().String()
}

func (m *miniProxy) session(nc net.Conn) error {
	client := NewConn(nc, PeerClient)
	scramble := NewScramble()
	offered := (Relayable | CapPluginAuth) &^ CapMySQL
	g := Greeting{Version: "5.5.5-10.11.0-MariaDB-relay", Scramble: scramble[:], Capabilities: offered, Charset: CharsetUTF8MB4, Plugin: PluginNative}
	if err := send(client, g.Append(nil)); err != nil {
		return err
	}
	p, err := client.ReadPacket()
	if err != nil {
		return err
	}
	var back *tls.Config
	if IsSSLRequest(p) {
		back = m.back
		if err := client.StartTLSServer(context.Background(), m.front); err != nil {
			return err
		}
		if p, err = client.ReadPacket(); err != nil {
			return err
		}
	}
	h, err := ParseHandshakeResponse(p)
	if err != nil {
		return err
	}
	hash, ok := m.stored.Verify(scramble[:], h.Token)
	if !ok {
		return send(client, (&ServerError{ErrCodeAccessDenied, StateAccessDenied, "Access denied"}).Append(nil))
	}
	bc, err := net.Dial("tcp", m.backend)
	if err != nil {
		return err
	}
	defer bc.Close()
	backend := NewConn(bc, PeerServer)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// What only the connection to the client is about need not be the server's.
	const own = CapMySQL | CapODBC | CapIgnoreSigpipe | CapNoSchema | CapExpiredPasswords
	caps := h.Capabilities & offered
	r, err := Login(ctx, backend, LoginOptions{
		User: h.User, Database: h.Database, Credentials: hash.Credentials(), Charset: h.Charset, Attributes: h.Attributes, TLS: back,
		Capabilities: caps, Required: caps &^ own &^ capOfTheConnection,
	})
	if err != nil {
		return err
	}
	if err := send(client, r.OK.Append(nil, caps, false)); err != nil {
		return err
	}
	return m.relay(client, backend, caps)
}

func (m *miniProxy) relay(client, backend *Conn, caps Capability) error {
	var r Reply
	for {
		client.SetSequence(0)
		head, _, err := client.Peek(1)
		if err != nil {
			return err
		}
		cmd := Command(head[0])
		m.mu.Lock()
		m.seen[cmd]++
		m.mu.Unlock()
		backend.SetSequence(0)
		if _, err := client.RelayPacket(backend); err != nil {
			return err
		}
		if err := backend.Flush(); err != nil || cmd == ComQuit {
			return err
		}
		for r.Start(cmd, caps); !r.Done(); {
			if err := backend.RelayReply(client, &r); err != nil {
				return err
			}
			if err := client.Flush(); err != nil {
				return err
			}
			if r.AwaitsFile() {
				if _, err := client.RelayFile(backend); err != nil {
					return err
				}
				if err := backend.Flush(); err != nil {
					return err
				}
				r.ClientSent()
			}
		}
		if cmd.Answered() && backend.Buffered() {
			return fmt.Errorf("more after the answer to %s", cmd)
		}
	}
}

// mariadbRelay runs programs that are none of ours through the relay.
func mariadbRelay(t *testing.T, s *testbed.MariaDB, back *tls.Config) {
	front, client := serverTLS(t)
	m := &miniProxy{backend: testbed.Addr(s.Port), stored: HashNative("secret").Stored(), front: front, back: back, seen: map[Command]int{}}
	addr := m.start(t)
	relayDriver(t, addr, nil)
	relayDriver(t, addr, client)
	relayCommandLine(t, addr)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != nil {
		t.Error(m.fault)
	}
	for _, c := range []Command{ComQuery, ComStmtPrepare, ComStmtExecute, ComStmtClose, ComPing, ComQuit} {
		if m.seen[c] == 0 {
			t.Errorf("no %s came by", c)
		}
	}
}

// relayDriver uses prepared statements, but under TLS text.
func relayDriver(t *testing.T, addr string, under *tls.Config) {
	interpolate := under != nil
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName, cfg.Net, cfg.Addr = "app", "secret", "shop", "tcp", addr
	cfg.TLS = under
	cfg.MultiStatements, cfg.InterpolateParams, cfg.MaxAllowedPacket = true, interpolate, 64<<20
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	must(t, db.Ping())
	for _, n := range []int{100, MaxPeek, MaxPayload - 50, MaxPayload, 20 << 20} {
		blob := pattern(n)
		if interpolate {
			blob = bytes.Repeat([]byte("x"), n) // text that needs no escaping
		}
		if _, err := db.Exec("REPLACE INTO n (a, c) VALUES (?, ?)", 500, blob); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		var got []byte
		must(t, db.QueryRow("SELECT c FROM n WHERE a = ?", 500).Scan(&got))
		if sha256.Sum256(got) != sha256.Sum256(blob) {
			t.Errorf("%d bytes came back as %d others", n, len(got))
		}
	}
	if _, err := db.Exec("DELETE FROM n WHERE a = ?", 500); err != nil {
		t.Error(err)
	}
	var count int
	must(t, db.QueryRow("SELECT COUNT(*) FROM seq_1_to_50000 WHERE seq > ?", 10).Scan(&count))
	rows, err := db.Query("SELECT seq, REPEAT('y', 100) FROM seq_1_to_50000; SELECT 1; SELECT a FROM n")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for next := true; next; next = rows.NextResultSet() {
		for rows.Next() {
			total++
		}
	}
	if err := rows.Err(); err != nil || total != 50_101 || count != 49_990 {
		t.Errorf("%d rows, %d counted, %v", total, count, err)
	}
	var refused *mysql.MySQLError
	if _, err := db.Exec("INSERT INTO n (a) VALUES (1)"); !errors.As(err, &refused) || refused.Number != 1062 {
		t.Errorf("duplicate: %v", err)
	}
	relayLoad(t, db)
}

func relayLoad(t *testing.T, db *sql.DB) {
	var file bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&file, "%d\n", i)
	}
	mysql.RegisterReaderHandler("numbers", func() io.Reader { return &file })
	defer mysql.DeregisterReaderHandler("numbers")
	if _, err := db.Exec("CREATE TEMPORARY TABLE l (a INT)"); err != nil {
		t.Fatal(err)
	}
	r, err := db.Exec("LOAD DATA LOCAL INFILE 'Reader::numbers' INTO TABLE l")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := r.RowsAffected(); n != 200_000 {
		t.Errorf("%d rows loaded", n)
	}
	// A file that is not wanted ends the load with an error, not the session.
	if _, err := db.Exec("LOAD DATA LOCAL INFILE 'Reader::nothing' INTO TABLE l"); err == nil {
		t.Error("a file that is not there is loaded")
	}
	if _, err := db.Exec("DROP TEMPORARY TABLE l"); err != nil {
		t.Error(err)
	}
}

// relayCommandLine runs the usual client, which uses MariaDB's extensions.
func relayCommandLine(t *testing.T, addr string) {
	host, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mariadb", "--no-defaults", "-h", host, "-P", port, "-uapp", "-psecret", "--skip-ssl", "-N", "shop",
		"-e", "SELECT COUNT(*) FROM n; CALL two(); SELECT LENGTH(REPEAT('x', 20000000)); SHOW WARNINGS")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fields := strings.Fields(string(out))
	if got := strings.Join(fields[:min(6, len(fields))], " "); got != "100 1 1 2 3 "+strconv.Itoa(20_000_000) {
		t.Errorf("printed %s", out)
	}
}
