// Package authn is what the plugins have in common that find out who a request
// is from.
package authn

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/header"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/answer"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// The fields by which upstreams are told who a request is from. Nobody else can
// set them.
const (
	ConsumerID           = "X-Consumer-ID"
	ConsumerCustomID     = "X-Consumer-Custom-ID"
	ConsumerUsername     = "X-Consumer-Username"
	ConsumerGroups       = "X-Consumer-Groups"
	AuthenticatedGroups  = "X-Authenticated-Groups"
	CredentialIdentifier = "X-Credential-Identifier"
	AnonymousConsumer    = "X-Anonymous-Consumer"
)

// Method is a way to find out who a request is from.
type Method interface {
	// Authenticate finds the credential that the request shows, and the name
	// that upstreams are told for it, which is no secret; or what is wrong.
	Authenticate(x *httpproxy.Exchange) (c *entity.Credential, identifier string, failed *Failure)
	// Unknown is what is wrong when the consumer of a credential is gone.
	Unknown(c *entity.Credential) *Failure
}

// Failure is what is wrong with what a request shows.
type Failure struct {
	Status    int // 401 when it is 0
	Message   string
	Challenge string // for WWW-Authenticate, "" for none
	// Body is answered in the place of the message, as JSON; nil for none.
	Body []byte
}

// Unauthorized is the message of a request that shows nothing, or something
// that is not right.
const Unauthorized = "Unauthorized"

// Challenge is what WWW-Authenticate has for a scheme; the realm may be "".
func Challenge(scheme, realm string) string {
	if realm == "" {
		return scheme
	}
	return fmt.Sprintf("%s realm=%q", scheme, realm)
}

// Shown is what an Authorization field has after its scheme (RFC 9110, 11.4);
// not ok if it has another one.
func Shown(field, scheme string) (shown string, ok bool) {
	field = strings.Trim(field, " \t")
	end := strings.IndexAny(field, " \t")
	if end < 0 || !strings.EqualFold(field[:end], scheme) {
		return "", false
	}
	return strings.TrimLeft(field[end:], " \t"), true
}

// Anonymous is the field of who acts where a request shows nothing that is
// right, by ID or username.
func Anonymous() schema.Field {
	return schema.Field{
		Name: "anonymous", Type: schema.String,
		Description: "The ID or username of the consumer that requests are from which fail to authenticate.",
	}
}

// Guard lets requests pass that are authenticated.
type Guard struct {
	Method Method
	// Anonymous is who acts where a request fails, by ID or username; "" for
	// nobody, which bars the request. With it, several guards are alternatives:
	// the first that a request passes counts.
	Anonymous string
	// SkipPreflight lets OPTIONS pass.
	SkipPreflight bool
}

// Access implements httpproxy.Accesser.
func (g *Guard) Access(x *httpproxy.Exchange) error {
	if g.SkipPreflight && x.Request.Method == http.MethodOptions {
		if x.Consumer == nil {
			clearIdentity(&x.Request.Header)
		}
		return nil
	}
	if g.Anonymous != "" && x.Credential != nil {
		return nil // by another guard
	}
	c, identifier, failed := g.Method.Authenticate(x)
	if failed == nil {
		if consumer, id := x.View().ConsumerByID(c.Consumer.ID); consumer != nil {
			identify(x, consumer, id, c, identifier)
			return nil
		}
		failed = g.Method.Unknown(c)
	}
	if g.Anonymous != "" {
		return g.beAnonymous(x)
	}
	failed.answer(x)
	return nil
}

func (g *Guard) beAnonymous(x *httpproxy.Exchange) error {
	consumer := x.View().Consumer(g.Anonymous)
	if consumer == nil {
		return fmt.Errorf("anonymous consumer %s is unknown", g.Anonymous)
	}
	identify(x, consumer, consumer.ID.String(), nil, "")
	return nil
}

// identify tells who the request is from.
func identify(x *httpproxy.Exchange, c *entity.Consumer, id string, by *entity.Credential, identifier string) {
	x.SetConsumer(c, by)
	h := &x.Request.Header
	clearIdentity(h)
	h.Add(ConsumerID, id)
	if c.CustomID != "" {
		h.Add(ConsumerCustomID, c.CustomID)
	}
	if c.Username != "" {
		h.Add(ConsumerUsername, c.Username)
	}
	if by == nil {
		h.Add(AnonymousConsumer, "true")
		return
	}
	if identifier != "" {
		h.Add(CredentialIdentifier, identifier)
	}
}

// clearIdentity takes out what a client pretends to be.
func clearIdentity(h *httpproxy.Header) {
	h.DeleteFunc(func(f httpproxy.Field) bool {
		switch len(f.Name) {
		case len(ConsumerID):
			return header.EqualName(f.Name, ConsumerID)
		case len(ConsumerGroups):
			return header.EqualName(f.Name, ConsumerGroups)
		case len(ConsumerUsername):
			return header.EqualName(f.Name, ConsumerUsername)
		case len(ConsumerCustomID): // as long as AnonymousConsumer
			return header.EqualName(f.Name, ConsumerCustomID) || header.EqualName(f.Name, AnonymousConsumer)
		case len(AuthenticatedGroups):
			return header.EqualName(f.Name, AuthenticatedGroups)
		case len(CredentialIdentifier):
			return header.EqualName(f.Name, CredentialIdentifier)
		}
		return false
	})
}

// answer refuses the request.
func (f *Failure) answer(x *httpproxy.Exchange) {
	status := f.Status
	if status == 0 {
		status = http.StatusUnauthorized
	}
	if f.Body != nil {
		answer.Send(x, status, f.Message, f.Body)
	} else {
		x.Refuse(status, f.Message)
	}
	if f.Challenge != "" {
		x.Response.Header.Set("WWW-Authenticate", f.Challenge)
	}
}

// Nobody is the ID of no consumer.
var Nobody = uuid.Nil.String()
