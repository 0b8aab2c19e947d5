package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// logStreamPath is where the log is followed over a WebSocket (RFC 6455).
const logStreamPath = proxyPrefix + "/maxscale/logs/stream"

// serveLogStream sends each line of the log as a message of its own.
func (f *facade) serveLogStream(w *reply, r *http.Request) {
	if !asksForWebSocket(r) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	ctx, cancel := context.WithCancel(aboutCaller(r))
	defer cancel()
	lines, err := f.watch[proxyv1.ProxyService_WatchLogs_FullMethodName](ctx, r)
	var first *event
	if err == nil {
		_, first, err = begun(lines)
	}
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	conn, err := websocket.Accept(w.ResponseWriter, r, nil) // which refuses pages of other sites, too
	if err != nil {
		return // Accept has said so
	}
	defer conn.CloseNow() //nolint:errcheck // it is closed already, or will not be
	// Reading answers the pings of the client, and notices when it leaves.
	left := conn.CloseRead(context.WithoutCancel(ctx))
	defer context.AfterFunc(left, cancel)()
	to := socket{f, conn}
	if first != nil && !to.event(*first) {
		return
	}
	relay(ctx, to, lines)
}

func asksForWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// socket sends events as messages.
type socket struct {
	f    *facade
	conn *websocket.Conn
}

func (s socket) event(ev event) bool {
	text, err := s.f.json.Marshal(ev.body)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), slowReader)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text) == nil
}

func (s socket) alive() bool {
	ctx, cancel := context.WithTimeout(context.Background(), slowReader)
	defer cancel()
	return s.conn.Ping(ctx) == nil
}

func (s socket) end(err error) {
	code, reason := websocket.StatusGoingAway, ""
	if err != nil {
		code, reason = websocket.StatusPolicyViolation, string(errs.FromStatus(err).Reason)
	}
	s.conn.Close(code, reason) //nolint:errcheck // the client has gone
}
