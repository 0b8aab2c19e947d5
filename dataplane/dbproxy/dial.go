package dbproxy

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pires/go-proxyproto"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/internal/evloop"
)

// dial connects to the server and sends it the header, unless that is nil.
// A carrier takes the connection.
// With extra the extra port is tried first, where the server has one.
func (srv *Server) dial(ctx context.Context, carrier *evloop.Group, header *proxyproto.Header, extra bool) (*wire.Conn, error) {
	params := srv.Params()
	network, address := srv.Address()
	var nc net.Conn
	if port := params.Int("extra_port"); extra && port != 0 && network == "tcp" {
		nc, _ = srv.DialContext(ctx, network, net.JoinHostPort(strings.Trim(params.String("address"), "[]"), strconv.FormatInt(port, 10)))
	}
	if nc == nil {
		var err error
		if nc, err = srv.DialContext(ctx, network, address); err != nil {
			return nil, err
		}
	}
	c := wire.NewConn(carried(carrier, nc), wire.PeerServer)
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

// LocalAddress is where connections to the server are made from, "" for
// anywhere.
func (srv *Server) LocalAddress() string { return srv.config.Load().local }

// DialContext connects to an address of the server, from the address that the
// proxy is told to connect from (local_address).
func (srv *Server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if local := srv.LocalAddress(); local != "" && network == "tcp" {
		// A name is looked up each time: the processes on a store have one
		// configuration, and each of them its own address.
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.Trim(local, "[]"))
		if err != nil {
			return nil, fmt.Errorf("local_address: %w", err)
		}
		d.LocalAddr = &net.TCPAddr{IP: found[0].AsSlice(), Zone: found[0].Zone()}
	}
	return d.DialContext(ctx, network, address)
}
