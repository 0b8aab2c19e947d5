package masking

import (
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

func mustParse(t testing.TB, text string) rules {
	t.Helper()
	r, err := parseRules([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const ssn = `{"rules": [{"replace": {"column": "ssn"}, "with": {"fill": "X"}}]}`

var all = checks{true, true, true, true, true, true}

func TestWaysAroundTheMaskAreRefused(t *testing.T) {
	c := checker{checks: all, rules: mustParse(t, ssn), database: "db", mode: sqlclass.MariaDB}
	for sql, why := range map[string]string{
		"SELECT CONCAT(SSN) FROM person":                             "concat",
		"SELECT left (ssn, 3) FROM person":                           "left",
		"SELECT REPLACE(ssn, '-', '') FROM person":                   "replace",
		"SELECT IF(1, p.ssn, '') FROM person p":                      "if",
		"SELECT INSERT(`ssn`, 1, 0, '') FROM person":                 "insert",
		"SELECT MAX(UPPER(ssn)) FROM person":                         "max",
		"SELECT CAST(ssn AS CHAR(20)) FROM person":                   "cast",
		"SELECT CONVERT(ssn USING latin1) FROM person":               "convert",
		"SELECT name FROM person WHERE LENGTH(ssn) = 11":             "length",
		`SELECT CONCAT("ssn") FROM person`:                           "string",
		"SELECT ssn + 0 FROM person":                                 "expression",
		"SELECT '' || ssn FROM person":                               "expression",
		"SELECT ssn COLLATE utf8mb4_bin FROM person":                 "expression",
		"SELECT CASE WHEN 1 THEN ssn END FROM person":                "expression",
		"SELECT BINARY ssn FROM person":                              "expression",
		"SELECT (ssn) FROM person":                                   "expression",
		"SELECT 1; SELECT CONCAT(ssn) FROM person":                   "concat",
		"SELECT ssn INTO @a FROM person":                             "variable",
		"SELECT @a := ssn FROM person":                               "expression",
		"SET @a = (SELECT ssn FROM person)":                          "variable",
		"SELECT * FROM person INTO @a, @b":                           "variable",
		"SELECT name FROM t UNION SELECT ssn FROM person":            "union",
		"SELECT name, id FROM t UNION ALL (SELECT * FROM person)":    "union",
		"SELECT name FROM t EXCEPT SELECT ssn FROM person":           "union",
		"SELECT name, id FROM t UNION TABLE person":                  "union",
		"SELECT ssn AS x FROM person UNION SELECT ''":                "union",
		"SELECT x FROM (SELECT ssn AS x FROM person) y":              "subquery",
		"SELECT (SELECT ssn FROM person LIMIT 1)":                    "subquery",
		"WITH c(x) AS (SELECT * FROM person) SELECT x FROM c":        "subquery",
		"PREPARE s FROM 'SELECT CONCAT(ssn) FROM person'":            "concat",
		"EXECUTE IMMEDIATE 'SELECT (SELECT ssn FROM person)'":        "subquery",
		"PREPARE s FROM @text":                                       "not known",
		"EXECUTE IMMEDIATE CONCAT('SELECT ', 's', 'sn FROM person')": "not known",
		"SELECT 'open":      "not understood",
		"FROBNICATE person": "not understood",
		"SELECT /*!50000 CONCAT(ssn) */ FROM person":                             "concat",
		"SELECT LEFT /*!999999 , */ (ssn, 3) FROM person":                        "left",
		"UPDATE t SET a = UPPER(ssn)":                                            "upper",
		"INSERT INTO t (a) VALUES ('x') RETURNING CONCAT(ssn)":                   "concat",
		"CREATE TABLE t SELECT TRIM(ssn) AS x FROM person":                       "trim",
		"SELECT f" + strings.Repeat("((", 80) + "ssn" + strings.Repeat("))", 80): "f",
	} {
		if got := c.text([]byte(sql), 0); !strings.Contains(got, why) {
			t.Errorf("%s: %q, not because of %q", sql, got, why)
		}
	}
}

func TestHarmlessStatementsPass(t *testing.T) {
	c := checker{checks: all, rules: mustParse(t, ssn), database: "db", mode: sqlclass.MariaDB}
	for _, sql := range []string{
		"SELECT ssn FROM person", "SELECT name, p.ssn AS x FROM person p WHERE p.ssn = '1'", "SELECT * FROM person",
		"SELECT DISTINCT ssn FROM person ORDER BY ssn", "SELECT UPPER(name), ssn FROM person", "SELECT COUNT(*) FROM person",
		"INSERT INTO person (name, ssn) VALUES (UPPER('x'), 'y')", "UPDATE person SET ssn = 'x' WHERE id = 1", "SELECT 1 + 1", "",
		"SET @a = 1", "SET NAMES utf8mb4", "BEGIN", "COMMIT", "PREPARE s FROM 'SELECT ssn FROM person'", "EXECUTE s",
		"SELECT name FROM t UNION SELECT name FROM u", "SELECT a FROM t WHERE b IN (SELECT c FROM u)", "SHOW TABLES", "CALL p(1)",
	} {
		if got := c.text([]byte(sql), 0); got != "" {
			t.Errorf("%s is refused: %s", sql, got)
		}
	}
}

func TestChecksCanBeSwitchedOff(t *testing.T) {
	for sql, off := range map[string]checks{
		"SELECT CONCAT(ssn), ssn + 0 FROM t":     {false, true, true, true, true, true},
		"FROBNICATE person":                      {true, false, true, true, true, true},
		"SELECT CONCAT('ssn') FROM t":            {true, true, false, true, true, true},
		"SELECT ssn INTO @a FROM t":              {true, true, true, false, true, true},
		"SELECT a FROM t UNION SELECT ssn AS b":  {true, true, true, true, false, true},
		"SELECT x FROM (SELECT ssn x FROM t) y ": {true, true, true, true, true, false},
	} {
		for _, c := range []checks{all, off} {
			got := checker{checks: c, rules: mustParse(t, ssn), mode: sqlclass.MariaDB}.text([]byte(sql), 0)
			if (got == "") != (c == off) {
				t.Errorf("%s with %v: %q", sql, c, got)
			}
		}
	}
}

func TestRulesForATableAreForThatTable(t *testing.T) {
	list := mustParse(t, `{"rules": [{"replace": {"column": "ssn", "table": "person", "database": "db"}, "with": {"fill": "X"}}]}`)
	for sql, refused := range map[string]bool{
		"SELECT CONCAT(ssn) FROM person": true, "SELECT CONCAT(x.ssn) FROM Person x": true, "SELECT CONCAT(ssn) FROM db.person": true,
		"SELECT CONCAT(ssn) FROM other": false, "SELECT CONCAT(ssn) FROM db2.person": false, "SELECT CONCAT(ssn)": true,
		"SELECT a FROM t UNION SELECT * FROM person": true, "SELECT a FROM t UNION SELECT * FROM u": false,
	} {
		got := checker{checks: all, rules: list, database: "db", mode: sqlclass.MariaDB}.text([]byte(sql), 0)
		if (got != "") != refused {
			t.Errorf("%s: %q", sql, got)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("SELECT CONCAT(ssn) FROM person"), uint16(0))
	f.Add([]byte("PREPARE s FROM 'PREPARE s FROM ''SELECT 1'''"), uint16(sqlclass.ANSIQuotes))
	f.Fuzz(func(t *testing.T, sql []byte, mode uint16) {
		c := checker{checks: all, rules: mustParse(t, ssn), mode: sqlclass.Mode(mode)}
		class := sqlclass.Classify(sql, c.mode)
		if c.text(sql, 0) == "" && class.Has(sqlclass.FlagInvalid) {
			t.Errorf("%q passes", sql)
		}
	})
}
