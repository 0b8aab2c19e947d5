package httpproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// upstreamSide is an Exchange's side of the upstream.
type upstreamSide struct {
	header Header // as the upstream gets it
	body   requestBody
	// held is what the response is read from, nil if there is none.
	held  holder
	input balance.Input
	peer  balance.Peer
	tls   *upstreamTLS // nil without TLS
	host  string       // the Host field
	began time.Time
	// uncancel ends looking out for the end of the Exchange's context; nil if
	// nobody does.
	uncancel func() bool
	// tunnelled tells that the connections were used for another protocol.
	tunnelled bool

	request  h1.Request
	response h1.Response
}

// holder is a connection, or a part of one, that a response is read from.
type holder interface {
	// release gives it back. It can be used again if the response was read to
	// its end.
	release(x *Exchange)
	// discard ends it, in whatever state it is.
	discard(x *Exchange)
}

// releaseUpstream lets go of what the response was read from.
func (x *Exchange) releaseUpstream() {
	if x.up.held != nil {
		x.up.held.release(x)
		x.up.held = nil
	}
	x.up.peer.Release()
	x.up.peer = balance.Peer{}
	x.dropBody()
}

// discardUpstream is releaseUpstream after a fault.
func (x *Exchange) discardUpstream() {
	if x.up.held != nil {
		x.up.held.discard(x)
		x.up.held = nil
	}
	x.releaseUpstream()
}

// dropResponse takes back what has come from an upstream.
func (x *Exchange) dropResponse() {
	if x.Response.Source == 0 {
		return
	}
	if x.up.held != nil {
		x.up.held.release(x)
		x.up.held = nil
	}
	x.Response.Header.Reset()
	x.Response.Trailer.Reset()
	x.wireStatus, x.upgrade = 0, ""
}

// forward carries the request to the upstream, more than once if it must and
// may, and answers it if there is no response.
func (x *Exchange) forward() {
	if !x.takeBody() {
		return
	}
	x.upstreamHeader()
	last := failure{status: http.StatusServiceUnavailable, message: msgNoUpstream}
	for {
		if err := x.pick(); err != nil {
			if len(x.Tries) == 0 {
				last = x.pickFailure(err)
			}
			break
		}
		if len(x.Tries) > 0 {
			if err := x.rewindBody(); err != nil {
				break
			}
		}
		failed := x.try()
		if failed == nil {
			return
		}
		x.up.peer.Release()
		x.up.peer = balance.Peer{}
		last = *failed
		if !failed.again || len(x.Tries) > x.Service.Retries {
			break
		}
	}
	x.releaseUpstream()
	if last.gone {
		// Nobody is there to be answered, but logs are told.
		last.status, last.message = 499, ""
	}
	source := FromError
	if last.clients {
		source = FromPlugin
	}
	x.refuse(last.status, last.message, source)
}

// failure tells why a try has no response.
type failure struct {
	status  int
	message string
	again   bool // another try may be made
	clients bool // the client has done something wrong
	ours    bool // so has the gateway
	gone    bool // the client is not there any more
}

// pickFailure tells why no peer was found.
func (x *Exchange) pickFailure(err error) failure {
	f := failure{status: http.StatusServiceUnavailable, message: msgNoPeer}
	switch {
	case x.ctx.Err() != nil:
		f.gone = true
	case errors.Is(err, balance.ErrName):
		f.message = msgNoName
	}
	return f
}

// try makes one attempt.
func (x *Exchange) try() *failure {
	x.up.began = x.Accessed
	if len(x.Tries) > 0 || x.Request.Body != nil { // it took time until now
		x.up.began = time.Now()
	}
	x.Tries = append(x.Tries, Try{Address: x.up.peer.Address, Began: x.up.began})
	t := &x.Tries[len(x.Tries)-1]
	err := x.proxy.transport.roundTrip(x)
	now := time.Now()
	t.Took = now.Sub(x.up.began)
	if err == nil {
		x.HeadReceived = now
		t.Status = x.Response.Status
		x.Response.Source = FromService
		x.up.peer.Report(balance.Outcome{Status: t.Status, Took: t.Took})
		return nil
	}
	t.Err = err
	failed := x.classify(err)
	if !failed.ours && !failed.clients && !failed.gone {
		x.up.peer.Report(balance.Outcome{Timeout: failed.status == http.StatusGatewayTimeout, Took: t.Took})
	}
	return failed
}

// tryError is an error of a try, with what was done until then.
type tryError struct {
	err error
	// sent tells that the upstream may have got the request, and answered that
	// some of a response has arrived.
	sent, answered bool
	// invalid tells that the response cannot be understood.
	invalid bool
}

func (e *tryError) Error() string { return e.err.Error() }

func (e *tryError) Unwrap() error { return e.err }

// connectError is that there is no connection, so that nothing was sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }

func (e *connectError) Unwrap() error { return e.err }

// Unreached tells whether there was no connection to the upstream.
func (t *Try) Unreached() bool { return errors.As(t.Err, new(*connectError)) }

// bodyError is that the client's body could not be read.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "the request's body could not be read: " + e.err.Error() }

func (e *bodyError) Unwrap() error { return e.err }

// classify tells what an error means for the client, and whether the request
// may be tried again.
func (x *Exchange) classify(err error) *failure {
	var body *bodyError
	if errors.As(err, &body) {
		return bodyFailure(body.err)
	}
	if x.ctx.Err() != nil {
		return &failure{gone: true}
	}
	if errors.As(err, new(*h1.FieldError)) {
		x.log.Error("a request cannot be sent as plugins have left it", "request_id", x.ID, "error", err)
		return &failure{status: http.StatusInternalServerError, message: msgUnexpected, ours: true}
	}
	f := &failure{status: http.StatusBadGateway, message: msgBadUpstream}
	if isTimeout(err) {
		f.status, f.message = http.StatusGatewayTimeout, msgTimeout
	}
	var try *tryError
	if !errors.As(err, &try) {
		f.again = true
		return f
	}
	f.again = !try.answered && !try.invalid && (!try.sent || x.resendable())
	return f
}

// bodyFailure is how a request is answered that could not be read.
func bodyFailure(err error) *failure {
	f := &failure{status: http.StatusBadRequest, message: msgBadRequest, clients: true}
	var refusal *BodyRefusal
	switch {
	case errors.As(err, &refusal):
		f.status, f.message = refusal.Status, refusal.Message
	case errors.Is(err, ErrTooLarge):
		f.status, f.message = http.StatusRequestEntityTooLarge, msgTooLarge
	case isTimeout(err):
		f.status, f.message = http.StatusRequestTimeout, "Request timeout"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, context.Canceled):
		f.gone = true
	}
	return f
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// onlyOnce tells whether a request must not be sent twice.
func onlyOnce(method string) bool {
	return slices.Contains([]string{http.MethodPost, http.MethodPatch, "LOCK"}, method)
}
