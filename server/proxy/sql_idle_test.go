package proxy

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// TestSQLIdle: a connection that nobody uses is closed, and makes room.
func TestSQLIdle(t *testing.T) {
	t.Parallel()
	conns, err := newSQLConns(10 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer conns.close()
	near, far := net.Pipe()
	defer far.Close()
	release, err := conns.reserve("caller")
	if err != nil {
		t.Fatal(err)
	}
	c := &sqlConn{conns: conns, id: "id", link: &sqlLink{conn: wire.NewConn(near, wire.PeerServer)}, used: time.Now(), release: release}
	conns.hold(c)
	far.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // the read tells
	if _, err := far.Read(make([]byte, 1)); err == nil || !errors.Is(err, io.EOF) {
		t.Fatalf("an idle connection is not closed: %v", err)
	}
	if _, err := conns.find("id", "x", true); err == nil || len(conns.list()) != 0 {
		t.Errorf("an idle connection is still there: %v", err)
	}
	for range maxOfCaller {
		if _, err := conns.reserve("caller"); err != nil {
			t.Fatalf("an idle connection keeps its place: %v", err)
		}
	}
	if _, err := conns.reserve("caller"); err == nil {
		t.Error("a caller has more connections than one can have")
	}
}
