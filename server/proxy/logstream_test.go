package proxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/backplane/backplane/server/servertest"
)

// TestLogStream: each line of the log is a message, from where the client says,
// and a server that ends says so.
func TestLogStream(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	header := http.Header{"Authorization": {servertest.Basic("admin", servertest.Password)}}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.URL, "http", "ws", 1)+"/maxscale/logs/stream?page[cursor]=0&priority=notice", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // it is closed by the server
	read := func() (line struct{ ID, Message, Priority, Timestamp string }, err error) {
		_, text, err := conn.Read(t.Context())
		if err == nil {
			err = json.Unmarshal(text, &line)
		}
		return line, err
	}
	if line, err := read(); err != nil || line.ID == "" || !strings.HasPrefix(line.Message, "serving") || line.Priority != "notice" || line.Timestamp == "" {
		t.Fatalf("the first line is %+v, %v", line, err)
	}
	s.Stop()
	for {
		line, err := read()
		if err == nil && line.Priority == "notice" {
			continue
		}
		if websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("the stream ends with %+v, %v", line, err)
		}
		return
	}
}
