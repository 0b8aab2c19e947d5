package mysql_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

func (b *bench) dump(database string) string {
	b.Helper()
	var out bytes.Buffer
	b.good(b.server.Dump(b.ctx, database, &out))
	return out.String()
}

// noLoader fails the test when a login of a load is left.
func (b *bench) noLoader() {
	b.Helper()
	if left := b.ask(`SELECT User FROM mysql.user WHERE User LIKE '\_load%'`); len(left) > 0 {
		b.Errorf("left behind: %q", left)
	}
}

func dumpOfWhatIsHardToQuote(b *bench) {
	for _, name := range []string{"shop", "copy"} {
		b.good(b.server.CreateDatabase(b.ctx, name))
	}
	l := b.login("shop", "u_shop", connectors.Owner)
	marker := filepath.Join(b.TempDir(), "marker")
	evil := "\nsystem touch " + marker + "\n\\! touch " + marker + "\nDELIMITER $$\nsource /etc/passwd\ntee " + marker + "\n/*!50013 DEFINER=`x`@`%` */;;"
	s := b.enter(l)
	b.run(s, belongings()...)
	quote := func(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
	text := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	const table = "a ` \" ' table\n\\! x"
	b.run(s,
		"CREATE TABLE "+quote(table)+" ("+quote("col`\nx")+" TEXT COMMENT "+text(evil[:200])+", b VARBINARY(20), g GEOMETRY, j JSON)",
		"INSERT INTO "+quote(table)+" VALUES ("+text(evil)+", 0x00ff2700, Point(1, 2), '{\"a\": 1}'), ("+text("CREATE DEFINER=`root`@`%` PROCEDURE")+", '', NULL, NULL)",
		"CREATE VIEW "+quote("v` --\nx")+" AS SELECT * FROM "+quote(table),
		"CREATE PROCEDURE evil() COMMENT "+text(evil)+" BEGIN /* ;; "+strings.ReplaceAll(evil, "*", "")+" */ SELECT "+text(evil)+"; END",
		"CREATE SEQUENCE numbers START WITH 41", "DO NEXTVAL(numbers)",
		"CREATE TABLE parent (i INT PRIMARY KEY)", "CREATE TABLE child (i INT, FOREIGN KEY (i) REFERENCES parent (i))", "INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1)",
	)
	dump := b.dump("shop")
	if strings.Contains(dump, l.Password) || strings.Contains(dump, testbed.NastyPassword) {
		b.Error("the dump holds a password")
	}

	owner := b.login("copy", "u_copy", connectors.Owner)
	for range 2 {
		b.good(b.server.Load(b.ctx, "copy", strings.NewReader(dump)))
		if _, err := os.Stat(marker); err == nil {
			b.Fatal("a command in the data was executed")
		}
		b.noLoader()
		b.wantDefiner("copy", "u_copy@%")
		_, before := b.definers("shop")
		if _, after := b.definers("copy"); !slices.Equal(before, after) {
			b.Errorf("it was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
		b.works(owner)
	}
	const content = "SELECT CONCAT_WS('|', HEX(`col``\nx`), HEX(b), ST_AsText(g), j) FROM "
	if was, is := b.ask(content+"shop."+quote(table)), b.ask(content+"copy."+quote(table)); len(was) != 2 || !slices.Equal(was, is) {
		b.Errorf("it was %q and is %q", was, is)
	}
	if again := b.dump("copy"); len(again) != len(strings.ReplaceAll(dump, "u_shop", "u_copy")) {
		b.Errorf("a dump of the copy has %d bytes, that of the original %d", len(again), len(dump))
	}
}

// A dump is made by the server's own program, but what tenants wrote is in it.
func loadOfAHostileDump(b *bench) {
	for _, name := range []string{"shop", "victim"} {
		b.good(b.server.CreateDatabase(b.ctx, name))
	}
	victim := b.enter(b.login("victim", "u_victim", connectors.Owner))
	b.run(victim, "CREATE TABLE goods (k INT)")
	b.login("shop", "u_shop", connectors.Owner)
	whole := b.dump("shop")
	begin, end := whole[:strings.Index(whole, "\n")+1], whole[strings.LastIndex(whole[:len(whole)-1], "\n")+1:]
	marker := filepath.Join(b.TempDir(), "marker")
	for _, statement := range []string{
		"DROP DATABASE victim;", "DROP TABLE victim.goods;", "USE victim;\nDROP TABLE goods;", "CREATE DATABASE mine;",
		"CREATE USER mine IDENTIFIED BY 'x';", "GRANT ALL ON *.* TO u_shop;", "GRANT ALL ON shop.* TO u_victim;", "SET GLOBAL general_log = 1;",
		"CREATE DEFINER=root PROCEDURE p() DROP DATABASE victim;",
		"CREATE PROCEDURE p() DROP DATABASE victim;\nCALL p();", "SELECT 1 INTO OUTFILE '" + marker + "';",
		"system touch " + marker + ";", "\\! touch " + marker, "source /etc/passwd", "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE goods;",
		"connect victim root;", "DELIMITER $$\nDROP DATABASE victim; DROP TABLE victim.goods$$",
	} {
		err := b.server.Load(b.ctx, "shop", strings.NewReader(begin+statement+"\n"+end))
		if err == nil || connectors.MayPass(err) {
			b.Errorf("%s: %v", statement, err)
		}
		b.noLoader()
	}
	if _, err := os.Stat(marker); err == nil {
		b.Error("a command was executed")
	}
	b.run(victim, "SELECT * FROM goods")
	if got := b.ask("SHOW DATABASES LIKE 'mine'"); len(got) > 0 {
		b.Error("a database was made")
	}
	// What is defined as somebody else becomes the owner's.
	b.good(b.server.Load(b.ctx, "shop", strings.NewReader(begin+"CREATE DEFINER=`root`@`127.0.0.1` PROCEDURE q() SELECT 1;\n"+end)))
	b.wantDefiner("shop", "u_shop@%")
}

func partOfADumpIsRefused(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	l := b.login("shop", "u_shop", connectors.Owner)
	b.run(b.enter(l), "CREATE TABLE goods (k INT)")
	whole := b.dump("shop")
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	for _, part := range []string{strings.Join(lines[:len(lines)-1], ""), strings.Join(lines[1:], ""), lines[0], lines[0][:10], lines[len(lines)-1]} {
		b.fails(b.server.Load(b.ctx, "shop", strings.NewReader(part)), connectors.InvalidConfig)
	}
	b.good(b.server.Load(b.ctx, "shop", strings.NewReader(whole)))
	b.noLoader()
}

func dumpLeavesBrokenViewsOut(b *bench) {
	for _, name := range []string{"shop", "copy"} {
		b.good(b.server.CreateDatabase(b.ctx, name))
	}
	first := b.login("shop", "u_first", connectors.Owner)
	b.run(b.enter(first), "CREATE TABLE goods (k INT)", "CREATE TABLE gone (k INT)", "CREATE VIEW broken AS SELECT * FROM gone", "DROP TABLE gone",
		"CREATE VIEW orphan AS SELECT * FROM goods")
	b.good(b.server.DropLogin(b.ctx, "shop", first.User)) // nobody is left to inherit
	b.good(b.server.Load(b.ctx, "copy", strings.NewReader(b.dump("shop"))))
	if got := b.ask("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'copy' ORDER BY 1"); !slices.Equal(got, []string{"goods"}) {
		b.Errorf("the copy has %q", got)
	}
}

func TestProgramsAreEncryptedAsTheModeSays(t *testing.T) {
	ca, other := testbed.NewCA(t), testbed.NewCA(t)
	cert := ca.Issue(t, "db.example")
	b := newBench(t, testbed.StartMariaDB(t, testbed.MariaDBOptions{Cert: &cert, RequireTLS: true}), config{"ssl_mode": "verify_identity", "tls_ca": ca.PEM, "tls_server_name": "db.example"})
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	dump := b.dump("shop")
	b.good(b.server.Load(b.ctx, "shop", strings.NewReader(dump)))
	for _, mode := range []config{{"ssl_mode": "verify_ca", "tls_ca": ca.PEM}, {"ssl_mode": "required"}, {"ssl_mode": "preferred"}} {
		b.server = b.open(mode)
		b.good(b.server.Load(b.ctx, "shop", strings.NewReader(b.dump("shop"))))
	}
	_, err := b.tryOpen(config{"ssl_mode": "verify_identity", "tls_ca": other.PEM, "tls_server_name": "db.example"})
	b.fails(err, connectors.TLSUntrusted)
	_, err = b.tryOpen(config{"ssl_mode": "verify_identity", "tls_ca": ca.PEM})
	b.fails(err, connectors.TLSHostname)
	_, err = b.tryOpen(nil)
	b.fails(err, connectors.AuthFailed) // MariaDB says no more

	// A certificate that is changed between login and dump is looked at again.
	b.server = b.open(config{"ssl_mode": "verify_identity", "tls_ca": ca.PEM, "tls_server_name": "db.example"})
	b.maria.UseCert(t, other.Issue(t, "db.example"))
	b.fails(b.server.Dump(b.ctx, "shop", &bytes.Buffer{}), connectors.TLSUntrusted)
}

func programsThatAreMissing(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	dump := b.dump("shop")
	b.Setenv("PATH", b.TempDir())
	if err := b.server.Dump(b.ctx, "shop", &bytes.Buffer{}); !errors.Is(err, connectors.ErrToolMissing) || connectors.MayPass(err) {
		b.Errorf("dump: %v", err)
	}
	if err := b.server.Load(b.ctx, "shop", strings.NewReader(dump)); !errors.Is(err, connectors.ErrToolMissing) {
		b.Errorf("load: %v", err)
	}
	b.noLoader()
}
