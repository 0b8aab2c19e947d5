package connectors

import (
	"context"
	"errors"
	"io"
	"slices"
)

// Privilege says what a login may do with its database, and with nothing else.
type Privilege string

// The privileges.
const (
	Owner     Privilege = "owner"      // everything in the database
	ReadWrite Privilege = "read-write" // reads and changes data, but not its structure
	ReadOnly  Privilege = "read-only"
)

// Privileges lists the privileges, the greatest first.
func Privileges() []Privilege { return []Privilege{Owner, ReadWrite, ReadOnly} }

// Known reports whether p is one of the privileges.
func (p Privilege) Known() bool { return slices.Contains(Privileges(), p) }

// Login is a name and password that a server knows.
type Login struct {
	Database  string // the one database that it is for
	User      string
	Password  string
	Privilege Privilege
	// Frozen takes the right to write away while it is set, whatever the
	// Privilege.
	Frozen bool
}

// EngineRules are what an engine demands of names, and how it keeps them.
type EngineRules struct {
	// EngineType is its name in plans, such as postgresql.
	EngineType string
	// Reserved are names that no database may have.
	Reserved []string
	// ReservedUsers are names that no login may have.
	ReservedUsers []string
	// UsersPerDatabase is set where the names of logins are the database's own.
	// Elsewhere they are the server's, and two databases cannot share one.
	UsersPerDatabase bool
	// Format names what Dump writes, such as pg_dump-custom.
	Format string
}

// Provisioner is what a Connector adds when databases can be made on its
// servers. The rules that all of them keep are in the conformance suite,
// connectors/conformance.
type Provisioner interface {
	Connector
	// Rules are the same at all times.
	Rules() EngineRules
	// Endpoint is where clients find a database of the server that c names: a
	// URL with the literal text <user>:<password>.
	Endpoint(c Config, database string) string
	// ConfigFor is the configuration with which a login reaches its database: c
	// with the database and the login in place of the administrator's.
	ConfigFor(c Config, l Login) (Config, error)
	// Open logs in to the server as the administrator that c names. All traffic
	// goes to addresses that env allows. The server is good for one caller at a
	// time; who opens it closes it. It lives on after ctx; each call has a
	// context of its own.
	Open(ctx context.Context, env Env, c Config) (DatabaseServer, error)
}

// DatabaseServer is a server with an administrator logged in.
//
// Every change can be made again: what is there already is brought to what was
// asked for, and what is gone already is gone. So whoever does not know how far
// a change came makes it again. Names have passed the engine's rules, but are
// quoted all the same. Errors are a *Failure where the server says what is
// wrong; MayPass tells those that pass by themselves.
type DatabaseServer interface {
	io.Closer
	// About says which version it is, and what the administrator lacks.
	About(ctx context.Context) (ServerFacts, error)

	// HasDatabase reports whether there is a database of this name, whoever
	// made it.
	HasDatabase(ctx context.Context, name string) (bool, error)
	// CreateDatabase makes an empty database that only its own logins reach.
	CreateDatabase(ctx context.Context, name string) error
	// DropDatabase removes a database with all that is in it, cutting sessions.
	DropDatabase(ctx context.Context, name string) error
	// Size is how many bytes a database takes, and whether there is one.
	Size(ctx context.Context, name string) (bytes int64, exists bool, err error)

	// HasLogin reports whether there is a login of this name: in the database,
	// or on the server where names are the server's.
	HasLogin(ctx context.Context, database, user string) (bool, error)
	// PutLogin makes the login, or gives the one of this name the password and
	// privilege. Sessions that are open stay open.
	PutLogin(ctx context.Context, l Login) error
	// DropLogin removes a login and ends its sessions. What it owns goes to the
	// database's other logins.
	DropLogin(ctx context.Context, database, user string) error
	// CutSessions ends the sessions of a login.
	CutSessions(ctx context.Context, database, user string) error

	// Inventory lists what is on the server, but for what belongs to the server
	// itself.
	Inventory(ctx context.Context) (Inventory, error)

	// Dump writes the content of a database, without logins.
	Dump(ctx context.Context, database string, w io.Writer) error
	// Load reads what Dump wrote into an empty database, which it may have been
	// tried on before. What it makes belongs to the owner of the database.
	Load(ctx context.Context, database string, r io.Reader) error
}

// Clearer is what a DatabaseServer adds when its other methods leave alone what
// they did not make. It removes a database or a login that somebody made by
// hand. A login that something depends on, in databases that stay, is refused:
// what it owns there is not the caller's to give away.
type Clearer interface {
	ClearDatabase(ctx context.Context, name string) error
	ClearLogin(ctx context.Context, l LoginName) error
}

// ServerFacts are what a server says of itself.
type ServerFacts struct {
	Version string // such as 15.12
	// Lacks names the rights that the administrator needs and has not; empty
	// when databases can be made.
	Lacks []string
}

// Inventory is what is on a server.
type Inventory struct {
	Databases []string
	Logins    []LoginName
}

// LoginName names a login. Database is empty where names are the server's.
type LoginName struct{ Database, User string }

// ErrExists is wrapped by the failure of a change that met something of the
// same name which is not its own.
var ErrExists = errors.New("exists already")

// ErrToolMissing is wrapped by the failure of a Dump or Load whose program is
// not installed.
var ErrToolMissing = errors.New("program not installed")

// MayPass reports whether an error may pass by itself: the server cannot be
// reached, is busy or starting. Everything else needs somebody to act.
func MayPass(err error) bool {
	var f *Failure
	if !errors.As(err, &f) {
		return errors.Is(err, context.DeadlineExceeded)
	}
	switch f.Code {
	case DNSFailure, Refused, Unreachable, ServerBusy, Closed, Timeout:
		return true
	}
	return false
}

// Classify makes a Failure of an error that a driver returned, for a server at
// the address host:port. A Failure stays what it is; secrets are hidden.
func Classify(err error, address string, secrets ...string) error {
	if err == nil {
		return nil
	}
	p := newProbe(Env{})
	p.address = address
	f := *classify(err, p)
	hide := scrubber(secrets)
	f.Phrase, f.Detail, f.Hint = hide(f.Phrase), hide(f.Detail), hide(f.Hint)
	return &f
}
