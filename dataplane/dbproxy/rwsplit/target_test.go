package rwsplit

import (
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

var states = map[string]state{
	"plain":                       state{},
	"in a transaction":            state{trx: readWrite},
	"read only":                   state{trx: readOnly},
	"optimistic_trx":              state{optimism: true},
	"optimistic":                  state{trx: optimistic, optimism: true},
	"autocommit off":              state{autocommitOff: true},
	"serializable":                state{serializable: true},
	"serializable next":           state{serializableNext: true},
	"pinned":                      state{pinned: true},
	"locked":                      state{locked: true},
	"xa":                          state{xa: true},
	"temporary":                   state{temporary: true},
	"own variables":               state{ownVariables: true},
	"use_sql_variables_in=master": state{masterVariables: true},
}

var places = []struct {
	state, sql string
	want       place
}{
	{"plain", "SELECT a FROM t", atReplica},
	{"plain", "INSERT INTO t VALUES (1)", atMaster},
	{"plain", "gibberish", atMaster},
	{"plain", "", atMaster},
	{"plain", "SELECT 1; SELECT 2", atMaster},
	{"plain", "SHOW TABLES", atReplica},
	{"plain", "SHOW MASTER STATUS", atMaster},
	{"plain", "SHOW WARNINGS", atPrevious},
	{"plain", "SET NAMES utf8", atAll},
	{"plain", "USE db", atAll},
	{"plain", "SET @a = f()", atMaster},
	{"plain", "SELECT 1 INTO @a", atAll},
	{"plain", "SELECT @a := 1", atAll},
	{"plain", "SELECT a INTO OUTFILE '/x' FROM t", atAll},
	{"plain", "PREPARE s FROM @a", atAll},
	{"plain", "BEGIN", atMaster},
	{"plain", "START TRANSACTION READ ONLY", beginReadOnly},
	{"plain", "EXECUTE s", atMaster}, // unless it is known what that is
	{"in a transaction", "SELECT a FROM t", atMaster},
	{"in a transaction", "SELECT FOUND_ROWS()", atMaster},
	{"in a transaction", "SET @a = 1", atAll},
	{"in a transaction", "SELECT a INTO @a FROM t", atMaster},
	{"in a transaction", "SELECT @a := a FROM t", atMaster},
	{"in a transaction", "START TRANSACTION READ ONLY", atMaster},
	{"in a transaction", "COMMIT", atMaster},
	{"read only", "SELECT a FROM t", atTransaction},
	{"read only", "SELECT FOUND_ROWS()", atTransaction},
	{"read only", "SELECT a FROM t FOR UPDATE", atTransaction},
	{"read only", "SELECT LAST_INSERT_ID()", atTransaction},
	{"read only", "SELECT @a", atTransaction},
	{"read only", "SAVEPOINT a", atTransaction},
	{"read only", "ROLLBACK TO a", atTransaction},
	{"read only", "COMMIT", atTransaction},
	{"read only", "ROLLBACK AND CHAIN", atTransaction},
	{"read only", "INSERT INTO t VALUES (1)", refused},
	{"read only", "UPDATE t SET a = 1", refused},
	{"read only", "DROP TABLE t", refused},
	{"read only", "CREATE TABLE t (a INT)", refused},
	{"read only", "SET @a = 1", atAll},
	{"read only", "SELECT f()", atMaster},
	{"read only", "SELECT NEXT VALUE FOR s", atMaster},
	{"read only", "SELECT GET_LOCK('a', 1)", atMaster},
	{"read only", "CALL p()", atMaster},
	{"read only", "gibberish", atMaster},
	{"read only", "COMMIT; DELETE FROM t", atMaster},
	{"read only", "SELECT 1; DELETE FROM t", atMaster},
	{"optimistic_trx", "BEGIN", beginOptimistic},
	{"optimistic_trx", "START TRANSACTION READ WRITE", beginOptimistic},
	{"optimistic_trx", "START TRANSACTION READ ONLY", beginReadOnly},
	{"optimistic_trx", "BEGIN; DELETE FROM t", atMaster},
	{"optimistic_trx", "INSERT INTO t VALUES (1)", atMaster},
	{"optimistic", "SELECT a FROM t", atTransaction},
	{"optimistic", "COMMIT", atTransaction},
	{"optimistic", "COMMIT AND CHAIN", migrate},
	{"optimistic", "SET @a = 1", atAll},
	{"optimistic", "INSERT INTO t VALUES (1)", migrate},
	{"optimistic", "SELECT a FROM t FOR UPDATE", migrate},
	{"optimistic", "SELECT f()", migrate},
	{"optimistic", "SAVEPOINT a", migrate},
	{"optimistic", "COMMIT; DELETE FROM t", migrate},
	{"optimistic", "SELECT a INTO @a FROM t", migrate},
	{"autocommit off", "SELECT a FROM t", atMaster},
	{"autocommit off", "START TRANSACTION READ ONLY", atMaster},
	{"autocommit off", "SET autocommit = 1", atAll},
	{"serializable", "SELECT a FROM t", atMaster},
	{"serializable next", "SELECT a FROM t", atMaster},
	{"pinned", "SELECT a FROM t", atMaster},
	{"pinned", "START TRANSACTION READ ONLY", atMaster},
	{"locked", "SELECT a FROM t", atMaster},
	{"xa", "SELECT a FROM t", atMaster},
	{"temporary", "SELECT a FROM t", atReplica},
	{"temporary", "START TRANSACTION READ ONLY", atMaster},
	{"own variables", "SELECT @a", atMaster},
	{"own variables", "SELECT a FROM t", atReplica},
	{"own variables", "SET @b = @a", atAll},
	{"own variables", "PREPARE s FROM @a", atMaster},
	{"own variables", "PREPARE s FROM 'SELECT 1'", atAll},
	{"use_sql_variables_in=master", "SELECT @a", atMaster},
	{"use_sql_variables_in=master", "SELECT @a := 1", atMaster},
	{"use_sql_variables_in=master", "SET @a = 1", atAll},
}

func TestPlaces(t *testing.T) {
	for _, c := range places {
		class := sqlclass.Classify([]byte(c.sql), sqlclass.MariaDB)
		st, ok := states[c.state]
		if got := st.place(&class, false); got != c.want || !ok {
			t.Errorf("%s: %s goes to %s, not to %s", c.state, c.sql, got, c.want)
		}
	}
}

func TestPlacesOfTemporaryTables(t *testing.T) {
	for _, sql := range []string{"SELECT a FROM t", "SELECT a FROM t INTO @a", "SHOW CREATE TABLE t", "SELECT @a := a FROM t"} {
		class := sqlclass.Classify([]byte(sql), sqlclass.MariaDB)
		st := state{temporary: true}
		if got := st.place(&class, true); got != atMaster {
			t.Errorf("%s goes to %s", sql, got)
		}
		st.trx, st.optimism = optimistic, true
		if got := st.place(&class, true); got != migrate {
			t.Errorf("%s in an optimistic transaction goes to %s", sql, got)
		}
	}
}

// Whatever the state, what may write goes nowhere but to the master.
func FuzzPlaces(f *testing.F) {
	for _, sql := range []string{"SELECT 1", "DELETE FROM t", "SELECT f()", "BEGIN", "SET @a = 1", "COMMIT; DELETE FROM t"} {
		f.Add(sql, uint16(0))
	}
	f.Fuzz(func(t *testing.T, sql string, bits uint16) {
		bit := func(i int) bool { return bits>>i&1 == 1 }
		st := state{
			trx: transaction(bits>>12) % 4, xa: bit(0), autocommitOff: bit(1), serializable: bit(2), serializableNext: bit(3), pinned: bit(4),
			locked: bit(5), temporary: bit(6), masterVariables: bit(7), ownVariables: bit(8), optimism: bit(9),
		}
		class := sqlclass.Classify([]byte(sql), 0)
		got := st.place(&class, bit(10))
		if !class.Is(sqlclass.TypeWrite) && !class.Has(sqlclass.FlagMulti|sqlclass.FlagInvalid|sqlclass.FlagConditional) {
			return
		}
		switch got {
		case atMaster, migrate, refused, beginOptimistic:
		default:
			t.Fatalf("%q goes to %s in %+v", sql, got, st)
		}
	})
}
