package builtin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

// pythonClient makes what PyMySQL can of the arguments host, port and the
// authority of certificates, and prints what comes.
const pythonClient = `
import sys, pymysql
host, port, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3]
c = pymysql.connect(host=host, port=port, user='app', password='secret', database='shop', charset='utf8mb4', ssl={'ca': ca, 'check_hostname': False} if ca else None)
with c.cursor() as k:
    k.execute('CREATE TABLE python (id INT PRIMARY KEY, t VARCHAR(50), d DATETIME, n DECIMAL(10,2), b BLOB)')
    k.executemany('INSERT INTO python VALUES (%s, %s, %s, %s, %s)', [(i, 'тест %d' % i, '2024-02-29 12:00:00', i / 4, bytes([0, i])) for i in range(50)])
    c.commit()
    k.execute('SELECT COUNT(*), SUM(n), MAX(t), MAX(d) FROM python')
    print(k.fetchone())
    try:
        k.execute('SELECT nothing')
    except pymysql.err.OperationalError as e:
        print(e.args[0])
    k.callproc('twice', (21,))
    print(k.fetchall(), k.nextset())
    k.execute("SHOW STATUS LIKE 'Ssl_version'")
    print(k.fetchone()[1] != '')
c.select_db('information_schema')
c.ping()
c.close()
`

// nodeClient is the same for Node.
const nodeClient = `
const mysql = require('mysql'), fs = require('fs')
const [host, port, ca] = process.argv.slice(2)
const c = mysql.createConnection({host, port, user: 'app', password: 'secret', database: 'shop', multipleStatements: true,
  ssl: ca ? {ca: fs.readFileSync(ca), rejectUnauthorized: false} : undefined})
const q = (sql, args) => new Promise((good, bad) => c.query(sql, args, (e, rows) => e ? bad(e) : good(rows)))
;(async () => {
  await q('CREATE TABLE node (id INT PRIMARY KEY, t VARCHAR(50), j JSON)')
  for (let i = 0; i < 50; i++) await q('INSERT INTO node VALUES (?, ?, ?)', [i, 'тест ' + i, JSON.stringify({i})])
  console.log(JSON.stringify(await q('SELECT COUNT(*) AS n, MAX(t) AS t FROM node; SELECT 2 AS two')))
  await q('SELECT nothing').catch(e => console.log(e.errno, e.sqlState))
  console.log(JSON.stringify((await q('CALL twice(21)'))[0]))
  await new Promise((good, bad) => c.changeUser({user: 'app', password: 'secret', database: 'shop'}, e => e ? bad(e) : good()))
  await new Promise((good, bad) => c.ping(e => e ? bad(e) : good()))
  c.end()
})().catch(e => { console.error(e); process.exit(1) })
`

// TestStockClients lets the command line, Python, Node and Go do their work,
// in clear and under TLS.
func TestStockClients(t *testing.T) {
	ca := testbed.NewCA(t)
	for _, router := range []string{"readconnroute", "readwritesplit"} {
		for _, under := range []string{"in clear", "under TLS"} {
			t.Run(router+" "+under, func(t *testing.T) {
				t.Parallel()
				var listener map[string]any
				authority := ""
				if under == "under TLS" {
					dir := testbed.Folder(t, "")
					authority = filepath.Join(dir, "ca.crt")
					testbed.Write(t, authority, ca.PEM)
					cert, key := ca.Issue(t, "127.0.0.1").Files(t, dir, "proxy", "")
					listener = map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key}
				}
				p, server := start(t, proxytest.Options{Router: router, Listener: listener})
				server.Exec(t, "GRANT CREATE ROUTINE, EXECUTE ON shop.* TO app")
				server.ExecIn(t, "shop", "CREATE PROCEDURE twice(n INT) SELECT n * 2 AS a")
				t.Run("mariadb", func(t *testing.T) { commandLine(t, p, authority) })
				t.Run("Python", func(t *testing.T) {
					want := "(50, Decimal('306.25'), 'тест 9', datetime.datetime(2024, 2, 29, 12, 0))\n1054\n((42,),) True\nFalse\n"
					// Whether TLS is used between proxy and server is for the proxy to say.
					run(t, want, "/usr/bin/python3", "-c", pythonClient, "127.0.0.1", p.Port(t), authority)
				})
				t.Run("Node", func(t *testing.T) {
					want := `[[{"n":50,"t":"тест 9"}],[{"two":2}]]` + "\n1054 42S22\n" + `[{"a":42}]` + "\n"
					script := filepath.Join(t.TempDir(), "client.js")
					testbed.Write(t, script, nodeClient)
					run(t, want, "env", "NODE_PATH=/usr/share/nodejs", "node", script, "127.0.0.1", p.Port(t), authority)
				})
				t.Run("Go", func(t *testing.T) { goDriver(t, p, authority != "") })
			})
		}
	}
}

func run(t *testing.T, want, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), proxytest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil || string(out) != want {
		t.Errorf("%v: %s\n%s, want\n%s", err, faults.Bytes(), out, want)
	}
}

func commandLine(t *testing.T, p *proxytest.Proxy, authority string) {
	args := []string{"--no-defaults", "--host=127.0.0.1", "--port=" + p.Port(t), "--user=app", "--password=secret", "--batch"}
	if authority != "" {
		args = append(args, "--ssl", "--ssl-ca="+authority)
	}
	run(t, "7\nтест\n5\ttest\nNULL\nWarning\t1365\tDivision by 0\n2\n", "mariadb", append(args, "--default-character-set=utf8mb4", "-e",
		"SELECT 7 AS a; SELECT 'тест'; SELECT 5, 'test'; SET sql_mode = 'ERROR_FOR_DIVISION_BY_ZERO'; SELECT 1/0; SHOW WARNINGS; SELECT 2", "-N", "shop")...)
}

func goDriver(t *testing.T, p *proxytest.Proxy, under bool) {
	for _, interpolate := range []bool{false, true} {
		db := p.Open(t, "app", "secret", "shop", func(c *mysql.Config) {
			c.InterpolateParams = interpolate
			if under {
				c.TLS = &tls.Config{InsecureSkipVerify: true}
			}
		})
		table := fmt.Sprintf("go_%v", interpolate)
		execute(t, db, "CREATE TABLE "+table+" (id INT AUTO_INCREMENT PRIMARY KEY, t TEXT)")
		for i := range 50 {
			execute(t, db, "INSERT INTO "+table+" (t) VALUES (?)", strings.Repeat("ü", i))
		}
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, tx, "DELETE FROM "+table)
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		var n, size int
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), SUM(CHAR_LENGTH(t)) FROM "+table+" WHERE id > ?", 0).Scan(&n, &size); err != nil || n != 50 || size != 1225 {
			t.Errorf("%d rows of %d characters, %v", n, size, err)
		}
	}
}
