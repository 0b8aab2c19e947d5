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
	// A watch that begins says so, or where. One that does not was refused, or
	// begins with its first event.
	header, err := changes.Header()
	index := header.Get("x-index")
	var first *event
	if err == nil && len(index) == 0 && len(header.Get(dbaas.WatchingKey)) == 0 {
		var ev event
		if ev, err = changes.next(); err == nil {
			first = &ev
		} else if errors.Is(err, io.EOF) {
			err = nil // there is nothing to watch any more
		}
	}
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	if len(index) > 0 {
		w.Header().Set("X-Index", index[0])
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if !f.send(w, ": watching\n\n") || first != nil && !f.sendEvent(w, *first) {
		return
	}
	f.relay(ctx, w, changes)
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

// relay passes changes on until either side ends.
func (f *facade) relay(ctx context.Context, w http.ResponseWriter, changes watch) {
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
			ok = f.sendEvent(w, ev)
		case <-tick.C:
			ok = f.send(w, ": still here\n\n")
		case err := <-ended:
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				f.send(w, fmt.Sprintf("event: error\ndata: {\"code\":%q}\n\n", errs.FromStatus(err).Reason))
			}
			return
		case <-ctx.Done():
			return
		}
		if !ok {
			return
		}
	}
}

func (f *facade) sendEvent(w http.ResponseWriter, ev event) bool {
	data, err := f.json.Marshal(ev.body)
	if err != nil {
		return false
	}
	id := ""
	if ev.index > 0 {
		id = fmt.Sprintf("id: %d\n", ev.index)
	}
	return f.send(w, fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, ev.kind, data))
}

// send drops a client that does not read.
func (f *facade) send(w http.ResponseWriter, text string) bool {
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(slowReader)); err != nil {
		return false
	}
	if _, err := io.WriteString(w, text); err != nil {
		return false
	}
	return rc.Flush() == nil
}
