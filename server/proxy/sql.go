package proxy

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
)

const (
	// maxConnections and maxOfCaller bound the connections for SQL in all and of
	// one caller.
	maxConnections = 100
	maxOfCaller    = 20
	// idleConnection is after how long without use a connection is closed.
	idleConnection = 15 * time.Minute
	// queryTimeout is how long a query may take before it is cancelled, and
	// cancelTimeout how long it may take to end then before its connection is
	// closed.
	queryTimeout  = 10 * time.Minute
	cancelTimeout = 5 * time.Second
	// connectUsually and connectMax are how long connecting may take.
	connectUsually = 10 * time.Second
	connectMax     = 5 * time.Minute
	// usualRows is how many rows of a result set are returned unless said
	// otherwise.
	usualRows = 1000
	// sqlIssuer is the issuer of the tokens of connections, by which clients of
	// this API know them.
	sqlIssuer = "mxs-query"
)

// sqlConns are the connections for SQL that this process holds for its callers.
// They are in no store: they end with the process, and their tokens, which it
// signs with a key that nothing else knows, do as well.
type sqlConns struct {
	signer *auth.Signer
	idle   time.Duration

	ctx  context.Context // ends with the process
	end  context.CancelFunc
	work sync.WaitGroup

	mu   sync.Mutex
	open int            // those there are and those to come
	of   map[string]int // the same by caller
	all  map[string]*sqlConn
}

func newSQLConns(idle time.Duration) (*sqlConns, error) {
	signer, err := auth.NewSigner(auth.NewSigningKey())
	if err != nil {
		return nil, err
	}
	s := &sqlConns{signer: signer, idle: idle, of: map[string]int{}, all: map[string]*sqlConn{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, nil
}

// close closes all connections and waits for what runs on them.
func (s *sqlConns) close() {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	for _, c := range s.list() {
		s.remove(c)
	}
	s.work.Wait()
}

// spawn runs fn as part of the work that close waits for; false when it has begun
// to wait.
func (s *sqlConns) spawn(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.work.Go(fn)
	return true
}

// reserve makes room for a connection; release gives it back.
func (s *sqlConns) reserve(caller string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
		return nil, errs.New(errs.Unavailable, "The server is shutting down")
	case s.of[caller] >= maxOfCaller:
		return nil, &errs.Error{Reason: errs.TooManyCalls, Message: "You have as many connections as one caller can have; delete one", RetryAfter: time.Minute}
	case s.open >= maxConnections:
		return nil, &errs.Error{Reason: errs.TooManyCalls, Message: "There are as many connections as there can be", RetryAfter: time.Minute}
	}
	s.open++
	s.of[caller]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.of[caller]--; s.of[caller] == 0 {
			delete(s.of, caller)
		}
	}), nil
}

// connect makes a connection.
func (s *sqlConns) connect(ctx context.Context, caller string, at sqlEndpoint, login sqlLogin) (*sqlConn, error) {
	release, err := s.reserve(caller)
	if err != nil {
		return nil, err
	}
	link, err := s.dial(ctx, at, login)
	if err != nil {
		release()
		return nil, err
	}
	c := &sqlConn{conns: s, id: uuid.NewString(), login: login, at: at, link: link, used: time.Now(), made: time.Now(), release: release}
	if !s.hold(c) {
		c.close()
		release()
		return nil, errs.New(errs.Unavailable, "The server is shutting down")
	}
	return c, nil
}

// hold adds a connection, until it is removed or expires; false when the process
// ends.
func (s *sqlConns) hold(c *sqlConn) bool {
	c.mu.Lock() // which expire waits for
	defer c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.all[c.id] = c
	c.expiry = time.AfterFunc(s.idle, c.expire)
	return true
}

// dial connects as long as the process runs.
func (s *sqlConns) dial(ctx context.Context, at sqlEndpoint, login sqlLogin) (*sqlLink, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	link, err := dialSQL(ctx, at, login)
	if err != nil {
		return nil, connectFailure(login.target, err)
	}
	return link, nil
}

// find finds a connection whose token is presented, to use it or just to look.
func (s *sqlConns) find(id, token string, use bool) (*sqlConn, error) {
	s.mu.Lock()
	c := s.all[id]
	s.mu.Unlock()
	switch {
	case c == nil:
		return nil, errs.New(errs.NotFound, "%s is not a connection", id)
	case token == "":
		return nil, errs.New(errs.BadRequest, "The token of the connection is missing: send it as the parameter token, or as the cookie conn_id_sig_%s", id)
	}
	if err := s.signer.VerifyFor(sqlIssuer, id, token); err != nil {
		return nil, &errs.Error{Reason: errs.Unauthenticated, Message: "The token is not that of the connection, or has expired", Err: err}
	}
	if use {
		c.touch()
	}
	return c, nil
}

// remove takes a connection away and closes it.
func (s *sqlConns) remove(c *sqlConn) {
	s.mu.Lock()
	_, there := s.all[c.id]
	delete(s.all, c.id)
	s.mu.Unlock()
	if !there {
		return
	}
	c.expiry.Stop()
	c.release()
	c.close()
}

// list are the connections, the oldest first.
func (s *sqlConns) list() []*sqlConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*sqlConn, 0, len(s.all))
	for _, c := range s.all {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *sqlConn) int { return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.id, b.id)) })
	return out
}
