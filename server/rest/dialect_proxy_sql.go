package rest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/auth"
)

// ConnectionCookie begins the names of the cookies that hold the tokens of
// connections for SQL; their ids follow.
const ConnectionCookie = "conn_id_sig_"

// held is what a request says of a connection for SQL.
type held struct {
	id      string        // of the connection that it is about
	persist bool          // whether the token goes to the cookie
	age     time.Duration // of the cookie; 0 for as long as the browser runs
	secure  bool
}

// settleConnection gives a request about a connection the token of the cookie,
// where it brings none itself.
func (e *exchange) settleConnection(r *http.Request, route *route) {
	if len(route.segments) < 2 || route.segments[1] != "sql" {
		return
	}
	query := r.URL.Query()
	e.held.secure, e.held.persist = r.TLS != nil, query.Get("persist") == "true"
	if seconds, err := strconv.ParseUint(query.Get("max-age"), 10, 32); err == nil {
		if age, asked := auth.SignedFor(uint32(seconds)); asked {
			e.held.age = age
		}
	}
	if !route.inPath("name") {
		return
	}
	id, err := url.PathUnescape(split(r.URL.EscapedPath())[2])
	if err != nil {
		return
	}
	e.held.id = id
	if c, err := r.Cookie(ConnectionCookie + id); err == nil && !query.Has("token") {
		query.Set("token", c.Value)
		r.URL.RawQuery = query.Encode()
	}
}

// answerConnection gives answers about connections for SQL their status, and
// tokens their cookies.
func answerConnection(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	x := exchangeOf(ctx)
	if x == nil {
		return nil
	}
	switch m := m.(type) {
	case *proxyv1.ConnectionDocument:
		if m.GetMeta() == nil {
			return nil
		}
		if x.held.persist {
			setCookie(w, ConnectionCookie+m.GetData().GetId(), m.GetMeta().GetToken(), x.held.age, x.held.secure)
			m.Meta = nil
		}
		w.WriteHeader(http.StatusCreated)
	case *proxyv1.QueryDocument:
		if m.GetData().GetAttributes().ExecutionTime == nil {
			w.WriteHeader(http.StatusAccepted)
		} else {
			w.WriteHeader(http.StatusCreated)
		}
	case *proxyv1.Changed:
		if method, _ := runtime.RPCMethod(ctx); method == proxyv1.ProxyService_DeleteConnection_FullMethodName {
			setCookie(w, ConnectionCookie+x.held.id, "", -time.Second, x.held.secure)
		}
	}
	return nil
}
