package rwsplit

import (
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

func TestPlaces(t *testing.T) {
	var (
		plain      = state{}
		write      = state{trx: readWrite}
		only       = state{trx: readOnly}
		hopeful    = state{optimism: true}
		optimistic = state{trx: optimistic, optimism: true}
		off        = state{autocommitOff: true}
		serial     = state{serializable: true}
		next       = state{serializableNext: true}
		pinned     = state{pinned: true}
		locked     = state{locked: true}
		xa         = state{xa: true}
		tables     = state{temporary: true}
		own        = state{ownVariables: true}
		master     = state{masterVariables: true}
	)
	const (
		read   = "SELECT a FROM t"
		insert = "INSERT INTO t VALUES (1)"
	)
	for _, c := range []struct {
		name  string
		state state
		sql   string
		want  place
	}{
		{"plain", plain, read, atReplica},
		{"plain", plain, insert, atMaster},
		{"plain", plain, "gibberish", atMaster},
		{"plain", plain, "", atMaster},
		{"plain", plain, "SELECT 1; SELECT 2", atMaster},
		{"plain", plain, "SHOW TABLES", atReplica},
		{"plain", plain, "SHOW MASTER STATUS", atMaster},
		{"plain", plain, "SHOW WARNINGS", atPrevious},
		{"plain", plain, "SET NAMES utf8", atAll},
		{"plain", plain, "USE db", atAll},
		{"plain", plain, "SET @a = f()", atMaster},
		{"plain", plain, "SELECT 1 INTO @a", atAll},
		{"plain", plain, "SELECT @a := 1", atAll},
		{"plain", plain, "SELECT a INTO OUTFILE '/x' FROM t", atAll},
		{"plain", plain, "PREPARE s FROM @a", atAll},
		{"plain", plain, "BEGIN", atMaster},
		{"plain", plain, "START TRANSACTION READ ONLY", beginReadOnly},
		{"plain", plain, "EXECUTE s", atMaster}, // unless it is known what that is
		{"in a transaction", write, read, atMaster},
		{"in a transaction", write, "SELECT FOUND_ROWS()", atMaster},
		{"in a transaction", write, "SET @a = 1", atAll},
		{"in a transaction", write, "SELECT a INTO @a FROM t", atMaster},
		{"in a transaction", write, "SELECT @a := a FROM t", atMaster},
		{"in a transaction", write, "START TRANSACTION READ ONLY", atMaster},
		{"in a transaction", write, "COMMIT", atMaster},
		{"read only", only, read, atTransaction},
		{"read only", only, "SELECT FOUND_ROWS()", atTransaction},
		{"read only", only, "SELECT a FROM t FOR UPDATE", atTransaction},
		{"read only", only, "SELECT LAST_INSERT_ID()", atTransaction},
		{"read only", only, "SELECT @a", atTransaction},
		{"read only", only, "SAVEPOINT a", atTransaction},
		{"read only", only, "ROLLBACK TO a", atTransaction},
		{"read only", only, "COMMIT", atTransaction},
		{"read only", only, "ROLLBACK AND CHAIN", atTransaction},
		{"read only", only, insert, refused},
		{"read only", only, "UPDATE t SET a = 1", refused},
		{"read only", only, "DROP TABLE t", refused},
		{"read only", only, "CREATE TABLE t (a INT)", refused},
		{"read only", only, "SET @a = 1", atAll},
		{"read only", only, "SELECT f()", atMaster},
		{"read only", only, "SELECT NEXT VALUE FOR s", atMaster},
		{"read only", only, "SELECT GET_LOCK('a', 1)", atMaster},
		{"read only", only, "CALL p()", atMaster},
		{"read only", only, "gibberish", atMaster},
		{"read only", only, "COMMIT; DELETE FROM t", atMaster},
		{"read only", only, "SELECT 1; DELETE FROM t", atMaster},
		{"optimistic_trx", hopeful, "BEGIN", beginOptimistic},
		{"optimistic_trx", hopeful, "START TRANSACTION READ WRITE", beginOptimistic},
		{"optimistic_trx", hopeful, "START TRANSACTION READ ONLY", beginReadOnly},
		{"optimistic_trx", hopeful, "BEGIN; DELETE FROM t", atMaster},
		{"optimistic_trx", hopeful, insert, atMaster},
		{"optimistic", optimistic, read, atTransaction},
		{"optimistic", optimistic, "COMMIT", atTransaction},
		{"optimistic", optimistic, "COMMIT AND CHAIN", migrate},
		{"optimistic", optimistic, "SET @a = 1", atAll},
		{"optimistic", optimistic, insert, migrate},
		{"optimistic", optimistic, "SELECT a FROM t FOR UPDATE", migrate},
		{"optimistic", optimistic, "SELECT f()", migrate},
		{"optimistic", optimistic, "SAVEPOINT a", migrate},
		{"optimistic", optimistic, "COMMIT; DELETE FROM t", migrate},
		{"optimistic", optimistic, "SELECT a INTO @a FROM t", migrate},
		{"autocommit off", off, read, atMaster},
		{"autocommit off", off, "START TRANSACTION READ ONLY", atMaster},
		{"autocommit off", off, "SET autocommit = 1", atAll},
		{"serializable", serial, read, atMaster},
		{"serializable next", next, read, atMaster},
		{"pinned", pinned, read, atMaster},
		{"pinned", pinned, "START TRANSACTION READ ONLY", atMaster},
		{"locked", locked, read, atMaster},
		{"xa", xa, read, atMaster},
		{"temporary", tables, read, atReplica},
		{"temporary", tables, "START TRANSACTION READ ONLY", atMaster},
		{"own variables", own, "SELECT @a", atMaster},
		{"own variables", own, read, atReplica},
		{"own variables", own, "SET @b = @a", atAll},
		{"own variables", own, "PREPARE s FROM @a", atMaster},
		{"own variables", own, "PREPARE s FROM 'SELECT 1'", atAll},
		{"use_sql_variables_in=master", master, "SELECT @a", atMaster},
		{"use_sql_variables_in=master", master, "SELECT @a := 1", atMaster},
		{"use_sql_variables_in=master", master, "SET @a = 1", atAll},
	} {
		class := sqlclass.Classify([]byte(c.sql), sqlclass.MariaDB)
		if got := c.state.place(&class, false); got != c.want {
			t.Errorf("%s: %s goes to %s, not to %s", c.name, c.sql, got, c.want)
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
