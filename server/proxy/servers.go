package proxy

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/dataplane/dbproxy"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

// server shows a server.
func (p *Proxy) server(l linker, e *estate, o *object) (*proxyv1.Server, error) {
	params, err := e.parameters(o)
	if err != nil {
		return nil, err
	}
	a := &proxyv1.ServerAttributes{
		Parameters: params, State: "Down", NodeId: -1, ServerId: -1, MasterId: -1, ReplicationLag: -1, ReplicationDepth: -1,
		Name: o.name, Source: source(), Statistics: &proxyv1.ServerStatistics{AdaptiveAvgSelectTime: "0ns"},
	}
	var st dbproxy.ServerStatistics
	if srv, ok := p.plane.Server(o.name); ok {
		st = srv.Statistics()
		p.fillServer(e, a, srv, st)
	}
	a.Statistics.ResponseTimeDistribution, err = structOf(map[string]any{"read": timeRanges("read", st.ReadTimes), "write": timeRanges("write", st.WriteTimes)})
	return &proxyv1.Server{
		Id: o.name, Type: servers, Attributes: a, Relationships: l.relationships(e, o), Links: self(l.resource(servers, o.name)),
	}, err
}

// fillServer is what the data plane tells of a server.
func (p *Proxy) fillServer(e *estate, a *proxyv1.ServerAttributes, srv *dbproxy.Server, st dbproxy.ServerStatistics) {
	info := srv.Info()
	a.State, a.StateDetails, a.VersionString = srv.State(), info.StateDetails, srv.Version()
	a.Uptime, a.MasterId, a.MasterGroup, a.ReadOnly, a.LockHeld = int64(info.Uptime.Seconds()), info.MasterID, info.MasterGroup, info.ReadOnly, info.LockHeld
	if info.ServerID != 0 {
		a.NodeId, a.ServerId = info.ServerID, info.ServerID
	}
	if lag, ok := srv.Lag(); ok {
		a.ReplicationLag = int64(lag.Seconds())
	}
	a.GtidCurrentPos, a.GtidBinlogPos, a.ReplicationDepth = info.GTIDCurrent, info.GTIDBinlog, int64(info.Depth)
	a.LastEvent, a.TriggeredAt = info.LastEvent, dateOrNull(info.EventTime)
	for _, r := range info.Replicas {
		c := &proxyv1.SlaveConnection{
			ConnectionName: r.Name, MasterHost: r.MasterHost, MasterPort: int32(r.MasterPort), MasterServerId: r.MasterServerID, MasterServerName: r.MasterName,
			SlaveIoRunning: r.IORunning, SlaveSqlRunning: r.SQLRunning, UsingGtid: r.UsingGTID, GtidIoPos: r.GTIDIOPos,
			LastIoError: r.LastIOError, LastSqlError: r.LastSQLError,
		}
		if r.SecondsBehind >= 0 {
			c.SecondsBehindMaster = proto.Int64(r.SecondsBehind)
		}
		a.SlaveConnections = append(a.SlaveConnections, c)
	}
	for _, name := range info.ReplicaServer {
		if other, ok := p.plane.Server(name); ok {
			a.Slaves = append(a.Slaves, other.Info().ServerID)
		}
	}
	slices.Sort(a.Slaves)
	a.Statistics = &proxyv1.ServerStatistics{
		Connections: st.Connections, TotalConnections: st.TotalConnections, MaxConnections: st.MaxConnections, ActiveOperations: st.ActiveOperations,
		RoutedPackets: st.Requests, PersistentConnections: st.Pooled, MaxPoolSize: st.MaxPool, ReusedConnections: st.Reused,
		ConnectionPoolEmpty: st.PoolEmpty, FailedAuths: st.FailedLogins, AdaptiveAvgSelectTime: strconv.FormatInt(int64(st.AverageRead), 10) + "ns",
	}
}

// timeRanges shows how long requests took, as the server's plugin
// QUERY_RESPONSE_TIME has it.
func timeRanges(operation string, ranges []dbproxy.TimeRange) map[string]any {
	list := make([]any, len(ranges))
	for i, r := range ranges {
		list[i] = map[string]any{"time": fmt.Sprintf("%.6f", r.UpTo.Seconds()), "count": r.Count, "total": r.Total.Seconds()}
	}
	return map[string]any{"operation": operation, "range_base": 10, "distribution": list}
}

// ListServers implements the RPC.
func (p *Proxy) ListServers(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.ServerCollection, error) {
	e, all, err := p.list(ctx, servers)
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.ServerCollection{Links: self(l.collection(servers))}
	for _, o := range all {
		s, err := p.server(l, e, o)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, s)
	}
	return out, nil
}

// GetServer implements the RPC.
func (p *Proxy) GetServer(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.ServerDocument, error) {
	e, o, err := p.get(ctx, servers, req.GetName())
	if err != nil {
		return nil, err
	}
	return p.serverDocument(ctx, e, o)
}

func (p *Proxy) serverDocument(ctx context.Context, e *estate, o *object) (*proxyv1.ServerDocument, error) {
	l := linksOf(ctx)
	s, err := p.server(l, e, o)
	return &proxyv1.ServerDocument{Links: self(l.resource(servers, o.name)), Data: s}, err
}

// CreateServer implements the RPC.
func (p *Proxy) CreateServer(ctx context.Context, req *proxyv1.CreateRequest) (*proxyv1.Changed, error) {
	return p.create(ctx, "CreateServer", servers, req.GetBody(), "")
}

// UpdateServer implements the RPC.
func (p *Proxy) UpdateServer(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	return p.update(ctx, "UpdateServer", servers, req.GetName(), req.GetBody())
}

// DeleteServer implements the RPC.
func (p *Proxy) DeleteServer(ctx context.Context, req *proxyv1.DeleteRequest) (*proxyv1.Changed, error) {
	return p.remove(ctx, "DeleteServer", servers, req.GetName(), req.GetForce())
}

// GetServerRelationship implements the RPC.
func (p *Proxy) GetServerRelationship(ctx context.Context, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	return p.getRelation(ctx, servers, req)
}

// UpdateServerRelationship implements the RPC.
func (p *Proxy) UpdateServerRelationship(ctx context.Context, req *proxyv1.UpdateRelationshipRequest) (*proxyv1.Changed, error) {
	return p.updateRelation(ctx, "UpdateServerRelationship", servers, req)
}
