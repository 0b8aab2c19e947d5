package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backplane/backplane/internal/errs"
)

// LoadFunc makes a new Table.
type LoadFunc func(context.Context) (*Table, error)

// Login is how a service logs in to servers.
type Login struct {
	User     string
	Password string
}

// String is the name of the user.
func (l Login) String() string { return l.User }

// GoString is String.
func (l Login) GoString() string { return l.User }

// Session is a connection to a server.
type Session interface {
	Querier
	Close() error
}

// Server is one that accounts may be read from.
type Server struct {
	Name string
	// Open connects and logs in; to the extra port first, where there is one.
	// A login that the server refuses has to come back as a *ServerError.
	Open func(context.Context, Login) (Session, error)
}

// Source says where a service's accounts come from.
type Source struct {
	// Servers lists the servers to ask, the best one (the master) first. It is
	// called for each load.
	Servers func() []Server
	// All reads every server (auth_all_servers) instead of the first one that
	// answers.
	All bool
	// Logins lists the service's login, and after it the previous one, which
	// is tried where a server does not know the new password yet.
	Logins func() []Login
	Limits Limits
	// Retries is how often a server is asked again when a reading was
	// interrupted, as long as RetryTime has not gone by since it was first
	// asked (query_retries, query_retry_timeout).
	Retries   int
	RetryTime time.Duration
	// File is user_accounts_file. Its accounts are added to those of the
	// servers, where these were read, or with FileOnly are all there are.
	File     string
	FileOnly bool
}

// Load reads the accounts.
func (s Source) Load(ctx context.Context) (*Table, error) {
	if s.File == "" {
		return s.fromServers(ctx)
	}
	if s.FileOnly {
		return ReadFile(s.File)
	}
	table, err := s.fromServers(ctx)
	if err != nil {
		return nil, err
	}
	added, err := ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	return Merge(table, added), nil
}

// fromServers reads the first server that answers, or all that do.
func (s Source) fromServers(ctx context.Context) (*Table, error) {
	var tables []*Table
	var failed []error
	for _, server := range s.Servers() {
		table, err := s.fromServer(ctx, server)
		if err != nil {
			failed = append(failed, fmt.Errorf("server %s: %w", server.Name, err))
			continue
		}
		tables = append(tables, table)
		if !s.All {
			break
		}
	}
	if len(tables) > 0 {
		return Merge(tables...), nil
	}
	if len(failed) == 0 {
		return nil, errors.New("there is no server to read accounts from")
	}
	return nil, errors.Join(failed...)
}

// fromServer reads a server, and again if that is interrupted.
func (s Source) fromServer(ctx context.Context, server Server) (*Table, error) {
	begun := time.Now()
	for tries := 0; ; tries++ {
		table, err := s.tryServer(ctx, server)
		if err == nil || !interrupted(err) || tries >= s.Retries || time.Since(begun) >= s.RetryTime || ctx.Err() != nil {
			return table, err
		}
	}
}

// interrupted tells whether a reading failed on the way, rather than by what
// the server said or by what was read.
func interrupted(err error) bool {
	if _, ok := errors.AsType[*ServerError](err); ok {
		return serverError(err, errShutdown, errConnectionKilled)
	}
	_, judged := errors.AsType[*errs.Error](err)
	return !judged
}

// tryServer tries the logins in turn, as long as the server refuses them.
func (s Source) tryServer(ctx context.Context, server Server) (*Table, error) {
	var err error = errs.New(errs.ValidationFailed, "the service has no user to log in with")
	for _, login := range s.Logins() {
		var session Session
		session, err = server.Open(ctx, login)
		if serverError(err, errLoginDenied) {
			continue
		}
		if err != nil {
			break
		}
		defer session.Close()
		return Load(ctx, session, s.Limits)
	}
	return nil, err
}
