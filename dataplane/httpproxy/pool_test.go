package httpproxy

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// TestSweepOfUsedConnections: a connection that is used while its pool is swept
// is not lost: another request uses it, or it is closed.
func TestSweepOfUsedConnections(t *testing.T) {
	tr := newTransport(&Proxy{options: Options{KeepAlive: 1}})
	x := &Exchange{}
	x.up.peer = balance.Peer{Addr: netip.MustParseAddrPort("127.0.0.1:1")}
	p := tr.pool(x, false)
	nc, other := net.Pipe()
	defer other.Close()
	c := &upstreamConn{t: tr, pool: p, lane: &p.lanes[0], nc: nc, client: h1.NewClient(nc, h1.Options{}), since: time.Now()}
	if !tr.opened(nc) {
		t.Fatal("the transport takes no connections")
	}
	tr.closeIdle(time.Now())
	p.give(c)
	if len(tr.open) != 0 && tr.pool(x, false).take(nil, time.Now(), true) != c {
		t.Error("the connection is open, and no request will find it")
	}
}
