package dbproxy

import (
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/tally"
)

// serverCounts are the numbers of a server, or of a server within a service.
type serverCounts struct {
	connections, total, peak atomic.Int64
	operations               tally.Count // requests under way
	requests                 tally.Count
	reads, writes            atomic.Int64
	failedLogins             atomic.Int64
	reused, poolEmpty        atomic.Int64
	response                 atomic.Int64 // moving average of reads, in ns
	readTimes, writeTimes    latency
	readRanges, writeRanges  distribution
}

func (c *serverCounts) opened() {
	c.total.Add(1)
	raise(&c.peak, c.connections.Add(1))
}

// answered takes the time that a read took into the average.
func (c *serverCounts) answered(took time.Duration) {
	const weight = 64
	old := c.response.Load()
	if old == 0 {
		c.response.Store(int64(took))
		return
	}
	c.response.Store(old + (int64(took)-old)/weight)
}

// ServerStatistics are the numbers of a server.
type ServerStatistics struct {
	Connections, TotalConnections, MaxConnections int64
	ActiveOperations                              int64
	Requests, Reads, Writes                       int64
	FailedLogins                                  int64
	Pooled, MaxPool, Reused, PoolEmpty            int64
	// AverageRead is the moving average of the time that reads take.
	AverageRead time.Duration
	// ReadTimes and WriteTimes are how long requests took, where the router
	// tells kinds apart.
	ReadTimes, WriteTimes []TimeRange
}

// Statistics are the numbers of the server.
func (srv *Server) Statistics() ServerStatistics {
	c := &srv.counts
	return ServerStatistics{
		Connections: c.connections.Load(), TotalConnections: c.total.Load(), MaxConnections: c.peak.Load(),
		ActiveOperations: c.operations.Load(), Requests: c.requests.Load(), Reads: c.reads.Load(), Writes: c.writes.Load(),
		FailedLogins: c.failedLogins.Load(), Reused: c.reused.Load(), PoolEmpty: c.poolEmpty.Load(),
		Pooled: int64(srv.pool.size()), MaxPool: int64(srv.pool.peak()), AverageRead: time.Duration(c.response.Load()),
		ReadTimes: c.readRanges.read(), WriteTimes: c.writeRanges.read(),
	}
}

// Connections is how many connections of clients there are to the server.
func (srv *Server) Connections() int64 { return srv.counts.connections.Load() }

// Operations is how many requests it is working on.
func (srv *Server) Operations() int64 { return srv.counts.operations.Load() }

// AverageRead is the moving average of the time that its reads take, 0 before
// the first.
func (srv *Server) AverageRead() time.Duration { return time.Duration(srv.counts.response.Load()) }

// CountRead counts the last request as a read, which took so long.
func (b *Backend) CountRead(took time.Duration) {
	b.server.counts.reads.Add(1)
	b.service.reads.Add(1)
	b.server.counts.answered(took)
	b.server.counts.readTimes.observe(b.session.Place(), took)
	b.server.counts.readRanges.observe(took)
}

// CountWrite counts the last request as a write, which took so long.
func (b *Backend) CountWrite(took time.Duration) {
	b.server.counts.writes.Add(1)
	b.service.writes.Add(1)
	b.server.counts.writeTimes.observe(b.session.Place(), took)
	b.server.counts.writeRanges.observe(took)
}
