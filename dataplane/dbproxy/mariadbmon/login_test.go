package mariadbmon

import (
	"path/filepath"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/testbed"
)

// TestMonitorsLogIn has servers that are reached in several ways, which are one
// server in truth.
func TestMonitorsLogIn(t *testing.T) {
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	w := newWorld(t, testbed.ClusterOptions{Servers: 1, Cert: &cert})
	server := w.cluster.Servers[0]
	server.Exec(t, "CREATE USER secure@'%' IDENTIFIED BY 'secret' REQUIRE SSL", "GRANT SUPER, REPLICA MONITOR ON *.* TO secure@'%'")
	trusted, foreign := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "other.pem")
	write(t, trusted, ca.PEM)
	write(t, foreign, testbed.NewCA(t).PEM)
	secure := map[string]any{"monitoruser": "secure", "monitorpw": "secret"}
	with := func(more map[string]any) map[string]any {
		for name, value := range secure {
			more[name] = value
		}
		return more
	}
	for _, c := range []struct {
		name, want string
		params     map[string]any
	}{
		{"as the monitor", "Master, Running", nil},
		{"as the server's own user", "Master, Running", map[string]any{"monitoruser": "root", "monitorpw": testbed.NastyPassword}},
		{"with a wrong password", "Auth Error, Down", map[string]any{"monitoruser": "root", "monitorpw": "wrong"}},
		{"at the extra port", "Master, Running", map[string]any{"port": testbed.ClosedPort(t), "extra_port": server.Port}},
		{"past a closed extra port", "Master, Running", map[string]any{"extra_port": testbed.ClosedPort(t)}},
		{"at the socket", "Master, Running", map[string]any{"address": nil, "socket": filepath.Join(filepath.Dir(server.Data), "sock")}},
		{"over TLS", "Master, Running", with(map[string]any{"ssl": true, "ssl_ca": trusted, "ssl_verify_peer_certificate": true})},
		{"in clear where TLS is demanded", "Auth Error, Down", with(map[string]any{})},
		{"over TLS that is not trusted", "Down", with(map[string]any{"ssl": true, "ssl_ca": foreign, "ssl_verify_peer_certificate": true})},
		{"to a peer that closes", "Down", map[string]any{"port": testbed.BannerPeer(t, "SSH-2.0-x\r\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := &world{t: t, root: t, cluster: w.cluster}
			own.servers = own.proxyServers(c.params)
			own.monitorOf(dbproxy.MonitorOptions{Servers: own.servers}, "backend_connect_timeout=1s").tick()
			own.await(c.want)
		})
	}
}
