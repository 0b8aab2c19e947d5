package proxy

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// document is one thing with attributes.
func document(ctx context.Context, path, id, kind string, attributes map[string]any) (*proxyv1.Document, error) {
	a, err := structOf(attributes)
	if err != nil {
		return nil, err
	}
	at := linksOf(ctx).collection(path)
	return &proxyv1.Document{Links: self(at), Data: &proxyv1.Resource{
		Id: id, Type: kind, Attributes: a, Relationships: &proxyv1.Relationships{}, Links: self(at),
	}}, nil
}

// GetMemory implements the RPC.
func (p *Proxy) GetMemory(ctx context.Context, _ *proxyv1.GetProgramRequest) (*proxyv1.Document, error) {
	sessions := 0
	for _, s := range p.plane.Sessions() {
		sessions += sessionMemory(s.Info())
	}
	return document(ctx, "maxscale/memory", "memory", "memory", map[string]any{
		"total": sessions, "sessions": sessions, "query_classifier": 0, "zombies": 0,
	})
}

// GetQueryClassifier implements the RPC.
func (p *Proxy) GetQueryClassifier(ctx context.Context, _ *proxyv1.GetProgramRequest) (*proxyv1.Document, error) {
	return document(ctx, "maxscale/query_classifier", "query_classifier", "query_classifier", map[string]any{
		"parameters": map[string]any{"cache_size": 0},
	})
}

// ListQueryClassifierCache implements the RPC. Statements are classified faster
// than they could be looked up, so that nothing is remembered.
func (p *Proxy) ListQueryClassifierCache(ctx context.Context, _ *proxyv1.ListQueryClassifierCacheRequest) (*proxyv1.Collection, error) {
	return &proxyv1.Collection{Links: self(linksOf(ctx).collection("maxscale/query_classifier/cache"))}, nil
}

// ListHousekeeping implements the RPC.
func (p *Proxy) ListHousekeeping(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.Collection, error) {
	return &proxyv1.Collection{Links: self(linksOf(ctx).collection("maxscale/tasks"))}, nil
}

// ClassifyStatement implements the RPC.
func (p *Proxy) ClassifyStatement(ctx context.Context, req *proxyv1.ClassifyStatementRequest) (*proxyv1.ClassificationDocument, error) {
	if req.GetSql() == "" {
		return nil, invalid("sql", "must be given")
	}
	sql := []byte(req.GetSql())
	class, details := sqlclass.Classify(sql, 0), sqlclass.Describe(sql, 0)
	a := &proxyv1.ClassificationAttributes{
		ParseResult: "Parser::Result::INVALID", TypeMask: class.Type.String(), Operation: class.Op.String(), Canonical: sqlclass.Canonical(sql, 0),
	}
	if class.Parsed() {
		a.ParseResult = "Parser::Result::PARSED"
	}
	describe(a, details)
	at := linksOf(ctx).collection("maxscale/query_classifier/classify")
	return &proxyv1.ClassificationDocument{Links: self(at), Data: &proxyv1.Classification{
		Id: "classify", Type: "classify", Attributes: a, Relationships: &proxyv1.Relationships{}, Links: self(at),
	}}, nil
}

// WaitForMonitors implements the RPC.
func (p *Proxy) WaitForMonitors(ctx context.Context, _ *proxyv1.GetProgramRequest) (*proxyv1.Changed, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range e.of(monitors) {
		if m, running, ok := p.plane.Monitor(o.name); ok && running {
			if err := m.Tick(ctx); err != nil {
				return nil, &errs.Error{Reason: errs.Unavailable, Message: "The monitor " + o.name + " cannot watch; the log says why", Err: err}
			}
		}
	}
	return &proxyv1.Changed{}, nil
}

// GetServerDiagnostics implements the RPC.
func (p *Proxy) GetServerDiagnostics(ctx context.Context, _ *proxyv1.GetProgramRequest) (*proxyv1.Document, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	for _, o := range e.of(servers) {
		if srv, ok := p.plane.Server(o.name); ok {
			all[o.name] = map[string]any{"state": srv.State(), "version": srv.Version()}
		}
	}
	return document(ctx, "maxscale/debug/server_diagnostics", "server_diagnostics", "server_diagnostics", map[string]any{"servers": all})
}

// GetStackTrace implements the RPC.
func (p *Proxy) GetStackTrace(ctx context.Context, _ *proxyv1.GetProgramRequest) (*proxyv1.Document, error) {
	const most = 1 << 20
	text := make([]byte, most)
	text = text[:runtime.Stack(text, true)]
	profile := [][]string{}
	for one := range strings.SplitSeq(string(text), "\n\n") {
		lines := strings.Split(strings.TrimSpace(one), "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		profile = append(profile, lines)
	}
	return document(ctx, "maxscale/debug/stacktrace", "stacktrace", "stacktrace", map[string]any{"profile": profile})
}

// describe is what a statement uses, each thing once.
func describe(a *proxyv1.ClassificationAttributes, d sqlclass.Details) {
	a.HasWhereClause = d.HasWhere
	for _, f := range d.Fields {
		if name := columnOf(f); !slices.Contains(a.Fields, name) {
			a.Fields = append(a.Fields, name)
		}
	}
	for _, f := range d.Functions {
		shown := &proxyv1.ClassifiedFunction{Name: f.Name}
		for _, arg := range f.Arguments {
			shown.Arguments = append(shown.Arguments, columnOf(arg))
		}
		a.Functions = append(a.Functions, shown)
	}
}

func columnOf(f sqlclass.Field) string {
	return strings.Trim(strings.Join([]string{f.Database, f.Table, f.Column}, "."), ".")
}
