package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// quitTimeout is how long a server may take to be told that a connection ends.
const quitTimeout = time.Second

// sqlEndpoint is where a target is reached.
type sqlEndpoint struct {
	network, address string
	tls              *tls.Config // nil for in clear
	dial             func(ctx context.Context, network, address string) (net.Conn, error)
}

// sqlLogin is where to connect and as whom, for as long as there is a
// connection: for those that follow it.
type sqlLogin struct {
	target   string
	user     string
	password wire.Password
	database string
	timeout  time.Duration // of connecting
}

// sqlLink is a connection on the wire.
type sqlLink struct {
	conn   *wire.Conn
	caps   wire.Capability
	thread uint32
}

// dialSQL connects and logs in.
func dialSQL(ctx context.Context, at sqlEndpoint, l sqlLogin) (*sqlLink, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	nc, err := at.dial(ctx, at.network, at.address)
	if err != nil {
		return nil, err
	}
	conn := wire.NewConn(nc, wire.PeerServer)
	conn.SetLimit(maxResultBytes)
	result, err := wire.Login(ctx, conn, wire.LoginOptions{
		User: l.user, Database: l.database, Credentials: l.password, TLS: at.tls, AskServerKey: true, AllowClear: true,
		Capabilities: wire.CapMultiStatements | wire.CapMultiResults | wire.CapTransactions | wire.CapDeprecateEOF | wire.CapLongFlag,
		Attributes:   []wire.Attribute{{Name: "program_name", Value: "backplane"}},
	})
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return &sqlLink{conn: conn, caps: result.Capabilities, thread: result.Greeting.ConnectionID}, nil
}

// end says goodbye and closes the connection.
func (l *sqlLink) end() {
	l.conn.SetDeadline(time.Now().Add(quitTimeout)) //nolint:errcheck // it is closed anyway
	if l.conn.WriteCommand(wire.ComQuit) == nil {
		l.conn.Flush() //nolint:errcheck // it is closed anyway
	}
	l.conn.Close()
}

// kill cancels what runs on the connection, by another one with the same login:
// a service hands it on to the servers that the session is connected to.
func (l *sqlLink) kill(ctx context.Context, at sqlEndpoint, login sqlLogin) error {
	login.database = ""
	other, err := dialSQL(ctx, at, login)
	if err != nil {
		return err
	}
	defer other.end()
	other.conn.SetDeadline(time.Now().Add(login.timeout)) //nolint:errcheck // the next read tells
	results, err := other.run("KILL QUERY "+strconv.FormatUint(uint64(l.thread), 10), 1)
	if err != nil {
		return err
	}
	for _, one := range results.all {
		if one.Errno != nil && one.GetErrno() != errNoSuchQuery {
			return &wire.ServerError{Code: uint16(one.GetErrno()), State: one.GetSqlstate(), Message: one.GetMessage()}
		}
	}
	return nil
}

// errNoSuchQuery is the number of the error that nothing runs there any more
// (Knowledge Base, "MariaDB Error Codes": ER_NO_SUCH_QUERY).
const errNoSuchQuery = 1957

// run runs statements and collects what comes of them. The error is one of the
// connection, which is of no use then; those of the server are results.
func (l *sqlLink) run(sql string, maxRows uint32) (*sqlResults, error) {
	if err := l.conn.WriteCommand(wire.ComQuery, []byte(sql)...); err != nil {
		return nil, err
	}
	if err := l.conn.Flush(); err != nil {
		return nil, err
	}
	out := &sqlResults{maxRows: uint64(maxRows)}
	var reply wire.Reply
	reply.Start(wire.ComQuery, l.caps)
	for !reply.Done() {
		packet, err := l.conn.ReadPacket()
		if errors.Is(err, wire.ErrTooLarge) {
			if err = l.passLarge(&reply); err != nil {
				return nil, err
			}
			out.cut()
			continue
		}
		if err != nil {
			return nil, err
		}
		kind, err := reply.Feed(packet, len(packet))
		if err != nil {
			return nil, err
		}
		if err := out.take(kind, packet, l.caps, &reply); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// passLarge passes a packet that is larger than all results may be.
func (l *sqlLink) passLarge(reply *wire.Reply) error {
	head, size, err := l.conn.Peek(wire.MinHead)
	if err != nil {
		return err
	}
	if _, err := reply.Feed(head, size); err != nil {
		return err
	}
	return l.conn.DiscardPacket()
}
