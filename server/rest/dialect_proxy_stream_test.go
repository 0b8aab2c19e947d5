package rest

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/dbaas"
)

// dial follows the log.
func dial(t *testing.T, url, query, origin string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	header := http.Header{"Authorization": {"Basic YWRtaW46MTIzNDU2"}}
	if origin != "" {
		header.Set("Origin", origin)
	}
	conn, resp, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+logStreamPath+query, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() }) //nolint:errcheck // the test has read what it wants
	}
	return conn, resp, err
}

func TestLogStream(t *testing.T) {
	t.Parallel()
	f, left := &fake{}, make(chan struct{})
	s := facadeOf(t, f, nil)
	f.follow = func(req *proxyv1.WatchLogsRequest, s grpc.ServerStreamingServer[proxyv1.LogLine]) error {
		if req.GetPageCursor() == "bad" {
			return errs.New(errs.BadRequest, "The cursor is bad")
		}
		if err := s.SendHeader(metadata.Pairs(dbaas.WatchingKey, "true")); err != nil {
			return err
		}
		if err := s.Send(&proxyv1.LogLine{Id: req.GetPageCursor(), Message: "<é>", Priority: req.GetPriority(), UnixTimestamp: 1 << 40}); err != nil {
			return err
		}
		switch req.GetPriority() {
		case "ends":
			return nil
		case "fails":
			return errs.New(errs.Unauthenticated, "Your login has expired; log in again")
		}
		<-s.Context().Done()
		close(left)
		return context.Cause(s.Context())
	}
	for priority, want := range map[string]websocket.StatusCode{"ends": websocket.StatusGoingAway, "fails": websocket.StatusPolicyViolation, "notice,error": -1} {
		conn, _, err := dial(t, s.URL, "?page[cursor]=17&priority="+priority, "")
		if err != nil {
			t.Fatal(err)
		}
		kind, line, err := conn.Read(t.Context())
		if err != nil || kind != websocket.MessageText || string(line) != `{"id":"17","message":"<é>","priority":"`+priority+`","timestamp":"","unix_timestamp":1099511627776}` {
			t.Errorf("a line is %v %q, %v", kind, line, err)
		}
		if want < 0 {
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
			<-left
			continue
		}
		if _, _, err = conn.Read(t.Context()); websocket.CloseStatus(err) != want {
			t.Errorf("a log that %s is closed with %v, want %d", priority, err, want)
		}
	}
	for query, origin := range map[string]string{"?page[cursor]=bad": "", "": "http://evil.example"} {
		_, resp, err := dial(t, s.URL, query, origin)
		if err == nil || resp == nil || resp.StatusCode != 400 && resp.StatusCode != 403 {
			t.Errorf("%q from %q is answered %+v, %v", query, origin, resp, err)
		}
	}
	if a := ask(t, s, "GET", logStreamPath, "", "Authorization", "", "Upgrade", "websocket", "Connection", "Upgrade"); a.status != 401 {
		t.Errorf("a stranger may follow the log: %d", a.status)
	}
}
