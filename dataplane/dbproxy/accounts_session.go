package dbproxy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// accountSession is a connection of the service's own user to a server.
type accountSession struct {
	conn  *wire.Conn
	caps  wire.Capability
	proxy *Proxy
}

// openAccounts logs in as the service's user. On the way the server's global
// variables are learnt, which sessions begin with.
func (s *Service) openAccounts(ctx context.Context, srv *Server, l account.Login) (account.Session, error) {
	connecting, cancel := context.WithTimeout(ctx, s.proxy.connectTimeout())
	defer cancel()
	conn, err := srv.dial(connecting, nil, nil, true)
	if err != nil {
		return nil, err
	}
	cfg, err := srv.tlsClient()
	if err != nil {
		conn.Close()
		return nil, err
	}
	const wanted = wire.CapMultiResults | wire.CapDeprecateEOF
	result, err := wire.Login(connecting, conn, wire.LoginOptions{
		User: l.User, Credentials: wire.Password(l.Password), Capabilities: wanted, TLS: cfg, AskServerKey: true, AllowClear: true, Greeted: srv.learn,
	})
	if err != nil {
		conn.Close()
		return nil, accountError(err)
	}
	session := &accountSession{conn: conn, caps: result.Capabilities, proxy: s.proxy}
	globals := map[string]string{}
	err = session.Query(ctx, "SHOW GLOBAL VARIABLES", func(r account.Row) error {
		if len(r.Values) == 2 {
			globals[strings.ToLower(string(r.Values[0]))] = string(r.Values[1])
		}
		return nil
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	srv.globals.Store(&globals)
	return session, nil
}

// accountError turns what a server answers into an error of package account.
func accountError(err error) error {
	var refused *wire.ServerError
	if errors.As(err, &refused) {
		return &account.ServerError{Number: refused.Code, Message: strings.ToValidUTF8(refused.Message, "?")}
	}
	return err
}

// Close implements account.Session.
func (a *accountSession) Close() error {
	a.conn.SetWriteDeadline(time.Now().Add(quitTimeout)) //nolint:errcheck // it is closed anyway
	if a.conn.WriteCommand(wire.ComQuit) == nil {
		a.conn.Flush() //nolint:errcheck // it is closed anyway
	}
	return a.conn.Close()
}

// Query implements account.Querier.
func (a *accountSession) Query(ctx context.Context, statement string, each func(account.Row) error) error {
	if err := a.conn.SetDeadline(time.Now().Add(a.proxy.loginTimeout("auth_read_timeout") + a.proxy.loginTimeout("auth_write_timeout"))); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { a.conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // a closed one fails as well
	err := a.query(statement, each)
	if !stop() && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (a *accountSession) query(statement string, each func(account.Row) error) error {
	if err := a.conn.WriteCommand(wire.ComQuery, []byte(statement)...); err != nil {
		return err
	}
	if err := a.conn.Flush(); err != nil {
		return err
	}
	var reply wire.Reply
	var row account.Row
	reply.Start(wire.ComQuery, a.caps)
	for !reply.Done() {
		packet, err := a.conn.ReadPacket()
		if err != nil {
			return err
		}
		kind, err := reply.Feed(packet, len(packet))
		if err != nil {
			return err
		}
		switch kind {
		case wire.KindColumn:
			column, err := wire.ParseColumn(packet, a.caps)
			if err != nil {
				return err
			}
			row.Columns = append(row.Columns, string(column.Name))
		case wire.KindRow:
			if row.Values, err = parseRow(row.Values[:0], packet, len(row.Columns)); err != nil {
				return err
			}
			if err := each(row); err != nil {
				return err
			}
		case wire.KindNone, wire.KindOK, wire.KindError, wire.KindProgress, wire.KindEOF, wire.KindColumnCount, wire.KindParam, wire.KindPrepared,
			wire.KindLocalFile, wire.KindAuthSwitch, wire.KindAuthMore, wire.KindText, wire.KindEvent:
		}
	}
	return accountError(reply.Err())
}

// parseRow reads a row in text form.
func parseRow(values [][]byte, packet []byte, columns int) ([][]byte, error) {
	c := wire.NewCursor(packet)
	for range columns {
		value, null := c.Value()
		if null {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		values = append(values, value)
	}
	return values, c.Err()
}

// globalVariable is the value that a variable has on all of the servers that
// are known; known is false when they differ as well.
func globalVariable(servers []*Server, name string) (value string, known bool) {
	for _, srv := range servers {
		globals := srv.globals.Load()
		if globals == nil {
			continue
		}
		v, there := (*globals)[strings.ToLower(name)]
		if !there || known && v != value {
			return "", false
		}
		value, known = v, true
	}
	return value, known
}
