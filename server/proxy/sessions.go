package proxy

import (
	"context"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/store"
)

// session finds a session by the number that a request names.
func (p *Proxy) session(name string) (*dbproxy.Session, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		if s, ok := p.plane.Session(uint32(id)); ok {
			return s, nil
		}
	}
	return nil, kind{plural: sessions, singular: "session"}.missing(name)
}

// showSession shows a session.
func (p *Proxy) showSession(ctx context.Context, l linker, s *dbproxy.Session, rdns bool) (*proxyv1.Session, error) {
	info, id := s.Info(), strconv.FormatUint(uint64(s.ID()), 10)
	a := &proxyv1.SessionAttributes{
		State: "Session started", User: info.User, Remote: "localhost", Database: info.Database, Connected: date(info.Connected),
		Idle: round(info.Idle), SecondsAlive: round(time.Since(info.Connected)), IoActivity: int64(info.Traffic.PacketsIn + info.Traffic.PacketsOut),
	}
	if info.Remote.IsValid() {
		a.Remote, a.Port = info.Remote.Addr().String(), int32(info.Remote.Port())
		if rdns {
			a.Remote = hostOf(ctx, a.Remote)
		}
	}
	for _, b := range info.Backends {
		a.Connections = append(a.Connections, &proxyv1.SessionConnection{Server: b.Server, ConnectionId: int64(b.ConnectionID), Cipher: b.Cipher})
	}
	for _, q := range info.Statements {
		a.Queries = append(a.Queries, &proxyv1.SessionQuery{Statement: q.Text, Received: date(q.Received), Completed: dateOrNull(q.Completed)})
	}
	var err error
	if a.Parameters, err = structOf(dbproxy.LevelSet(s.Levels()).Report()); err != nil {
		return nil, err
	}
	a.Log = info.Log
	attributes := map[string]any{}
	for _, kv := range info.Attributes {
		attributes[kv.Name] = kv.Value
	}
	var cipher any
	if info.Cipher != "" {
		cipher = info.Cipher
	}
	if a.Client, err = structOf(map[string]any{"cipher": cipher, "connection_attributes": attributes, "sescmd_history_len": info.History}); err != nil {
		return nil, err
	}
	if a.Memory, err = structOf(map[string]any{"total": sessionMemory(info)}); err != nil {
		return nil, err
	}
	return &proxyv1.Session{
		Id: id, Type: sessions, Attributes: a, Links: self(l.resource(sessions, id)),
		Relationships: &proxyv1.Relationships{Services: l.relationship(sessions, id, services, []string{info.Service})},
	}, nil
}

// sessionMemory is roughly what a session needs: its buffers, those of its
// connections, and the statements that are remembered.
func sessionMemory(info dbproxy.SessionInfo) int {
	const buffers = 32 << 10
	total := buffers * (1 + len(info.Backends))
	for _, q := range info.Statements {
		total += len(q.Text)
	}
	return total
}

// round is seconds with one digit after the point.
func round(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}

// hostOf is the name of a host, or its address when it has none.
func hostOf(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, address)
	if err != nil || len(names) == 0 {
		return address
	}
	return strings.TrimSuffix(names[0], ".")
}

// ListSessions implements the RPC.
func (p *Proxy) ListSessions(ctx context.Context, req *proxyv1.ListSessionsRequest) (*proxyv1.SessionCollection, error) {
	l := linksOf(ctx)
	out := &proxyv1.SessionCollection{Links: self(l.collection(sessions))}
	for _, s := range p.plane.Sessions() {
		shown, err := p.showSession(ctx, l, s, req.GetRdns())
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, p.tell(ctx, stamp{})
}

// GetSession implements the RPC.
func (p *Proxy) GetSession(ctx context.Context, req *proxyv1.GetSessionRequest) (*proxyv1.SessionDocument, error) {
	s, err := p.session(req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	shown, err := p.showSession(ctx, l, s, req.GetRdns())
	if err != nil {
		return nil, err
	}
	return &proxyv1.SessionDocument{Links: self(shown.GetLinks().GetSelf()), Data: shown}, p.tell(ctx, stamp{})
}

// GetSessionRelationship implements the RPC.
func (p *Proxy) GetSessionRelationship(ctx context.Context, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	s, err := p.session(req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetRelation() != services {
		return nil, noRelation(req.GetRelation())
	}
	return linksOf(ctx).relationship(sessions, req.GetName(), services, []string{s.Service().Name()}), nil
}

// DeleteSession implements the RPC.
func (p *Proxy) DeleteSession(ctx context.Context, req *proxyv1.DeleteSessionRequest) (*proxyv1.Changed, error) {
	s, err := p.session(req.GetName())
	if err != nil {
		return nil, err
	}
	if ttl := time.Duration(req.GetTtl()) * time.Second; ttl > 0 {
		stop := time.AfterFunc(ttl, s.Kill)
		context.AfterFunc(s.Context(), func() { stop.Stop() })
		return &proxyv1.Changed{}, p.recordSession(ctx, "DeleteSession", s)
	}
	s.Kill()
	return &proxyv1.Changed{}, p.recordSession(ctx, "DeleteSession", s)
}

// RestartSession implements the RPC.
func (p *Proxy) RestartSession(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.Changed, error) {
	s, err := p.session(req.GetName())
	if err != nil {
		return nil, err
	}
	s.Restart()
	return &proxyv1.Changed{}, p.recordSession(ctx, "RestartSession", s)
}

// RestartSessions implements the RPC.
func (p *Proxy) RestartSessions(ctx context.Context, _ *proxyv1.RestartSessionsRequest) (*proxyv1.Changed, error) {
	for _, s := range p.plane.Sessions() {
		s.Restart()
		if err := p.recordSession(ctx, "RestartSessions", s); err != nil {
			return nil, err
		}
	}
	return &proxyv1.Changed{}, nil
}

// UpdateSession implements the RPC. Filters may stand among the relationships
// of the resource or, as some clients have them, among its attributes.
func (p *Proxy) UpdateSession(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	s, err := p.session(req.GetName())
	if err != nil {
		return nil, err
	}
	b, err := readBody(req.GetBody())
	if err != nil {
		return nil, err
	}
	levels := dbproxy.LevelSet(s.Levels()).Plain()
	maps.Copy(levels, b.parameters)
	set, faults := param.ParseSome(dbproxy.SessionSpecs(), levels)
	if len(faults) > 0 {
		return nil, invalid("parameters."+faults[0].Name, faults[0].Message)
	}
	names, given := b.relations[filters]
	if inside, ok := b.attributes["relationships"].(map[string]any); ok && !given && inside[filters] != nil {
		if names, err = readRelation(filters, inside[filters]); err != nil {
			return nil, err
		}
		given = true
	}
	if !given {
		s.SetLevels(dbproxy.LevelsOf(set))
		return &proxyv1.Changed{}, p.recordSession(ctx, "UpdateSession", s)
	}
	for _, name := range names {
		if _, ok := p.plane.Filter(name); !ok {
			return nil, invalid("relationships.filters", "must be there: "+name+" is not a filter")
		}
	}
	if err := s.SetFilters(names); err != nil {
		return nil, invalid("relationships.filters", err.Error())
	}
	s.SetLevels(dbproxy.LevelsOf(set))
	return &proxyv1.Changed{}, p.recordSession(ctx, "UpdateSession", s)
}

// recordSession records what was done to a session.
func (p *Proxy) recordSession(ctx context.Context, action string, s *dbproxy.Session) error {
	return p.Store.Change(ctx, func(tx *store.Tx) error {
		id := strconv.FormatUint(uint64(s.ID()), 10)
		tx.Audit(store.Audit{Action: action, Kind: "proxy_session", ID: id, Name: s.User()})
		return nil
	})
}
