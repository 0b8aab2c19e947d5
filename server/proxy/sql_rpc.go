package proxy

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

const (
	sqlPath     = "sql"
	queriesType = "queries"
)

// CreateConnection implements the RPC.
func (p *Proxy) CreateConnection(ctx context.Context, req *proxyv1.CreateConnectionRequest) (*proxyv1.ConnectionDocument, error) {
	given := req.GetLogin()
	if err := checkLogin(given); err != nil {
		return nil, err
	}
	at, name, err := p.endpoint(ctx, given.GetTarget())
	if err != nil {
		return nil, err
	}
	login := sqlLogin{target: name, user: given.GetUser(), password: wire.Password(given.GetPassword()), database: given.GetDb(), timeout: connectUsually}
	if given.GetTimeout() > 0 {
		login.timeout = min(time.Duration(given.GetTimeout())*time.Second, connectMax)
	}
	return p.open(ctx, "CreateConnection", at, login, req.GetMaxAge())
}

// checkLogin names all that is missing.
func checkLogin(l *proxyv1.ConnectionLogin) error {
	if strings.EqualFold(l.GetTarget(), "odbc") {
		return nil // which the target is refused for
	}
	var faults []errs.Field
	for _, f := range []struct{ path, value string }{{"target", l.GetTarget()}, {"user", l.GetUser()}} {
		if f.value == "" {
			faults = append(faults, errs.Field{Path: f.path, Message: "must be given"})
		}
	}
	if l.GetConnectionString() != "" {
		faults = append(faults, errs.Field{Path: "connection_string", Message: "is for ODBC, which there is none of here"})
	}
	if strings.ContainsRune(l.GetUser()+l.GetDb(), 0) {
		faults = append(faults, errs.Field{Path: "user", Message: "and db may have no NUL"})
	}
	if len(faults) > 0 {
		return errs.Invalid(faults...)
	}
	return nil
}

// open makes a connection, records that, and answers with its token.
func (p *Proxy) open(ctx context.Context, action string, at sqlEndpoint, login sqlLogin, maxAge uint32) (*proxyv1.ConnectionDocument, error) {
	c, err := p.sql.connect(ctx, auth.FromContext(ctx).Username, at, login)
	if err != nil {
		return nil, err
	}
	valid, _ := auth.SignedFor(maxAge)
	token, err := p.sql.signer.SignFor(sqlIssuer, c.id, valid)
	if err == nil {
		err = p.recordSQL(ctx, action, c, map[string]string{
			"target": strconv.Quote(login.target), "user": strconv.Quote(login.user), "database": strconv.Quote(login.database),
		})
	}
	if err != nil {
		p.sql.remove(c)
		return nil, err
	}
	out := p.connectionDocument(ctx, c)
	out.Meta = &proxyv1.ConnectionMeta{Token: token}
	if grpc.ServerTransportStreamFromContext(ctx) == nil {
		return out, nil // called within the program
	}
	return out, grpc.SetHeader(ctx, metadata.Pairs("location", out.GetLinks().GetSelf()))
}

// recordSQL records what is done with a connection.
func (p *Proxy) recordSQL(ctx context.Context, action string, c *sqlConn, fields map[string]string) error {
	return p.Store.Change(ctx, func(tx *store.Tx) error {
		tx.Audit(store.Audit{Action: action, Kind: "proxy_connection", ID: c.id, Name: c.login.target, Changes: store.Changes(nil, fields)})
		return nil
	})
}

// recordedSQL is what is recorded of statements: without constants, and without
// anything where servers could differ in what is one.
func recordedSQL(sql string) string {
	const most = 4096
	text := sqlclass.Canonical([]byte(sql), 0)
	if sqlclass.Canonical([]byte(sql), sqlclass.NoBackslashEscapes) != text {
		text = "?"
	}
	if len(text) > most {
		text = text[:most]
	}
	return strconv.Quote(strings.ToValidUTF8(text, ""))
}

func (p *Proxy) connectionDocument(ctx context.Context, c *sqlConn) *proxyv1.ConnectionDocument {
	l := linksOf(ctx)
	return &proxyv1.ConnectionDocument{Links: self(l.resource(sqlPath, c.id)), Data: c.show(l)}
}

// show shows a connection.
func (c *sqlConn) show(l linker) *proxyv1.Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := l.resource(sqlPath, c.id)
	a := &proxyv1.ConnectionAttributes{Target: c.login.target, Sql: c.text, SecondsIdle: time.Since(c.used).Seconds()}
	if c.link != nil {
		a.ThreadId = int64(c.link.thread)
	}
	if c.running != nil {
		a.SecondsIdle = 0
	}
	return &proxyv1.Connection{
		Id: c.id, Type: sqlPath, Attributes: a, Relationships: &proxyv1.Relationships{},
		Links: &proxyv1.Links{Self: at, Related: proto.String(l.collection(sqlPath + "/" + c.id + "/" + queriesType))},
	}
}

// ListConnections implements the RPC.
func (p *Proxy) ListConnections(ctx context.Context, _ *proxyv1.ListConnectionsRequest) (*proxyv1.ConnectionCollection, error) {
	l := linksOf(ctx)
	out := &proxyv1.ConnectionCollection{Links: self(l.collection(sqlPath))}
	for _, c := range p.sql.list() {
		out.Data = append(out.Data, c.show(l))
	}
	return out, nil
}

// GetConnection implements the RPC.
func (p *Proxy) GetConnection(ctx context.Context, req *proxyv1.ConnectionRequest) (*proxyv1.ConnectionDocument, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), false)
	if err != nil {
		return nil, err
	}
	return p.connectionDocument(ctx, c), nil
}

// DeleteConnection implements the RPC.
func (p *Proxy) DeleteConnection(ctx context.Context, req *proxyv1.ConnectionRequest) (*proxyv1.Changed, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	p.sql.remove(c)
	return changed(p.recordSQL(ctx, "DeleteConnection", c, nil))
}

// ReconnectConnection implements the RPC.
func (p *Proxy) ReconnectConnection(ctx context.Context, req *proxyv1.ConnectionRequest) (*proxyv1.Changed, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	at, _, err := p.endpoint(ctx, c.login.target)
	if err != nil {
		return nil, err
	}
	if err := c.reconnect(ctx, at); err != nil {
		return nil, err
	}
	return changed(p.recordSQL(ctx, "ReconnectConnection", c, nil))
}

// CloneConnection implements the RPC.
func (p *Proxy) CloneConnection(ctx context.Context, req *proxyv1.CloneConnectionRequest) (*proxyv1.ConnectionDocument, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	at, _, err := p.endpoint(ctx, c.login.target)
	if err != nil {
		return nil, err
	}
	return p.open(ctx, "CloneConnection", at, c.login, req.GetMaxAge())
}

// CancelQuery implements the RPC.
func (p *Proxy) CancelQuery(ctx context.Context, req *proxyv1.ConnectionRequest) (*proxyv1.ConnectionDocument, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	if err := c.cancel(ctx); err != nil {
		return nil, err
	}
	return p.connectionDocument(ctx, c), p.recordSQL(ctx, "CancelQuery", c, nil)
}

// RunQuery implements the RPC. Who no longer waits for the end cancels it.
func (p *Proxy) RunQuery(ctx context.Context, req *proxyv1.RunQueryRequest) (*proxyv1.QueryDocument, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	sql, rows := req.GetQuery().GetSql(), uint32(usualRows)
	if strings.TrimSpace(sql) == "" {
		return nil, invalid("sql", "must be given")
	}
	if req.GetQuery().MaxRows != nil {
		rows = req.GetQuery().GetMaxRows()
	}
	if err := p.recordSQL(ctx, "RunQuery", c, map[string]string{"statement": recordedSQL(sql)}); err != nil {
		return nil, err
	}
	q, err := c.start(sql, rows)
	if err != nil {
		return nil, err
	}
	if !req.GetAsync() {
		select {
		case <-q.done:
		case <-ctx.Done():
			p.sql.spawn(func() { c.stop(q) })
			return nil, context.Cause(ctx)
		case <-p.Ending:
			return nil, errs.New(errs.Unavailable, "The server is shutting down")
		}
	}
	return q.show(linksOf(ctx), c), nil
}

// show shows a query, with its results once it has ended.
func (q *sqlQuery) show(l linker, c *sqlConn) *proxyv1.QueryDocument {
	at := l.resource(sqlPath+"/"+c.id+"/"+queriesType, q.id)
	a := &proxyv1.QueryAttributes{Sql: q.sql}
	select {
	case <-q.done:
		a.ExecutionTime, a.Results = proto.Float64(q.took.Seconds()), q.results
	default:
	}
	return &proxyv1.QueryDocument{Links: self(at), Data: &proxyv1.Query{
		Id: q.id, Type: queriesType, Attributes: a, Relationships: &proxyv1.Relationships{}, Links: self(at),
	}}
}

// GetQuery implements the RPC.
func (p *Proxy) GetQuery(ctx context.Context, req *proxyv1.QueryRequest) (*proxyv1.QueryDocument, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	q, err := c.query(req.GetQuery())
	if err != nil {
		return nil, err
	}
	return q.show(linksOf(ctx), c), nil
}

// DeleteQuery implements the RPC.
func (p *Proxy) DeleteQuery(ctx context.Context, req *proxyv1.QueryRequest) (*proxyv1.ConnectionDocument, error) {
	c, err := p.sql.find(req.GetName(), req.GetToken(), true)
	if err != nil {
		return nil, err
	}
	if err := c.discard(req.GetQuery()); err != nil {
		return nil, err
	}
	return p.connectionDocument(ctx, c), nil
}

// ListDrivers implements the RPC.
func (p *Proxy) ListDrivers(ctx context.Context, _ *proxyv1.ListDriversRequest) (*proxyv1.DriverCollection, error) {
	return &proxyv1.DriverCollection{Links: self(linksOf(ctx).collection("sql/odbc/drivers"))}, nil
}
