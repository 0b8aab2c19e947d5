package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/internal/errs"
)

// endpoint is where a target is reached, which is a server, a service or a
// listener: whichever of that name there is first.
func (p *Proxy) endpoint(ctx context.Context, target string) (at sqlEndpoint, name string, err error) {
	if strings.EqualFold(target, "odbc") {
		return at, "", invalid("target", "must be a server, a service or a listener: there is no ODBC here, and no connection string")
	}
	e, err := p.read(ctx)
	if err != nil {
		return at, "", err
	}
	if o, ok := e.lookup(servers, target); ok {
		at, err = p.serverEndpoint(o.name)
		return at, o.name, err
	}
	if o, ok := e.lookup(services, target); ok {
		for _, l := range e.of(listeners) {
			if at, ok := p.listenerEndpoint(l.name); ok && slices.Contains(l.links[services], o.name) {
				return at, o.name, nil
			}
		}
		return at, "", invalid("target", "must have a listener that runs: make one for the service "+o.name+", start it, or name one of its servers")
	}
	if o, ok := e.lookup(listeners, target); ok {
		at, ok := p.listenerEndpoint(o.name)
		if !ok {
			return at, "", invalid("target", "must run: start the listener "+o.name)
		}
		return at, o.name, nil
	}
	return at, "", invalid("target", "must be the name of a server, a service or a listener; "+target+" is none")
}

func (p *Proxy) serverEndpoint(name string) (sqlEndpoint, error) {
	srv, ok := p.plane.Server(name)
	if !ok {
		return sqlEndpoint{}, errs.New(errs.Unavailable, "The server %s is not in force; the log says why", name)
	}
	network, address := srv.Address()
	cfg, err := srv.TLSConfig()
	if err != nil {
		return sqlEndpoint{}, &errs.Error{Reason: errs.Unavailable, Message: "The certificates of the server " + name + " cannot be read", Err: err}
	}
	return sqlEndpoint{network, address, cfg, srv.DialContext}, nil
}

// listenerEndpoint is how a client in this process reaches a listener that runs.
func (p *Proxy) listenerEndpoint(name string) (sqlEndpoint, bool) {
	l, ok := p.plane.Listener(name)
	if !ok || !l.Running() {
		return sqlEndpoint{}, false
	}
	addr := l.Addr()
	if addr == nil {
		return sqlEndpoint{}, false
	}
	at := sqlEndpoint{network: addr.Network(), address: addr.String(), tls: listenerTLS(l), dial: new(net.Dialer).DialContext}
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		at.address = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}).String()
	}
	return at, true
}

// listenerTLS is how to begin TLS with a listener of this process, nil where it
// speaks in clear. It does not leave this process, so that nobody can stand in
// between, and there is nothing to verify.
func listenerTLS(l *dbproxy.Listener) *tls.Config {
	if !l.Config().Params.Bool("ssl") {
		return nil
	}
	return &tls.Config{InsecureSkipVerify: true}
}

// connectFailure is what is told when a target cannot be connected to: what the
// server has said, or what kind of failure it was.
func connectFailure(target string, err error) error {
	var server *wire.ServerError
	if errors.As(err, &server) {
		return &errs.Error{Reason: errs.BackendFailed, Message: target + " refuses the login: " + strings.ToValidUTF8(server.Message, "?")}
	}
	why := "it cannot be reached"
	var network *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		why = "it took too long"
	case errors.As(err, &network) && network.Op == "dial":
		why = "it takes no connections"
	case errors.Is(err, wire.ErrNoTLS), errors.Is(err, wire.ErrPlugin), errors.Is(err, wire.ErrOldProtocol):
		why = err.Error()
	}
	return &errs.Error{Reason: errs.Unavailable, Message: "There is no connection to " + target + ": " + why, Err: err}
}
