package sqlite

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/backplane/backplane/connectors"
)

// translate turns SQLite's primary result code into a Failure; other errors
// pass.
func translate(err error, path string) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return cannotOpen(path, err)
	case sqlite3.SQLITE_NOTADB:
		return &connectors.Failure{Code: connectors.ProtocolMismatch, Phrase: "File is not an SQLite database",
			Hint: "Check the path; an encrypted database looks like this, too.", Err: err}
	case sqlite3.SQLITE_CORRUPT:
		return &connectors.Failure{Code: connectors.ProtocolMismatch, Phrase: "Database file is damaged",
			Hint: "Restore it from a backup, or try sqlite3's .recover.", Err: err}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return connectors.Fail(connectors.ServerBusy, err, "database is locked")
	case sqlite3.SQLITE_READONLY:
		return readOnly(err)
	case sqlite3.SQLITE_FULL:
		return connectors.Fail(connectors.ServerBusy, err, "the disk is full")
	case sqlite3.SQLITE_IOERR:
		return &connectors.Failure{Code: connectors.Internal, Phrase: "Disk I/O error", Err: err}
	case sqlite3.SQLITE_INTERRUPT:
		// Only the end of the test interrupts a statement.
		return &connectors.Failure{Code: connectors.Timeout, Err: err}
	}
	return err
}

func readOnly(cause error) error {
	return &connectors.Failure{Code: connectors.PermissionDenied, Detail: "the file is read-only",
		Hint: "Make the file and its directory writable for the user Backplane runs as.", Err: cause}
}

// cannotOpen says why a file cannot be opened, for which SQLite has one error
// only. The file is looked at but not opened: closing it would drop the locks
// that this process holds on it (fcntl(2), "Record locking").
func cannotOpen(path string, cause error) error {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return connectors.Missing(connectors.DatabaseMissing, "Database file", path, cause)
	case errors.Is(err, fs.ErrPermission), unix.Access(path, unix.R_OK) != nil:
		return &connectors.Failure{Code: connectors.PermissionDenied, Detail: "the file may not be read",
			Hint: "Let the user Backplane runs as read and write the file.", Err: cause}
	}
	return &connectors.Failure{Code: connectors.PermissionDenied, Detail: "the file cannot be opened", Err: cause}
}
