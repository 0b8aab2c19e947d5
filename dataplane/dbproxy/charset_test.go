package dbproxy

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/backplane/backplane/testbed"
)

// TestCharsetsAsOnServer holds the numbers of collations against a server's.
func TestCharsetsAsOnServer(t *testing.T) {
	s := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db, err := sql.Open("mysql", s.AdminURL("information_schema"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT ID, CHARACTER_SET_NAME FROM COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID < 255")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var id int
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			t.Fatal(err)
		}
		seen++
		switch got := charsetName(byte(id)); {
		case got == name, got == "utf8mb3" && name == "utf8":
		case got != "":
			t.Errorf("%d is %s, not %s", id, name, got)
		case strings.HasPrefix(name, "utf8"), name == "latin1", name == "binary":
			t.Errorf("%d is %s, and not known", id, name)
		}
	}
	if err := rows.Err(); err != nil || seen < 100 {
		t.Fatalf("%d collations, %v", seen, err)
	}
}
