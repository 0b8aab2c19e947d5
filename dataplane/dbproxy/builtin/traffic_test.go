package builtin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

// start starts a server with the user app, who owns the database shop, and a
// proxy before it.
func start(t *testing.T, o proxytest.Options) (*proxytest.Proxy, *testbed.MariaDB) {
	t.Helper()
	server := testbed.StartMariaDB(t, testbed.MariaDBOptions{Settings: []string{"max-allowed-packet=64M", "local-infile=1"}})
	server.CreateUser(t, "app", "secret")
	server.CreateDatabase(t, "shop", "app")
	o.Modules, o.Servers = builtin.Modules(), []*testbed.MariaDB{server}
	return proxytest.Start(t, o), server
}

func execute(t *testing.T, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

// TestTrafficOfDrivers sends what Go's driver can, through both routers.
func TestTrafficOfDrivers(t *testing.T) {
	for _, router := range []string{"readconnroute", "readwritesplit"} {
		t.Run(router, func(t *testing.T) {
			t.Parallel()
			p, _ := start(t, proxytest.Options{Router: router})
			db := p.Open(t, "app", "secret", "shop", func(c *mysql.Config) {
				c.MultiStatements, c.MaxAllowedPacket, c.AllowAllFiles = true, 64<<20, true
			})
			db.SetMaxOpenConns(1)
			t.Run("packets of more than 16 MiB", func(t *testing.T) { bigPackets(t, db) })
			t.Run("LOAD DATA LOCAL", func(t *testing.T) { loadData(t, db) })
			t.Run("many results", func(t *testing.T) { manyResults(t, db) })
			t.Run("a result larger than memory should hold", func(t *testing.T) { longResult(t, db) })
		})
	}
}

func bigPackets(t *testing.T, db *sql.DB) {
	execute(t, db, "CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)")
	for i, n := range []int{1, 16<<10 - 4, 1<<24 - 60, 1<<24 - 1, 1 << 24, 33 << 20} {
		blob := bytes.Repeat([]byte{byte('a' + i)}, n)
		execute(t, db, "INSERT INTO big VALUES (?, ?)", i, blob)
		var got []byte
		if err := db.QueryRowContext(t.Context(), "SELECT b FROM big WHERE id = ?", i).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(got) != sha256.Sum256(blob) {
			t.Errorf("of %d bytes come %d, or other ones", n, len(got))
		}
		if err := db.QueryRowContext(t.Context(), "SELECT '"+string(blob)+"'").Scan(&got); err != nil || !bytes.Equal(got, blob) {
			t.Errorf("text of %d bytes: %v", n, err)
		}
	}
}

func loadData(t *testing.T, db *sql.DB) {
	execute(t, db, "CREATE TABLE loaded (a INT, b TEXT)")
	file := t.TempDir() + "/rows"
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "%d\tline %d\n", i, i)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "LOAD DATA LOCAL INFILE '"+file+"' INTO TABLE loaded")
	var n, sum int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), SUM(a) FROM loaded").Scan(&n, &sum); err != nil || n != 100_000 || sum != 4_999_950_000 {
		t.Errorf("%d rows, %d (%v)", n, sum, err)
	}
	if _, err := db.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE '/nonexistent' INTO TABLE loaded"); err == nil {
		t.Error("a file that is not there was loaded")
	}
	execute(t, db, "DO 1")
}

func manyResults(t *testing.T, db *sql.DB) {
	rows, err := db.QueryContext(t.Context(), "SELECT 1; SELECT 2, 3; SELECT 'x' FROM DUAL WHERE FALSE")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for results := 1; ; results++ {
		for rows.Next() {
		}
		if !rows.NextResultSet() {
			if results != 3 || rows.Err() != nil {
				t.Errorf("%d results, %v", results, rows.Err())
			}
			return
		}
	}
}

func longResult(t *testing.T, db *sql.DB) {
	rows, err := db.QueryContext(t.Context(), "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_200000")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if n != 200_000 || rows.Err() != nil {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
}

// TestListenersComeAndGo makes and removes a listener 200 times, with a client
// each time, while another one goes on undisturbed.
func TestListenersComeAndGo(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{})
	db := p.Open(t, "app", "secret", "shop", nil)
	db.SetMaxOpenConns(1)
	execute(t, db, "SET @mark = 1")
	files := openFiles(t)
	for i := range 200 {
		c := p.Config
		name := fmt.Sprintf("more%d", i)
		c.Listeners = append(c.Listeners[:1:1], dbproxy.ListenerConfig{Name: name, Service: "service", Params: c.Listeners[0].Params})
		p.Apply(t, c)
		l, _ := p.Listener(name)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		p.Apply(t, p.Config)
		if l.Running() {
			t.Fatal("a listener that is gone still takes clients")
		}
	}
	var mark int
	if err := db.QueryRowContext(t.Context(), "SELECT @mark").Scan(&mark); err != nil || mark != 1 {
		t.Errorf("the session is another one: %d, %v", mark, err)
	}
	proxytest.Eventually(t, "all files are closed", func() bool { return openFiles(t) <= files })
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestStoppedServiceKeepsItsSessions stops a service, whose sessions go on and
// whose new clients wait until it is started again.
func TestStoppedServiceKeepsItsSessions(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{})
	db := p.Open(t, "app", "secret", "shop", nil)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := p.Config
	c.Services = []dbproxy.ServiceConfig{p.Config.Services[0]}
	c.Services[0].Stopped = true
	p.Apply(t, c)
	execute(t, conn, "DO 1")
	arrived := make(chan error, 1)
	go func() { arrived <- db.PingContext(t.Context()) }()
	select {
	case err := <-arrived:
		t.Fatalf("a stopped service took a client: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	p.Apply(t, p.Config)
	if err := <-arrived; err != nil {
		t.Error(err)
	}
}

// TestServiceEndsAfterItsSessions removes a service whose session goes on.
func TestServiceEndsAfterItsSessions(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{})
	db := p.Open(t, "app", "secret", "shop", nil)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	execute(t, conn, "DO 1")
	addr := p.Addr(t)
	c := p.Config
	c.Services, c.Listeners = nil, nil
	p.Apply(t, c)
	execute(t, conn, "CREATE TABLE still_works (a INT)")
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the port is still taken")
	}
	if n := len(p.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // which makes the pool drop it
	db.Close()
	proxytest.Eventually(t, "the session ends", func() bool { return len(p.Sessions()) == 0 })
}

// TestKill kills sessions and queries by the numbers that clients see.
func TestKill(t *testing.T) {
	t.Parallel()
	p, server := start(t, proxytest.Options{})
	server.CreateUser(t, "other", "secret")
	db := p.Open(t, "app", "secret", "shop", nil)
	victim, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	execute(t, victim, "DO 1")
	id := p.Sessions()[0].ID()
	other := p.Open(t, "other", "secret", "", nil)
	if _, err := other.ExecContext(t.Context(), fmt.Sprintf("KILL %d", id)); err == nil {
		t.Error("a stranger killed a session")
	}
	ended := make(chan error, 1)
	go func() {
		_, err := victim.ExecContext(t.Context(), "SELECT SLEEP(100)")
		ended <- err
	}()
	proxytest.Eventually(t, "the query runs", func() bool { return p.Backend(t, 0).Operations() > 0 })
	execute(t, db, fmt.Sprintf("KILL QUERY %d", id))
	<-ended
	execute(t, victim, "DO 1")
	execute(t, db, fmt.Sprintf("KILL %d", id))
	if _, err := victim.ExecContext(t.Context(), "DO 1"); err == nil {
		t.Error("a killed session goes on")
	}
	var me *mysql.MySQLError
	if _, err := db.ExecContext(t.Context(), "KILL 4000000000"); !errors.As(err, &me) || me.Number != 1094 {
		t.Errorf("a session that is not there: %v", err)
	}
}

// TestBrokenClientsCostThemselvesOnly sends what no client should.
func TestBrokenClientsCostThemselvesOnly(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{})
	for name, bytes := range map[string]string{
		"nothing": "", "one byte": "x", "a huge packet": "\xff\xff\xff\x01", "an empty packet": "\x00\x00\x00\x01", "wrong sequence": "\x01\x00\x00\x07x",
		"HTTP": "GET / HTTP/1.1\r\n\r\n", "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "zeros": strings.Repeat("\x00", 10_000),
	} {
		conn, err := net.Dial("tcp", p.Addr(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, bytes); err != nil {
			t.Fatal(name, err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(name, err)
		}
		conn.SetReadDeadline(time.Now().Add(proxytest.Patience)) //nolint:errcheck // the read tells
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Error(name, err)
		}
		conn.Close()
	}
	proxytest.Eventually(t, "all are gone", func() bool { return len(p.Sessions()) == 0 })
	execute(t, p.Open(t, "app", "secret", "shop", nil), "DO 1")
}
