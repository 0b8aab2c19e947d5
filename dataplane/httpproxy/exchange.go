package httpproxy

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/route"
)

// Exchange is a request with its response. It is used by one goroutine at a
// time, and again for another request afterwards.
type Exchange struct {
	Request  Request
	Response Response
	exchangeState

	proxy      *Proxy
	index      int           // among the Proxy's
	generation atomic.Uint64 // of the snapshot, 0 while there is no request
}

// exchangeState is what of an Exchange begins anew with each request.
type exchangeState struct {
	// Route is the route that was matched, nil if there is none, and Service
	// the one behind it, nil if there is none.
	Route   *entity.Route
	Service *entity.Service
	// Captures are what the regular expression of the route's path has
	// captured, by number and by name. Number 0 is what has matched.
	Captures Captures
	// Consumer is who the request is from, once a plugin has found it out, and
	// Credential how; both may be nil. Groups are what acl goes by.
	Consumer   *entity.Consumer
	Credential *entity.Credential
	Groups     []string
	// Upstream is where the request goes, settled before the plugins are run,
	// which may change it.
	Upstream Destination
	// Tries are what was tried at upstreams.
	Tries []Try

	// ID is the request's ID: 32 hexadecimal digits.
	ID string
	// Times of the steps; zero if they were not reached.
	Started, Matched, Accessed, HeadReceived, Ended time.Time

	ctx      context.Context
	log      *slog.Logger
	answered bool
	refusal  string // the message, if that is what the answer is
	values   []value

	snapshot   *snapshot
	down       downstream
	conn       *connection
	input      route.Input
	matched    route.Result[servedRoute]
	service    *servedService
	used       []*instance // the plugins that were come to
	trusted    bool        // that the peer is believed
	stripped   string      // what was taken from the path
	cancels    bool        // that the context ends when the client goes
	wireStatus int         // in the place of the response's, 0 for that
	upgrade    string      // what the response offers
	up         upstreamSide
}

// Destination is where a request goes.
type Destination struct {
	Scheme string // http, https, grpc or grpcs
	Host   string // of an upstream, or a host's name or address
	Port   int
	// Path and Query are what is asked for there.
	Path, Query string
	HasQuery    bool
	// HostHeader is the Host field; "" is the target's or service's host.
	HostHeader string
}

// Try is one attempt at an upstream.
type Try struct {
	Address  string // IP and port
	Began    time.Time
	Took     time.Duration
	Err      error // nil if there was a response
	Status   int
	Attempts int
}

// Captures are what a regular expression has captured.
type Captures struct {
	Numbered []string
	Names    []string // in step with Numbered, "" for those without a name
}

// Named is a capture by its name.
func (c Captures) Named(name string) (string, bool) {
	for i, n := range c.Names {
		if n == name && n != "" {
			return c.Numbered[i], true
		}
	}
	return "", false
}

// Context ends with the client's connection, at the latest.
func (x *Exchange) Context() context.Context { return x.ctx }

// View is the configuration that the request is served by.
func (x *Exchange) View() View { return x.snapshot }

// Log is where plugins write to.
func (x *Exchange) Log() *slog.Logger { return x.log }

// Answered tells whether the request was answered by a plugin or the gateway.
func (x *Exchange) Answered() bool { return x.answered }

// Exit answers the request with a body, which may be nil. Fields are set in
// Response.Header before or after; where a Responder answers, those of the
// upstream are gone.
func (x *Exchange) Exit(status int, contentType string, body []byte) {
	x.dropResponse()
	x.answered, x.refusal = true, ""
	x.Response.Status, x.Response.Source = status, FromPlugin
	if contentType != "" {
		x.Response.Header.Set("Content-Type", contentType)
	}
	x.Response.SetBody(body)
}

// Refuse answers the request with a message in the form that the client
// accepts.
func (x *Exchange) Refuse(status int, message string) { x.refuse(status, message, FromPlugin) }

type value struct{ key, value any }

// SetValue keeps a value for the other phases of a plugin; key is of a type of
// the plugin's own, or its instance.
func (x *Exchange) SetValue(key, v any) {
	for i := range x.values {
		if x.values[i].key == key {
			x.values[i].value = v
			return
		}
	}
	x.values = append(x.values, value{key, v})
}

// Value is what SetValue has kept, nil if there is nothing.
func (x *Exchange) Value(key any) any {
	for i := range x.values {
		if x.values[i].key == key {
			return x.values[i].value
		}
	}
	return nil
}

// SetConsumer tells who the request is from.
func (x *Exchange) SetConsumer(c *entity.Consumer, by *entity.Credential) {
	x.Consumer, x.Credential = c, by
}
