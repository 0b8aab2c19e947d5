package mysql

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

func TestQuote(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{quoteName("a`b"), "`a``b`"}, {quoteName(`a"b\`), "`a\"b\\`"},
		{quoteText("it's"), "'it''s'"}, {quoteText(`\'`), `'\'''`}, {quoteText(""), "''"},
		{account("u'x"), "'u''x'@'%'"},
		{pattern("my_shop"), `my\_shop`}, {pattern(`a%b\c`), `a\%b\\c`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, database string
		want              bool
	}{
		{"test", "test", true}, {"test", "test_a", false}, {`test\_%`, "test_a", true}, {`test\_%`, "testxa", false}, {"test_%", "testxa", true},
		{"%", "anything", true}, {"a.c", "abc", false}, {`a\\b`, `a\b`, true}, {"(", "(", true},
	} {
		if got := matches(c.pattern, c.database); got != c.want {
			t.Errorf("%s for %s: %t", c.pattern, c.database, got)
		}
	}
}

func TestParseGrant(t *testing.T) {
	const user = "u`x"
	for _, c := range []struct {
		line         string
		text, object string
		rights       []string
		option, on   bool
	}{
		{"GRANT ALL PRIVILEGES ON `my\\_shop`.* TO `u``x`@`%`", "ALL PRIVILEGES ON `my\\_shop`.*", "`my\\_shop`.*", []string{"ALL PRIVILEGES"}, false, true},
		{"GRANT SELECT, INSERT ON `my_shop`.* TO `u``x`@`%` WITH GRANT OPTION", "SELECT, INSERT ON `my_shop`.*", "`my_shop`.*", []string{"SELECT", "INSERT"}, true, true},
		{"GRANT SELECT ON `my_shop`.` TO ` TO `u``x`@`%`", "SELECT ON `my_shop`.` TO `", "`my_shop`.` TO `", []string{"SELECT"}, false, true},
		{"GRANT EXECUTE ON PROCEDURE `my_shop`.`p` TO `u``x`@`%`", "EXECUTE ON PROCEDURE `my_shop`.`p`", "PROCEDURE `my_shop`.`p`", []string{"EXECUTE"}, false, true},
		{"GRANT SELECT (` ON `) ON `my_shop`.`t` TO `u``x`@`%`", "SELECT (` ON `) ON `my_shop`.`t`", "`my_shop`.`t`", []string{"SELECT (` ON `)"}, false, true},
		{"GRANT SELECT ON `my_shop2`.* TO `u``x`@`%`", "SELECT ON `my_shop2`.*", "`my_shop2`.*", []string{"SELECT"}, false, false},
		{"GRANT SELECT ON `myxshop`.`my_shop` TO `u``x`@`%`", "SELECT ON `myxshop`.`my_shop`", "`myxshop`.`my_shop`", []string{"SELECT"}, false, false},
		{"GRANT PROCESS ON *.* TO 'u`x'@'%' IDENTIFIED BY PASSWORD '*1'", "PROCESS ON *.*", "*.*", []string{"PROCESS"}, false, false},
		{"GRANT `helper` TO `u``x`@`%`", "`helper`", "", nil, false, false},
	} {
		g, ok := parseGrant(c.line, user)
		if !ok || g.text != c.text || g.object != c.object || !slices.Equal(g.rights, c.rights) || g.option != c.option || g.on("my_shop") != c.on {
			t.Errorf("%s: %+v, on %t", c.line, g, g.on("my_shop"))
		}
	}
	for _, line := range []string{"GRANT USAGE ON *.* TO `u``x`@`%`", "SET DEFAULT ROLE `r` FOR `u``x`@`%`", "GRANT SELECT ON *.* TO `other`@`%`"} {
		if g, ok := parseGrant(line, user); ok {
			t.Errorf("%s: %+v", line, g)
		}
	}
}

func TestLacks(t *testing.T) {
	for _, c := range []struct{ lines, want []string }{
		{[]string{"GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"}, nil},
		{[]string{"GRANT ALL PRIVILEGES ON *.* TO `root`@`%`"}, []string{"GRANT OPTION"}},
		{[]string{"GRANT " + strings.Join(databasePrivileges(), ", ") + ", CREATE USER, PROCESS ON *.* TO `a`@`%` WITH GRANT OPTION", "GRANT CONNECTION_ADMIN,SET_USER_ID ON *.* TO `a`@`%`"}, nil},
		{[]string{"GRANT " + strings.Join(databasePrivileges(), ", ") + ", SUPER ON *.* TO `a`@`%` WITH GRANT OPTION"}, []string{"CREATE USER", "PROCESS"}},
	} {
		if got := lacks(c.lines); !slices.Equal(got, c.want) {
			t.Errorf("%q lacks %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestUndefined(t *testing.T) {
	for statement, want := range map[string]string{
		"CREATE DEFINER=`o`@`%` FUNCTION `f`() RETURNS int(11)\nreturn 1":                                                            "CREATE  FUNCTION `f`() RETURNS int(11)\nreturn 1",
		"CREATE DEFINER=`a``b`@`10.%` PROCEDURE `p`()":                                                                               "CREATE  PROCEDURE `p`()",
		`CREATE DEFINER="o"@"%" PROCEDURE "p"()`:                                                                                     `CREATE  PROCEDURE "p"()`,
		"/*!50003 CREATE*/ /*!50017 DEFINER=`o`@`%`*/ /*!50003 trigger t before insert on x for each row set @a=1 */":                "/*!50003 CREATE*/ /*!50017 */ /*!50003 trigger t before insert on x for each row set @a=1 */",
		"/*!50106 CREATE*/ /*!50117 DEFINER=`o`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO select 1 */":                     "/*!50106 CREATE*/ /*!50117 */ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO select 1 */",
		"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`o`@`%` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */": "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013  SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */",
		"INSERT INTO t VALUES ('CREATE DEFINER=`o`@`%` PROCEDURE')":                                                                  "",
		"CREATE TABLE `DEFINER=``o``@` (i int)":                                                                                      "",
		"CREATE PROCEDURE p() SELECT 'DEFINER=`o`@`%`'":                                                                              "",
		"": "",
	} {
		if got := string(undefined(append([]byte{comQuery}, statement...))); strings.TrimPrefix(got, string(rune(comQuery))) != want {
			t.Errorf("%s\nbecomes %q", statement, got)
		}
	}
	if got := undefined([]byte("\x16CREATE DEFINER=`o`@`%` PROCEDURE p() SELECT 1")); got != nil {
		t.Errorf("another command becomes %q", got)
	}
}

func packet(seq byte, body string) string {
	n := len(body)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}) + body
}

func TestForward(t *testing.T) {
	long := "\x03CREATE DEFINER=`o`@`%` PROCEDURE p() SELECT '" + strings.Repeat("x", 10_000) + "'"
	short := strings.Replace(long, "DEFINER=`o`@`%`", "", 1)
	// A statement that begins in a full packet is data, and its second packet
	// looks like a statement.
	huge := packet(0, "\x03"+strings.Repeat("y", fullPacket-1)) + packet(1, long)
	sent := packet(0, long) + packet(0, "\x03SELECT 1") + huge + packet(0, "\x01")
	want := packet(0, short) + packet(0, "\x03SELECT 1") + huge + packet(0, "\x01")
	var got bytes.Buffer
	r := relay{strip: true}
	if err := r.forward(&got, bufio.NewReader(strings.NewReader(sent))); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	if got.String() != want {
		t.Errorf("%d bytes were sent, %d came, want %d", len(sent), got.Len(), len(want))
	}
}

// MySQL cannot replace a routine in one step: its login is kept, locked.
func TestLoginIsKeptWhereRoutinesCannotBeReplaced(t *testing.T) {
	ctx := context.Background()
	maria := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	opened, err := New().Open(ctx, connectors.Env{}, connectors.Config{"host": "127.0.0.1", "port": int64(maria.Port), "username": maria.User, "password": maria.Password})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*server)
	good := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	good(s.CreateDatabase(ctx, "shop"))
	for _, user := range []string{"u_a", "u_b"} {
		good(s.PutLogin(ctx, connectors.Login{Database: "shop", User: user, Password: "Secret-1", Privilege: connectors.Owner}))
	}
	maria.ExecIn(t, "shop", "CREATE DEFINER = u_a@'%' VIEW v AS SELECT 1", "CREATE DEFINER = u_a@'%' EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
		"CREATE DEFINER = u_a@'%' PROCEDURE p() SELECT 1")
	s.maria = false
	good(s.drop(ctx, "shop", "u_a"))
	s.maria = true
	want := []string{"EVENT e u_b@%", "PROCEDURE p u_a@%", "VIEW v u_b@%"}
	list, err := s.belongings(ctx, "shop", "TRUE")
	good(err)
	var got []string
	for _, b := range list {
		got = append(got, b.kind+" "+b.name+" "+b.definer)
	}
	if !slices.Equal(got, want) {
		t.Errorf("they are %q, want %q", got, want)
	}
	rows, err := s.list(ctx, "SHOW CREATE USER u_a@'%'")
	good(err)
	if len(rows) != 1 || !strings.Contains(rows[0], "ACCOUNT LOCK") {
		t.Errorf("the account is %q", rows)
	}
	maria.ExecIn(t, "shop", "CALL p()")
	// Once its routine is gone, or can be replaced, it goes.
	good(s.DropLogin(ctx, "shop", "u_a"))
	if has, err := s.HasLogin(ctx, "shop", "u_a"); has || err != nil {
		t.Errorf("it is there: %t, %v", has, err)
	}
}
