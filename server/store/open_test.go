package store

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// closedPort is an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// withoutTLS is the address of a server that answers what PostgreSQL without
// TLS does to a client that asks for it.
func withoutTLS(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := bufio.NewReader(conn).Discard(8); err == nil { // the request for TLS
				_, _ = io.WriteString(conn, "N")
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

// TestOpenSaysWhatToDo starts with stores that cannot be opened.
func TestOpenSaysWhatToDo(t *testing.T) {
	noDatabase, noLock := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(noDatabase, SQLiteFile), []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(noLock, "lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		url, dir string
		want     string
	}{
		"a PostgreSQL that is away":        {"postgres://u:hidden-word@" + closedPort(t) + "/x", t.TempDir(), "the database that --store names: dial tcp"},
		"a PostgreSQL without TLS":         {"postgres://u:hidden-word@" + withoutTLS(t) + "/x", t.TempDir(), "add ?sslmode=disable"},
		"a MariaDB that is away":           {"mysql://u:hidden-word@" + closedPort(t) + "/x", t.TempDir(), "the database that --store names: dial tcp"},
		"a file that is no database":       {"", noDatabase, filepath.Join(noDatabase, SQLiteFile) + ": file is not a database"},
		"a directory that cannot be taken": {"", noLock, "must be able to write to the data directory"},
	} {
		s, err := Open(t.Context(), c.url, c.dir)
		if err == nil {
			_ = s.Close()
			t.Errorf("%s is opened", name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden-word") {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
