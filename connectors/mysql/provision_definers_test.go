package mysql_test

import (
	"slices"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// belongings are statements that make one of everything with a definer, in
// sessions with settings that change what they mean.
func belongings() []string {
	return []string{
		"CREATE TABLE goods (k INT, v VARCHAR(100))", "INSERT INTO goods VALUES (1, 'tea')",
		"SET sql_mode = ''",
		"CREATE VIEW names AS SELECT v, 'it''s \\\\ `x`' AS note FROM goods",
		"CREATE SQL SECURITY INVOKER VIEW viewed AS SELECT v FROM names WITH CASCADED CHECK OPTION",
		"SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'",
		`CREATE PROCEDURE "a ` + "`" + ` procedure"(INOUT "x" VARCHAR(100)) COMMENT 'it''s' BEGIN SET x = 'a\' || x || ';;'; UPDATE goods SET v = v WHERE k = 1; END`,
		"SET sql_mode = ''",
		"SET NAMES latin1", "CREATE FUNCTION umlaut() RETURNS VARCHAR(10) CHARACTER SET latin1 DETERMINISTIC RETURN '\xe4'", "SET NAMES utf8mb4",
		// Which comes first is told by what is left in the end.
		"CREATE TRIGGER second BEFORE INSERT ON goods FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '-second')",
		"CREATE TRIGGER first BEFORE INSERT ON goods FOR EACH ROW PRECEDES second SET NEW.v = CONCAT(NEW.v, '-first')",
		"SET time_zone = '+03:00'",
		"CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' DO UPDATE goods SET v = v",
	}
}

// definers lists who defined what in a database, with what was written.
func (b *bench) definers(database string) (who, what []string) {
	b.Helper()
	who = b.ask("SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ? UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?"+
		" UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? UNION SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?", database, database, database, database)
	what = b.ask("SELECT CONCAT_WS('|', 'view', TABLE_NAME, REPLACE(VIEW_DEFINITION, TABLE_SCHEMA, ''), CHECK_OPTION, SECURITY_TYPE, CHARACTER_SET_CLIENT) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?"+
		" UNION ALL SELECT CONCAT_WS('|', ROUTINE_TYPE, ROUTINE_NAME, HEX(ROUTINE_DEFINITION), ROUTINE_COMMENT, SQL_MODE, CHARACTER_SET_CLIENT) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?"+
		" UNION ALL SELECT CONCAT_WS('|', 'trigger', TRIGGER_NAME, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?"+
		" UNION ALL SELECT CONCAT_WS('|', 'event', EVENT_NAME, EVENT_DEFINITION, TIME_ZONE, STARTS, STATUS, SQL_MODE) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ? ORDER BY 1", database, database, database, database)
	return who, what
}

func (b *bench) wantDefiner(database, want string) {
	b.Helper()
	if who, _ := b.definers(database); !slices.Equal(who, []string{want}) {
		b.Errorf("defined by %q, want %q", who, want)
	}
}

// works uses one of everything as a login.
func (b *bench) works(l connectors.Login) {
	b.Helper()
	s := b.enter(l)
	b.run(s, "SELECT * FROM names", "SELECT * FROM viewed", "SET @x = 'b'", "CALL `a `` procedure`(@x)", "INSERT INTO goods VALUES (2, 'new')")
	for query, want := range map[string]string{
		"SELECT @x":                              `a\b;;`,
		"SELECT umlaut()":                        "ä",
		"SELECT v FROM goods WHERE k = 2":        "new-first-second",
		"SELECT note FROM names WHERE v = 'tea'": "it's \\ `x`",
	} {
		var got string
		b.good(s.conn.QueryRowContext(b.ctx, query).Scan(&got))
		if got != want {
			b.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	b.run(s, "DELETE FROM goods WHERE k = 2")
}

func whatALoginDefinedStaysInUse(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	first := b.login("shop", "u_first", connectors.Owner)
	b.run(b.enter(first), belongings()...)
	_, before := b.definers("shop")
	if len(before) != 7 {
		b.Fatalf("made %q", before)
	}
	same := func() {
		b.Helper()
		if _, after := b.definers("shop"); !slices.Equal(before, after) {
			b.Errorf("it was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}

	// To the other owner, not to one that only writes.
	b.login("shop", "u_b_writer", connectors.ReadWrite)
	second := b.login("shop", "u_second", connectors.Owner)
	b.good(b.server.DropLogin(b.ctx, "shop", first.User))
	b.wantDefiner("shop", "u_second@%")
	same()
	b.works(second)

	// To an owner that is frozen: it will be thawed.
	frozen := connectors.Login{Database: "shop", User: "u_third", Password: "Secret-3", Privilege: connectors.Owner, Frozen: true}
	b.good(b.server.PutLogin(b.ctx, frozen))
	b.good(b.server.DropLogin(b.ctx, "shop", second.User))
	b.wantDefiner("shop", "u_third@%")
	same()

	// To the next owner, when there is none at the moment.
	b.good(b.server.DropLogin(b.ctx, "shop", frozen.User))
	b.wantDefiner("shop", "u_third@%")
	fourth := b.login("shop", "u_fourth", connectors.Owner)
	b.wantDefiner("shop", "u_fourth@%")
	same()
	b.works(fourth)
}

// A view of what is gone cannot be given to anybody, and keeps nobody.
func brokenViewKeepsNoLogin(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	l := b.login("shop", "u_first", connectors.Owner)
	b.run(b.enter(l), "CREATE TABLE goods (k INT)", "CREATE VIEW broken AS SELECT * FROM goods", "DROP TABLE goods", "CREATE VIEW fine AS SELECT 1")
	b.login("shop", "u_second", connectors.Owner)
	b.good(b.server.DropLogin(b.ctx, "shop", l.User))
	if has, err := b.server.HasLogin(b.ctx, "shop", l.User); has || err != nil {
		b.Errorf("the login is there: %t, %v", has, err)
	}
	if got := b.ask("SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_NAME = 'fine'"); got[0] != "u_second@%" {
		b.Errorf("the other view is of %q", got)
	}
}

// A trigger that is replaced becomes the last of its kind: those that follow it
// are replaced too, whoever defined them.
func triggersKeepTheirOrder(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	a, c := b.login("shop", "u_a", connectors.Owner), b.login("shop", "u_c", connectors.Owner)
	b.run(b.enter(a), "CREATE TABLE goods (v VARCHAR(100))", "CREATE TRIGGER t1 BEFORE INSERT ON goods FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '1')")
	b.run(b.enter(c), "CREATE TRIGGER t2 BEFORE INSERT ON goods FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '2')")
	b.run(b.enter(a), "CREATE TRIGGER t3 BEFORE INSERT ON goods FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '3')")
	heir := b.login("shop", "u_b", connectors.Owner)
	b.good(b.server.DropLogin(b.ctx, "shop", a.User))
	b.run(b.enter(heir), "INSERT INTO goods VALUES ('')")
	if got := b.ask("SELECT v FROM shop.goods"); got[0] != "123" {
		b.Errorf("they ran in the order %s", got[0])
	}
	got := b.ask("SELECT CONCAT(TRIGGER_NAME, ' ', DEFINER) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop' ORDER BY 1")
	if want := []string{"t1 u_b@%", "t2 u_c@%", "t3 u_b@%"}; !slices.Equal(got, want) {
		b.Errorf("they are %q, want %q", got, want)
	}
}
