package mysql

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/connectors"
)

// A dump begins and ends with these lines, which are comments to every client:
// so a part of one is not taken for the whole.
const (
	dumpBegin = "-- Backplane dump of a MySQL database, 1\n"
	dumpEnd   = "-- Backplane dump: end\n"
)

// Dump writes SQL. Views that cannot work, because what they show or who defined
// them is gone, are left out: the dump program would stop at them, or write what
// cannot be loaded elsewhere. What the program itself gets wrong stays wrong: a
// view WITH CHECK OPTION on another view whose name comes later makes a dump
// that the server refuses to load.
func (s *server) Dump(ctx context.Context, database string, w io.Writer) error {
	if err := checkName("database", database); err != nil {
		return s.failure(ctx, err)
	}
	broken, err := s.brokenViews(ctx, database)
	if err != nil {
		return s.failure(ctx, err)
	}
	program, args := tool("mariadb-dump", "mysqldump")
	args = append(args, "--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob", "--no-tablespaces",
		"--skip-comments", "--default-character-set=utf8mb4", "--max-allowed-packet=1G")
	if program == "mysqldump" {
		args = append(args, "--loose-set-gtid-purged=OFF", "--loose-column-statistics=0")
	}
	for _, view := range broken {
		args = append(args, "--ignore-table="+database+"."+view)
	}
	out := &framed{w: w}
	r := &relay{user: s.config.String("username"), password: s.config.String("password"), database: database}
	err = s.runTool(ctx, r, connectors.Tool{Path: program, Args: append(args, "--", database), Stdout: out, Secrets: []string{r.password}})
	if err == nil {
		_, err = io.WriteString(out, dumpEnd)
	}
	return s.toolFailure(ctx, err)
}

// brokenViews asks for the columns of each view, as the dump program does.
func (s *server) brokenViews(ctx context.Context, database string) ([]string, error) {
	heir, err := s.heir(ctx, database, "")
	if err == nil && heir != "" {
		err = s.adopt(ctx, database, heir)
	}
	if err != nil {
		return nil, err
	}
	views, err := s.table(ctx, "SELECT TABLE_NAME, "+nobodys+" FROM information_schema.VIEWS WHERE TABLE_SCHEMA = "+quoteText(database)+" ORDER BY 1", 2)
	if err != nil {
		return nil, err
	}
	var broken []string
	for _, r := range views {
		v := r[0]
		if r[1] == "1" {
			broken = append(broken, v)
			continue
		}
		err := s.exec(ctx, "SHOW FIELDS FROM "+quoteName(database)+"."+quoteName(v))
		switch {
		case isNumber(err, 1356), isNumber(err, 1449), isNumber(err, 1146), isNumber(err, 1462):
			broken = append(broken, v)
		case err != nil:
			return nil, err
		}
	}
	return broken, nil
}

// framed writes the line that begins a dump before the rest.
type framed struct {
	w     io.Writer
	begun bool
}

func (f *framed) Write(p []byte) (int, error) {
	if !f.begun {
		f.begun = true
		if _, err := io.WriteString(f.w, dumpBegin); err != nil {
			return 0, err
		}
	}
	return f.w.Write(p)
}

// Load runs the SQL as a login that has rights on this database alone and is
// removed again: what tenants wrote into it, such as names and routines, cannot
// reach beyond. What it makes goes to an owner with the login.
func (s *server) Load(ctx context.Context, database string, r io.Reader) error {
	if err := checkDatabase(database); err != nil {
		return s.failure(ctx, err)
	}
	there, err := s.HasDatabase(ctx, database)
	if err != nil {
		return err
	}
	if !there {
		return connectors.Missing(connectors.DatabaseMissing, "Database", database, nil)
	}
	l := connectors.Login{Database: database, User: loader(database), Password: rand.Text(), Privilege: connectors.Owner}
	if err := s.makeLoader(ctx, l); err != nil {
		return s.failure(ctx, err, l.Password)
	}
	err = s.load(ctx, l, r)
	// Also when the caller has given up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if dropErr := s.drop(ctx, database, l.User); err == nil {
		err = s.failure(ctx, dropErr)
	}
	return err
}

// cleanupTime bounds how long the login of a load may take to be removed.
const cleanupTime = 30 * time.Second

// makeLoader makes the login of a load. One of a load that was killed is
// replaced.
func (s *server) makeLoader(ctx context.Context, l connectors.Login) error {
	if err := s.drop(ctx, l.Database, l.User); err != nil {
		return err
	}
	if err := s.exec(ctx, "CREATE USER "+account(l.User)+" IDENTIFIED BY "+quoteText(l.Password)); err != nil {
		return err
	}
	return s.settle(ctx, l, nil)
}

// load runs the client. In binary mode it takes nothing that it reads for a
// command of its own, but for DELIMITER.
func (s *server) load(ctx context.Context, l connectors.Login, r io.Reader) error {
	program, args := tool("mariadb", "mysql")
	args = append(args, "--batch", "--binary-mode", "--comments", "--skip-auto-rehash", "--skip-reconnect", "--default-character-set=utf8mb4",
		"--max-allowed-packet=1G", "--database="+l.Database)
	via := &relay{user: l.User, password: l.Password, database: l.Database, strip: true}
	err := s.runTool(ctx, via, connectors.Tool{Path: program, Args: args, Stdin: &dumpReader{r: r}, Secrets: []string{l.Password}})
	return s.toolFailure(ctx, err, l.Password)
}

// loaderPrefix begins the names of the logins of loads. Logins of tenants never
// begin so: their names are made of words.
const loaderPrefix = "_load_"

// loader is the login of loads into a database, short enough for every version.
func loader(database string) string {
	sum := sha256.Sum256([]byte(database))
	return loaderPrefix + hex.EncodeToString(sum[:8])
}

func isLoader(user string) bool {
	return strings.HasPrefix(user, loaderPrefix) && len(user) == len(loader(""))
}

// tool is the first program that is installed, with the arguments that keep it
// from TLS: the relay does that.
func tool(maria, other string) (program string, args []string) {
	if _, err := exec.LookPath(maria); err != nil {
		if _, err := exec.LookPath(other); err == nil {
			return other, []string{"--loose-skip-ssl", "--loose-ssl-mode=DISABLED"}
		}
	}
	return maria, []string{"--skip-ssl"}
}

// complaint finds the server's number in what a program complains of.
var complaint = regexp.MustCompile(`(?:ERROR |Got error: |\()(\d{4})\b`)

// toolFailure is failure for errors of programs.
func (s *server) toolFailure(ctx context.Context, err error, secrets ...string) error {
	var complained *connectors.ToolError
	switch {
	case errors.Is(err, errNoDump):
		return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: "This is not a whole dump of a database", Err: err}
	case errors.As(err, &complained):
		if m := complaint.FindStringSubmatch(complained.Stderr); m != nil {
			number, _ := strconv.Atoi(m[1])
			f := adminFailure(uint16(number), complained.Stderr, s.encrypted())
			f.Err = err
			err = f
		}
	}
	return s.failure(ctx, err, secrets...)
}

// dumpReader hands a dump on, and fails when it does not begin or end as one.
type dumpReader struct {
	r     io.Reader
	begun bool
	last  []byte // what came last, long enough to tell the end
}

func (d *dumpReader) Read(p []byte) (int, error) {
	if !d.begun {
		first := make([]byte, len(dumpBegin))
		if _, err := io.ReadFull(d.r, first); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err == nil && string(first) != dumpBegin {
			return 0, errNoDump
		} else if err != nil {
			return 0, err
		}
		d.begun = true
	}
	n, err := d.r.Read(p)
	d.last = append(d.last, p[max(0, n-len(dumpEnd)):n]...)
	d.last = d.last[max(0, len(d.last)-len(dumpEnd)):]
	if errors.Is(err, io.EOF) && !bytes.Equal(d.last, []byte(dumpEnd)) {
		return n, errNoDump
	}
	return n, err
}

// errNoDump is why a stream is not loaded.
var errNoDump = errors.New("no dump, or a part of one")
