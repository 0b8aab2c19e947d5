package autogateway

import (
	"net/http"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/answer"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/authn"
)

// What clients are told.
const (
	detailUnavailable = "Service is unavailable."
	detailBroken      = "Service error."
	detailTimeout     = "Service did not answer in time."
	detailMissing     = "Not authenticated"
	detailScheme      = "Invalid authentication credentials"
	detailInvalid     = "Invalid token or expired token."
)

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	switch {
	case x.Refusal() != "":
		p.RewordRefusal(x)
	case x.Response.Source == httpproxy.FromService && x.Value(p) != nil:
		p.relocate(x)
	}
	return nil
}

// RewordRefusal implements httpproxy.Reworder: refusals have the form of those of
// the service's kind.
func (p *plugin) RewordRefusal(x *httpproxy.Exchange) {
	status, detail := x.Response.Status, x.Refusal()
	switch {
	case status < http.StatusBadRequest:
		return
	case x.Response.Source == httpproxy.FromError:
		status, detail = failure(x)
	case status == http.StatusUnauthorized && p.Auth != "":
		status, detail = p.unauthorized(x)
	}
	x.Reword(status, "application/json", answer.JSON(struct {
		Detail string `json:"detail"`
	}{detail}))
}

// failure is what is told of a request that could not be carried out.
func failure(x *httpproxy.Exchange) (status int, detail string) {
	switch status = x.Response.Status; status {
	case http.StatusBadGateway:
		if n := len(x.Tries); n == 0 || !x.Tries[n-1].Unreached() {
			return status, detailBroken
		}
		return http.StatusServiceUnavailable, detailUnavailable
	case http.StatusServiceUnavailable:
		return status, detailUnavailable
	case http.StatusGatewayTimeout:
		return status, detailTimeout
	case http.StatusInternalServerError:
		return status, http.StatusText(status)
	}
	return status, x.Refusal()
}

// unauthorized is what is told of a request that does not show who it is from.
func (p *plugin) unauthorized(x *httpproxy.Exchange) (status int, detail string) {
	challenge := x.Response.Header.Get("WWW-Authenticate")
	if challenge == "" && x.Refusal() != authn.Unauthorized {
		return http.StatusUnauthorized, x.Refusal() // it is about something else
	}
	// The plugin that has refused tells by its challenge: there may be another
	// one than the configured.
	scheme, rest, _ := strings.Cut(challenge, " ")
	switch {
	case scheme == "Key" || challenge == "" && p.Auth == "key-auth":
		detail = detailInvalid
		if x.Refusal() == noKey {
			detail = detailMissing
		}
	case scheme == "Bearer" && strings.Contains(rest, `error="invalid_token"`):
		detail = detailInvalid
	case scheme == "Basic" || challenge == "" && p.Auth == "basic-auth":
		detail = shown(&x.Request.Header, "Basic")
	default:
		detail = shown(&x.Request.Header, "Bearer")
	}
	return p.UnauthorizedStatus, detail
}

// noKey is what key-auth says of a request without a key.
const noKey = "No API key found in request"

// shown tells what is wrong with the Authorization field of a request that was
// refused where a scheme is asked for.
func shown(h *httpproxy.Header, wanted string) string {
	field := h.Get("Authorization")
	if field == "" {
		field = h.Get("Proxy-Authorization")
	}
	scheme, credential, _ := strings.Cut(strings.TrimSpace(field), " ")
	switch {
	case strings.TrimSpace(credential) == "":
		return detailMissing
	case !strings.EqualFold(scheme, wanted):
		return detailScheme
	}
	return detailInvalid
}
