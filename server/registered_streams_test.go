package server_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/backplane/backplane/server/servertest"
)

// TestStreamedThrough: events come when the service sends them, and messages of
// WebSockets go both ways.
func TestStreamedThrough(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	t.Run("events", s.events)
	t.Run("websocket", s.websocket)
}

// events reads an event before the next one is asked for: nothing may wait for
// the end of the answer.
func (s *shop) events(t *testing.T) {
	req, err := http.NewRequestWithContext(servertest.Context(t), http.MethodGet, "http://"+s.GatewayHTTP+"/shop/events/a", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream; charset=utf-8" {
		t.Fatalf("%s of %s", resp.Status, kind)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		return "the end"
	}
	if got := next(); got != "data: begun" {
		t.Errorf("the first event is %q", got)
	}
	for _, event := range []string{"one", "100%25", "end"} {
		s.ask(t, "POST", "/shop/events/a", []byte(`{"event":"`+event+`"}`), "Content-Type", jsonKind).want(t, event, 200, "true")
		want := "data: " + event
		if event == "end" {
			want = "the end"
		}
		if got := next(); got != want {
			t.Errorf("after %s there is %q", event, got)
		}
	}
}

func (s *shop) websocket(t *testing.T) {
	s.ask(t, "GET", "/shop/echo", nil).want(t, "without a handshake", http.StatusUpgradeRequired, `"This is a WebSocket."`)
	ctx := servertest.Context(t)
	c, resp, err := websocket.Dial(ctx, "ws://"+s.GatewayHTTP+"/shop/echo?a=1", &websocket.DialOptions{HTTPClient: s.client, Subprotocols: []string{"other", "echo"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow() //nolint:errcheck // it has been closed in order
	if c.Subprotocol() != "echo" || resp.Header.Get("Sec-Websocket-Accept") == "" {
		t.Errorf("the handshake is %v", resp.Header)
	}
	c.SetReadLimit(1 << 20)
	large := bytes.Repeat([]byte{0, 255, '%'}, 100_000)
	for _, m := range []struct {
		kind       websocket.MessageType
		sent, want string
	}{
		{websocket.MessageText, "caf\u00e9 100%25", "/echo caf\u00e9 100%25"}, {websocket.MessageBinary, string(large), string(large)}, {websocket.MessageText, "", "/echo "},
	} {
		if err := c.Write(ctx, m.kind, []byte(m.sent)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.Read(ctx)
		if err != nil || kind != m.kind || !strings.HasPrefix(string(got), m.want) || len(got) != len(m.want) {
			t.Fatalf("%d bytes %.100q of kind %v, want %d bytes: %v", len(got), got, kind, len(m.want), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("the end: %v", err)
	}
}
