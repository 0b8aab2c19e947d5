package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/dbaas"
	"github.com/backplane/backplane/server/intercept"
)

const (
	// keepAlive is how often a silent event stream says that it lives.
	keepAlive = 15 * time.Second
	// slowReader is how long a client may take to accept an event.
	slowReader = 10 * time.Second
)

// serveEvents carries a watch as server-sent events.
func (f *facade) serveEvents(w http.ResponseWriter, r *http.Request, open watcher) {
	ctx, cancel := context.WithCancel(aboutCaller(r))
	defer cancel()
	changes, err := open(ctx, r)
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	index, first, err := begun(changes)
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	if index != "" {
		w.Header().Set("X-Index", index)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	to := serverSent{f, w}
	if !to.send(": watching\n\n") || first != nil && !to.event(*first) {
		return
	}
	relay(ctx, to, changes)
}

// begun waits until a watch has begun. One that begins says so, or where. One
// that does not was refused, or begins with its first event.
func begun(changes watch) (index string, first *event, err error) {
	header, err := changes.Header()
	if at := header.Get("x-index"); len(at) > 0 {
		return at[0], nil, err
	}
	if err != nil || len(header.Get(dbaas.WatchingKey)) > 0 {
		return "", nil, err
	}
	ev, err := changes.next()
	if errors.Is(err, io.EOF) {
		return "", nil, nil // there is nothing to watch any more
	}
	return "", &ev, err
}

// indexOf is the index that a watch shall go on after: that of the last event
// that the client has seen, or what the query says.
func indexOf(r *http.Request) (*uint64, error) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("index")
	}
	if last == "" {
		return nil, nil
	}
	index, err := strconv.ParseUint(last, 10, 64)
	if err != nil {
		return nil, errs.New(errs.BadRequest, "index, or Last-Event-ID, must be a number")
	}
	return &index, nil
}

// aboutCaller tells a streaming call, which shares no context values with its
// caller, what a unary one finds in the context.
func aboutCaller(r *http.Request) context.Context {
	kv := []string{auth.AddressKey, auth.Host(r.RemoteAddr), intercept.RequestIDHeader, intercept.RequestID(r.Context())}
	for _, name := range []string{"Authorization", "Kong-Admin-Token"} {
		if v := r.Header.Get(name); v != "" {
			kv = append(kv, name, v)
		}
	}
	if x := exchangeOf(r.Context()); x.url != "" {
		kv = append(kv, dbaas.RequestURLKey, x.url)
	}
	return metadata.AppendToOutgoingContext(r.Context(), kv...)
}

// sink is where changes are passed on to. It reports whether the client still
// listens.
type sink interface {
	event(ev event) bool
	// alive says that nothing has changed.
	alive() bool
	// end says that there is no more, and why: nil when that is all.
	end(err error)
}

// relay passes changes on until either side ends.
func relay(ctx context.Context, to sink, changes watch) {
	events := make(chan event)
	ended := make(chan error, 1)
	go func() {
		for {
			ev, err := changes.next()
			if err != nil {
				ended <- err
				return
			}
			select {
			case events <- ev:
			case <-ctx.Done():
				ended <- ctx.Err()
				return
			}
		}
	}()
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		ok := true
		select {
		case ev := <-events:
			ok = to.event(ev)
		case <-tick.C:
			ok = to.alive()
		case err := <-ended:
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				err = nil
			}
			to.end(err)
			return
		case <-ctx.Done():
			to.end(nil)
			return
		}
		if !ok {
			return
		}
	}
}

// serverSent sends events in an answer (HTML Standard, server-sent events).
type serverSent struct {
	f *facade
	w http.ResponseWriter
}

func (s serverSent) alive() bool { return s.send(": still here\n\n") }

func (s serverSent) end(err error) {
	if err != nil {
		s.send(fmt.Sprintf("event: error\ndata: {\"code\":%q}\n\n", errs.FromStatus(err).Reason))
	}
}

func (s serverSent) event(ev event) bool {
	data, err := s.f.json.Marshal(ev.body)
	if err != nil {
		return false
	}
	id := ""
	if ev.index > 0 {
		id = fmt.Sprintf("id: %d\n", ev.index)
	}
	return s.send(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, ev.kind, data))
}

// send drops a client that does not read.
func (s serverSent) send(text string) bool {
	rc := http.NewResponseController(s.w)
	if err := rc.SetWriteDeadline(time.Now().Add(slowReader)); err != nil {
		return false
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return false
	}
	return rc.Flush() == nil
}
