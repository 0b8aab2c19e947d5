package dbproxy

import (
	"context"
	"net"
	"strconv"
	"strings"

	"github.com/pires/go-proxyproto"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// dial connects to the server and sends it the header, unless that is nil.
// With extra the extra port is tried first, where the server has one.
func (srv *Server) dial(ctx context.Context, header *proxyproto.Header, extra bool) (*wire.Conn, error) {
	params := srv.Params()
	network, address := srv.Address()
	var nc net.Conn
	var d net.Dialer
	if port := params.Int("extra_port"); extra && port != 0 && network == "tcp" {
		nc, _ = d.DialContext(ctx, network, net.JoinHostPort(strings.Trim(params.String("address"), "[]"), strconv.FormatInt(port, 10)))
	}
	if nc == nil {
		var err error
		if nc, err = d.DialContext(ctx, network, address); err != nil {
			return nil, err
		}
	}
	c := wire.NewConn(nc, wire.PeerServer)
	if header == nil {
		return c, nil
	}
	text, err := header.Format()
	if err == nil {
		err = c.WriteRaw(text)
	}
	if err == nil {
		err = c.Flush() // the server says nothing before it has it
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
