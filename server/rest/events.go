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
	var after *uint64
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("index")
	}
	if last != "" {
		index, err := strconv.ParseUint(last, 10, 64)
		if err != nil {
			f.writeError(w, r, errs.New(errs.BadRequest, "index, or Last-Event-ID, must be a number"))
			return
		}
		after = &index
	}
	ctx, cancel := context.WithCancel(aboutCaller(r))
	defer cancel()
	changes, err := open(ctx, after)
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	// A watch that begins says where; one that is refused says why instead.
	header, err := changes.Header()
	if err == nil && len(header.Get("x-index")) == 0 {
		_, err = changes.next()
	}
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	w.Header().Set("X-Index", header.Get("x-index")[0])
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if !f.send(w, ": watching\n\n") {
		return
	}
	f.relay(ctx, w, changes)
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
	return f.send(w, fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", ev.index, ev.kind, data))
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
