package rwsplit

import (
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// BenchmarkRouters compares the router with the one that reads nothing.
func BenchmarkRouters(b *testing.B) {
	b.Run("readwritesplit", func(b *testing.B) { benchmark(b, start(b, nil)) })
	b.Run("one replica", func(b *testing.B) { benchmark(b, start(b, map[string]any{"max_slave_connections": 1})) })
	b.Run("readconnroute", func(b *testing.B) {
		benchmark(b, start(b, map[string]any{"router_options": "slave"}, func(o *proxytest.Options) {
			o.Modules.Routers, o.Router = map[string]dbproxy.RouterModule{"readconnroute": readconn.Module()}, "readconnroute"
		}))
	})
}

func benchmark(b *testing.B, p *proxytest.Proxy) {
	c := dialBinary(b, p.Addr(b))
	sql := []byte("SELECT a FROM t WHERE id = 1")
	for b.Loop() {
		c.count(wire.ComQuery, sql)
	}
}
