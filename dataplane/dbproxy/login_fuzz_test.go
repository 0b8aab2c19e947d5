package dbproxy

import (
	"io"
	"net"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// pipe gives the listener a client that is not on the network.
func (h *house) pipe(t testing.TB) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	l, _ := h.Listener("l")
	h.serve(l, far)
	return near
}

// FuzzLogin sends anything in the place of a login, or after one. It may cost
// this connection, and nothing else.
func FuzzLogin(f *testing.F) {
	h := newHouse(f, map[string]any{"proxy_protocol_networks": "localhost", "authenticator_options": "ed_mode=sha256"}, nil,
		map[string]any{"max_auth_errors_until_block": 0})
	packet := func(seq byte, payload []byte) []byte {
		return append([]byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), seq}, payload...)
	}
	const caps = wire.CapMySQL | wire.CapProtocol41 | wire.CapSecureConnection | wire.CapPluginAuth | wire.CapConnectWithDB | wire.CapConnectAttrs
	for _, user := range []string{"app", "sha", "ed", "pam", "nobody", "none"} {
		r := wire.HandshakeResponse{Capabilities: caps, User: user, Token: make([]byte, 32), Plugin: wire.PluginSHA2, Database: "d"}
		login := packet(1, r.Append(nil))
		f.Add(false, login)
		f.Add(false, append(login, packet(3, make([]byte, 20))...))
		f.Add(false, append(append(login, packet(3, []byte{2})...), packet(5, make([]byte, 256))...))
		u := wire.ChangeUser{User: user, Database: "d", Charset: 45, Plugin: wire.PluginNative}
		f.Add(true, append(packet(0, u.Append(nil, caps)), packet(2, make([]byte, 20))...))
	}
	for _, header := range headers(f) {
		f.Add(false, header)
	}
	f.Add(false, packet(1, (&wire.HandshakeResponse{Capabilities: caps | wire.CapSSL}).AppendSSLRequest(nil)))
	good := wire.LoginOptions{User: "app", Credentials: secret, Capabilities: wire.CapSessionTrack}
	f.Fuzz(func(t *testing.T, inside bool, data []byte) {
		nc := h.pipe(t)
		if inside {
			if _, err := wire.Login(t.Context(), wire.NewConn(nc, wire.PeerServer), good); err != nil {
				t.Fatal(err)
			}
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, nc) //nolint:errcheck // how it ends does not matter
		}()
		nc.Write(data) //nolint:errcheck // the proxy may have enough
		nc.Close()
		<-read
		waitFor(t, func() bool { return len(h.Sessions()) == 0 })

		next := h.pipe(t)
		c := wire.NewConn(next, wire.PeerServer)
		if _, err := wire.Login(t.Context(), c, good); err != nil {
			t.Fatalf("the next client: %v", err)
		}
		ping(t, c)
		next.Close()
	})
}
