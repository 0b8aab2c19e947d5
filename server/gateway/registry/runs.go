package registry

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/lease"
	"github.com/backplane/backplane/server/store"
)

// leaseName is that of the process whose refreshes are by the clock.
const leaseName = "registry"

// wish is what a refresh should do.
type wish struct {
	all    bool               // fetch all documents
	some   map[int64]struct{} // else those of these services
	asked  bool               // somebody called for it, rather than the clock
	caller store.Actor
}

// join makes it do what both want.
func (w *wish) join(other wish) {
	w.all = w.all || other.all
	for id := range other.some {
		w.some[id] = struct{}{}
	}
	if other.asked && !w.asked {
		w.asked, w.caller = true, other.caller
	}
}

// flight is a refresh under way, or the next one.
type flight struct {
	wish
	done chan struct{}
	out  *gatewayv1.RefreshServicesResponse
	err  error
}

// flights has one refresh run at a time.
type flights struct {
	running, next *flight
	closed        bool
	settling      map[int64]struct{} // services whose refresh the timer will ask for
	timer         *time.Timer
}

// launch has what is wished be done: by a refresh that begins now, or, while one
// runs, by the next.
func (r *Registry) launch(w wish) (*flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flights.closed {
		return nil, errClosed()
	}
	if w.some == nil {
		w.some = map[int64]struct{}{}
	}
	switch f := &r.flights; {
	case f.running == nil:
		f.running = &flight{wish: w, done: make(chan struct{})}
		r.wait.Go(r.fly)
		return f.running, nil
	case f.next == nil:
		f.next = &flight{wish: w, done: make(chan struct{})}
	default:
		f.next.join(w)
	}
	return r.flights.next, nil
}

// fly runs refreshes until nobody wants one any more.
func (r *Registry) fly() {
	for {
		r.mu.Lock()
		f := r.flights.running
		r.mu.Unlock()
		ctx := r.base
		if f.asked {
			ctx = store.WithActor(ctx, f.caller)
		}
		f.out, f.err = r.safely(ctx, f.wish)
		if f.err != nil && r.base.Err() != nil {
			f.err = errClosed()
		}
		close(f.done)
		r.mu.Lock()
		r.flights.running, r.flights.next = r.flights.next, nil
		over := r.flights.running == nil
		r.mu.Unlock()
		if over {
			return
		}
	}
}

// safely keeps a refresh that breaks from taking the program with it.
func (r *Registry) safely(ctx context.Context, w wish) (out *gatewayv1.RefreshServicesResponse, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			r.Log.ErrorContext(ctx, "refresh registered services", "panic", broken, "stack", string(debug.Stack()))
			r.known = newKnowledge()
			out, err = nil, fmt.Errorf("refresh: %v", broken)
		}
	}()
	return r.refresh(ctx, w)
}

// RefreshServices implements the RPC. What it began goes on when the caller
// leaves.
func (r *Registry) RefreshServices(ctx context.Context, _ *gatewayv1.RefreshServicesRequest) (*gatewayv1.RefreshServicesResponse, error) {
	if err := r.enabled(); err != nil {
		return nil, err
	}
	f, err := r.launch(wish{all: true, asked: true, caller: store.ActorFrom(ctx)})
	if err != nil {
		return nil, err
	}
	select {
	case <-f.done:
		return f.out, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// settle has services be looked at a little later, with all others that are
// changed until then.
func (r *Registry) settle(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Every <= 0 || r.flights.closed {
		return
	}
	if r.flights.settling == nil {
		r.flights.settling = map[int64]struct{}{}
		r.flights.timer = time.AfterFunc(r.Settle, r.settled)
	}
	r.flights.settling[id] = struct{}{}
}

func (r *Registry) settled() {
	r.mu.Lock()
	some := r.flights.settling
	r.flights.settling = nil
	r.mu.Unlock()
	r.byItself(wish{some: some})
}

// byItself begins a refresh that nobody waits for.
func (r *Registry) byItself(w wish) {
	f, err := r.launch(w)
	if err != nil {
		return // the end has come
	}
	<-f.done
	if f.err != nil && r.base.Err() == nil {
		r.Log.Error("refresh registered services", "error", f.err)
	}
}

// Run refreshes by the clock until ctx ends, and waits for what is under way
// then. No refresh begins after that.
func (r *Registry) Run(ctx context.Context) {
	defer r.Close()
	if r.Every <= 0 {
		<-ctx.Done()
		return
	}
	lease.Hold(ctx, r.Store, r.Log, leaseName, func(ctx context.Context) {
		tick := time.NewTicker(r.Every)
		defer tick.Stop()
		for {
			r.byItself(wish{all: true})
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// Close ends refreshes under way, and waits for them. Run does it at its end.
func (r *Registry) Close() {
	r.mu.Lock()
	r.flights.closed = true
	if r.flights.timer != nil {
		r.flights.timer.Stop()
	}
	r.mu.Unlock()
	r.cancel()
	r.wait.Wait()
}
