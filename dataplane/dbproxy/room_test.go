package dbproxy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

func roomyServer(t *testing.T, most int) *Server {
	t.Helper()
	set, faults := param.Parse(ServerSpecs(), map[string]any{"address": "127.0.0.1", "max_routing_connections": most})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	srv, err := NewServer(ServerConfig{Name: "server", Params: set})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// waiting waits until so many wait for room.
func waiting(t *testing.T, srv *Server, n int) {
	t.Helper()
	for deadline := time.After(time.Minute); ; {
		srv.room.mu.Lock()
		got := len(srv.room.line)
		srv.room.mu.Unlock()
		if got == n {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%d wait, not %d", got, n)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestRoomIsGivenInTurn(t *testing.T) {
	srv := roomyServer(t, 2)
	for range 2 {
		if err := srv.enter(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.enter(t.Context(), time.Time{}); !errors.Is(err, ErrNoRoom) || !errors.Is(err, ErrUnusable) {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute)
	turns := make(chan int, 5)
	for i := range 5 {
		go func() {
			if err := srv.enter(t.Context(), later); err != nil {
				t.Error(err)
			}
			turns <- i
		}()
		waiting(t, srv, i+1)
	}
	if srv.room.enter(3) {
		t.Fatal("somebody has passed the line")
	}
	for i := range 5 {
		srv.room.leave(2)
		if got := <-turns; got != i {
			t.Fatalf("%d came in as number %d", got, i)
		}
	}
	if n := srv.room.places(); n != 2 {
		t.Fatalf("%d places are taken", n)
	}
}

func TestRoomIsNotWaitedForForEver(t *testing.T) {
	srv := roomyServer(t, 1)
	if err := srv.enter(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := srv.enter(t.Context(), time.Now().Add(time.Millisecond)); !errors.Is(err, ErrNoRoom) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() { ended <- srv.enter(ctx, time.Now().Add(time.Minute)) }()
	waiting(t, srv, 1)
	second := make(chan error)
	go func() { second <- srv.enter(t.Context(), time.Now().Add(time.Minute)) }()
	waiting(t, srv, 2)
	cancel(errKilled)
	if err := <-ended; !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	waiting(t, srv, 1)
	srv.room.leave(1)
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	// Who has its place when it gives up waiting must give it back.
	w := srv.room.join()
	if srv.room.quit(w) || len(srv.room.line) != 0 {
		t.Fatal("who gave up is still in line")
	}
	w = srv.room.join()
	srv.room.leave(1)
	if !srv.room.quit(w) {
		t.Fatal("the place was lost")
	}
	srv.room.leave(1)
	if n := srv.room.places(); n != 0 {
		t.Fatalf("%d places are taken", n)
	}
}

// A limit that is raised lets in those who wait.
func TestRoomGrows(t *testing.T) {
	srv := roomyServer(t, 1)
	if err := srv.enter(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	entered := make(chan error)
	go func() { entered <- srv.enter(t.Context(), time.Now().Add(time.Minute)) }()
	waiting(t, srv, 1)
	srv.config.Store(roomyServer(t, 2).config.Load())
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
}
