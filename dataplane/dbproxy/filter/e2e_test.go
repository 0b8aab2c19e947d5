package filter

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/dataplane/dbproxy/rwsplit"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

func modules() dbproxy.Modules {
	return dbproxy.Modules{
		Routers: map[string]dbproxy.RouterModule{"readconnroute": readconn.Module(), "readwritesplit": rwsplit.Module()},
		Filters: map[string]dbproxy.FilterModule{
			"ccrfilter": CCR(), "comment": Comment(), "hintfilter": Hint(), "maxrows": MaxRows(), "namedserverfilter": NamedServer(),
			"qlafilter": QLA(), "regexfilter": Regex(), "throttlefilter": Throttle(), "topfilter": Top(),
		},
	}
}

// through starts a proxy with filters, in front of both servers.
func through(t *testing.T, router string, filters ...proxytest.Filter) *proxytest.Proxy {
	t.Helper()
	for i := range filters {
		filters[i].Name = fmt.Sprintf("filter%d", i+1)
	}
	return proxytest.Start(t, proxytest.Options{Modules: modules(), Servers: servers(t), Router: router, Filters: filters})
}

// protocols is both ways in which a client sends values: as text, or bound to
// prepared statements.
func protocols(t *testing.T, p *proxytest.Proxy, f func(t *testing.T, db *sql.DB, binary bool)) {
	for name, text := range map[string]bool{"text": true, "binary": false} {
		t.Run(name, func(t *testing.T) {
			db := p.Open(t, "app", "secret", "shop", func(c *mysql.Config) { c.InterpolateParams = text })
			db.SetMaxOpenConns(1)
			f(t, db, !text)
		})
	}
}

// one is the only value that a query gives, "" for none.
func one(t *testing.T, db *sql.DB, query string, args ...any) string {
	t.Helper()
	var value sql.NullString
	if err := db.QueryRow(query, args...).Scan(&value); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("%s: %v", query, err)
	}
	return value.String
}

// refusal is the error of a query.
func refusal(t *testing.T, db *sql.DB, query string, args ...any) *mysql.MySQLError {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err == nil {
		for rows.Next() {
		}
		err = errors.Join(rows.Err(), rows.Close())
	}
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) {
		t.Fatalf("%s: %v", query, err)
	}
	return refused
}

func TestQLAEndToEnd(t *testing.T) {
	base := filepath.Join(t.TempDir(), "log")
	p := through(t, "", proxytest.Filter{Module: "qlafilter", Params: map[string]any{
		"filebase": base, "log_type": "unified", "log_data": "service,date,user,query,default_db,num_rows,reply_size,num_warnings,error_msg,server,command", "flush": true,
	}})
	protocols(t, p, func(t *testing.T, db *sql.DB, binary bool) {
		if err := os.Truncate(base+".unified", 0); err != nil {
			t.Fatal(err)
		}
		one(t, db, "SELECT a\nFROM t WHERE a > ? LIMIT 2", 1)
		refusal(t, db, "SELECT a FROM nowhere WHERE a > ?", 1)
		const common = `service,\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,app@127.0.0.1,`
		want := []string{`SELECT a FROM t WHERE a > 1 LIMIT 2,shop,2,\d+,0,,server1,COM_QUERY`, `SELECT a FROM nowhere WHERE a > 1,shop,0,\d+,0,Table 'shop.nowhere' doesn't exist,server1,COM_QUERY`}
		if binary {
			want = []string{
				`SELECT a FROM t WHERE a > \? LIMIT 2,shop,0,\d+,0,,server1,COM_STMT_PREPARE`, `SELECT a FROM t WHERE a > \? LIMIT 2,shop,2,\d+,0,,server1,COM_STMT_EXECUTE`,
				`SELECT a FROM nowhere WHERE a > \?,shop,0,\d+,0,Table 'shop.nowhere' doesn't exist,server1,COM_STMT_PREPARE`,
			}
		}
		lines := strings.Split(strings.TrimSuffix(content(t, base+".unified"), "\n"), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%q", lines)
		}
		for i, line := range lines {
			if !regexp.MustCompile("^" + common + want[i] + "$").MatchString(line) {
				t.Errorf("%s\nnot %s", line, common+want[i])
			}
		}
	})
}

func TestQLAOfSessionsEndToEnd(t *testing.T) {
	base := filepath.Join(t.TempDir(), "log")
	p := through(t, "", proxytest.Filter{Module: "qlafilter", Params: map[string]any{"filebase": base, "log_data": "query,default_db", "user": "app"}})
	db := p.Open(t, "app", "secret", "shop", nil)
	db.SetMaxOpenConns(1)
	id := one(t, db, "SELECT CONNECTION_ID()")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	proxytest.Eventually(t, "the session has ended", func() bool { return len(p.Sessions()) == 0 })
	files, err := filepath.Glob(base + ".*")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if got := content(t, files[0]); got != "Query,Default_db\nSELECT CONNECTION_ID(),shop\n" {
		t.Errorf("%q of session %s", got, id)
	}
}

func TestRewritingEndToEnd(t *testing.T) {
	p := through(t, "",
		proxytest.Filter{Module: "regexfilter", Params: map[string]any{"match": `'(o)ld'`, "replace": "'$1h, new'"}},
		proxytest.Filter{Module: "comment", Params: map[string]any{"inject": "from $IP"}})
	protocols(t, p, func(t *testing.T, db *sql.DB, binary bool) {
		if got := one(t, db, "SELECT CONCAT('OLD', ?)", "!"); got != "Oh, new!" {
			t.Error(got)
		}
		got := one(t, db, "SELECT info FROM information_schema.processlist WHERE id = CONNECTION_ID() AND ? = 'x'", "x")
		if !strings.HasPrefix(got, "/* from 127.0.0.1 */SELECT info") {
			t.Error(got)
		}
	})
}

func TestMaxRowsEndToEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		params map[string]any
	}{
		{"rows", map[string]any{"max_resultset_rows": 4}}, {"size", map[string]any{"max_resultset_size": 4800}},
		{"as error", map[string]any{"max_resultset_rows": 4, "max_resultset_return": "error"}}, {"as OK", map[string]any{"max_resultset_rows": 4, "max_resultset_return": "ok"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := through(t, "", proxytest.Filter{Module: "maxrows", Params: tt.params})
			protocols(t, p, func(t *testing.T, db *sql.DB, binary bool) {
				for range 2 { // the session goes on afterwards
					if got := one(t, db, "SELECT a FROM t WHERE a < ? ORDER BY a", 4); got != "1" {
						t.Errorf("few rows: %q", got)
					}
					const query = "SELECT a, b FROM t WHERE a < ? ORDER BY a"
					if tt.name == "as error" {
						refused := refusal(t, db, query, 9)
						text := query
						if !binary {
							text = strings.Replace(query, "?", "9", 1)
						}
						if refused.Number != wire.ErrCodeNoResultSet || string(refused.SQLState[:]) != "0A000" || refused.Message != "Row limit/size exceeded for query: "+text {
							t.Error(refused)
						}
						continue
					}
					rows, err := db.Query(query, 9)
					if err != nil {
						t.Fatal(err)
					}
					columns, err := rows.Columns()
					if err != nil || len(columns) != map[bool]int{true: 0, false: 2}[tt.name == "as OK"] || rows.Next() || rows.Err() != nil {
						t.Error(columns, err, rows.Err())
					}
					if err := rows.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

func TestHintsEndToEnd(t *testing.T) {
	all := servers(t)
	master, slave := fmt.Sprint(all[0].Port), fmt.Sprint(all[1].Port)
	p := through(t, "readwritesplit",
		proxytest.Filter{Module: "hintfilter"},
		proxytest.Filter{Module: "namedserverfilter", Params: map[string]any{"match01": "'first'", "target01": "server1", "match02": "'master'", "target02": "->master"}},
		proxytest.Filter{Module: "ccrfilter", Params: map[string]any{"time": 0, "count": 1}})
	protocols(t, p, func(t *testing.T, db *sql.DB, binary bool) {
		for _, tt := range []struct{ query, want string }{
			{"SELECT @@port, ?", slave},
			{"SELECT @@port, ? -- maxscale route to master", master},
			{"SELECT @@port, ? -- maxscale route to server server1", master},
			{"SELECT @@port, ? -- maxscale route to server nowhere", slave},
			{"SELECT @@port, ?, 'first'", master}, {"SELECT @@port, ?, 'master'", master},
			{"SELECT @@port, ?, 'master' /* maxscale route to slave */", slave},
		} {
			var port, x, y string
			into := []any{&port, &x}
			if strings.Contains(tt.query, "?, '") {
				into = append(into, &y)
			}
			if err := db.QueryRow(tt.query, "x").Scan(into...); err != nil || port != tt.want {
				t.Errorf("%s: %s, not %s; %v", tt.query, port, tt.want, err)
			}
		}
		const read = "SELECT @@port"
		for _, tt := range []struct {
			write        string
			first, after string
		}{
			{"UPDATE t SET a = a WHERE a = 1", master, slave}, {"UPDATE t SET a = a WHERE a = 1 -- maxscale ccr=ignore", slave, slave},
		} {
			if _, err := db.Exec(tt.write); err != nil {
				t.Fatal(err)
			}
			if first, after := one(t, db, read), one(t, db, read); first != tt.first || after != tt.after {
				t.Errorf("after %s: %s, %s", tt.write, first, after)
			}
		}
	})
}

func TestThrottleEndToEnd(t *testing.T) {
	p := through(t, "", proxytest.Filter{Module: "throttlefilter", Params: map[string]any{"max_qps": 1, "throttling_duration": "0ms", "sampling_duration": "1h", "continuous_duration": "1h"}})
	db := p.Open(t, "app", "secret", "shop", nil)
	db.SetMaxOpenConns(1)
	var err error
	for range 3700 { // an hour's worth, and more
		if _, err = db.Exec("DO 1"); err != nil {
			break
		}
	}
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) || refused.Number != wire.ErrCodeUserLimit {
		t.Errorf("%v", err)
	}
	proxytest.Eventually(t, "the session has ended", func() bool { return len(p.Sessions()) == 0 })
}

func TestThrottleEndsWithTheSession(t *testing.T) {
	p := through(t, "", proxytest.Filter{Module: "throttlefilter", Params: map[string]any{"max_qps": 1, "throttling_duration": "24h", "sampling_duration": "1s", "continuous_duration": "1h"}})
	db := p.Open(t, "app", "secret", "shop", nil)
	db.SetMaxOpenConns(1)
	done := make(chan error)
	go func() {
		var err error
		for err == nil {
			_, err = db.Exec("DO 1")
		}
		done <- err
	}()
	proxytest.Eventually(t, "there is a session", func() bool { return len(p.Sessions()) == 1 })
	for _, s := range p.Sessions() {
		s.Kill()
	}
	<-done
}

func TestTopEndToEnd(t *testing.T) {
	base := filepath.Join(t.TempDir(), "top")
	p := through(t, "", proxytest.Filter{Module: "topfilter", Params: map[string]any{"filebase": base, "count": 2}})
	protocols(t, p, func(t *testing.T, db *sql.DB, binary bool) {
		one(t, db, "SELECT SLEEP(?)", 0.05)
		one(t, db, "DO ?", 1)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		proxytest.Eventually(t, "the session has ended", func() bool { return len(p.Sessions()) == 0 })
		files, err := filepath.Glob(base + ".*")
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		slow := `SELECT SLEEP\(0.05\)`
		if binary {
			slow = `SELECT SLEEP\(\?\)`
		}
		got := content(t, files[0])
		want := `^Top 2 longest running queries in session.\n=+\n\nTime \(sec\) \| Query\n-+\+-+\n +0\.\d{3} \|  ` + slow + `\n +\d+\.\d{3} \|  DO .\n-+\+-+\n\n\nSession started .*\nConnection from 127.0.0.1\nUsername        app\n\nTotal of 2 statements executed.\n`
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s", got)
		}
		if err := os.Remove(files[0]); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStreamedStatementsPassAll(t *testing.T) {
	base := filepath.Join(t.TempDir(), "log")
	for _, s := range servers(t) {
		s.Exec(t, "SET GLOBAL max_allowed_packet = 64 << 20")
	}
	p := through(t, "readwritesplit",
		proxytest.Filter{Module: "qlafilter", Params: map[string]any{"filebase": base, "log_type": "unified", "log_data": "query,num_rows,command", "flush": true}},
		proxytest.Filter{Module: "qlafilter", Params: map[string]any{"filebase": base + "2", "log_type": "unified", "log_data": "query", "match": "select", "options": "ignorecase", "flush": true}},
		proxytest.Filter{Module: "regexfilter", Params: map[string]any{"match": "x", "replace": "yy"}},
		proxytest.Filter{Module: "comment", Params: map[string]any{"inject": "comment"}},
		proxytest.Filter{Module: "hintfilter"},
		proxytest.Filter{Module: "namedserverfilter", Params: map[string]any{"match01": "x", "target01": "->slave"}},
		proxytest.Filter{Module: "ccrfilter", Params: map[string]any{"time": 0, "count": 1}},
		proxytest.Filter{Module: "throttlefilter", Params: map[string]any{"max_qps": 1000, "throttling_duration": "1h"}},
		proxytest.Filter{Module: "topfilter", Params: map[string]any{"filebase": base + "3"}},
		proxytest.Filter{Module: "maxrows", Params: map[string]any{"max_resultset_rows": 1}})
	db := p.Open(t, "app", "secret", "shop", func(c *mysql.Config) { c.MaxAllowedPacket = 64 << 20 })
	db.SetMaxOpenConns(1)
	if got := one(t, db, "SELECT LENGTH('"+strings.Repeat("x", dbproxy.MaxText)+"')"); got != fmt.Sprint(dbproxy.MaxText) {
		t.Errorf("%.100s", got)
	}
	// It counts as a write, after which the next statement goes to the master.
	if got := one(t, db, "SELECT @@port"); got != fmt.Sprint(servers(t)[0].Port) {
		t.Errorf("port %s", got)
	}
	if got := content(t, base+".unified"); got != "Query,Num_rows,Command\n,1,COM_QUERY\nSELECT @@port,1,COM_QUERY\n" {
		t.Errorf("%.200q", got)
	}
	if got := content(t, base+"2.unified"); got != "Query\nSELECT @@port\n" {
		t.Errorf("%.200q", got)
	}
}
