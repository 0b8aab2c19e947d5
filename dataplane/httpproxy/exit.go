package httpproxy

import (
	"encoding/json"
	"encoding/xml"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// Messages of answers that are not a plugin's.
const (
	msgBadRequest  = "Bad request"
	msgNoRoute     = "no Route matched with those values"
	msgNotAllowed  = "Method not allowed"
	msgNoService   = "no Service found with those values"
	msgTooLarge    = "Payload too large"
	msgUnexpected  = "An unexpected error occurred"
	msgBadUpstream = "An invalid response was received from the upstream server"
	msgNoUpstream  = "The upstream server is currently unavailable"
	msgTimeout     = "The upstream server is timing out"
	msgNoName      = "name resolution failed"
	msgNoPeer      = "failure to get a peer from the ring-balancer"
)

// refuse answers with a message in the form that the client accepts. What has
// come from an upstream until now is gone.
func (x *Exchange) refuse(status int, message string, source Source) {
	x.dropResponse()
	x.answered, x.refusal = true, ""
	x.Response.Status, x.Response.Source = status, source
	if x.isGRPC() {
		x.refuseGRPC(status, message)
		return
	}
	x.refusal = message
	contentType, body := errorBody(x.accepted(status, source), message, x.ID)
	x.Response.Header.Set("Content-Type", contentType)
	x.Response.SetBody(body)
}

// accepted is what the client accepts, going by what it sends if it says
// nothing where an upstream has failed.
func (x *Exchange) accepted(status int, source Source) string {
	accept := x.Request.Header.Join("Accept")
	if accept != "" || source != FromError || status < 500 {
		return accept
	}
	if sent := x.Request.Header.Get("Content-Type"); sent != "" {
		return sent
	}
	return "text/plain"
}

// isGRPC tells whether the request is one of gRPC.
func (x *Exchange) isGRPC() bool {
	return x.Request.ProtoMajor == 2 && strings.HasPrefix(x.Request.Header.Get("Content-Type"), "application/grpc")
}

// refuseGRPC answers with a status of gRPC in the place of the HTTP one, which
// logs and plugins see all the same ("Trailers-Only" of gRPC over HTTP2).
func (x *Exchange) refuseGRPC(status int, message string) {
	x.wireStatus = http.StatusOK
	h := &x.Response.Header
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(grpcStatus(status)))
	h.Set("Grpc-Message", grpcMessage(message))
	x.Response.SetBody(nil)
}

func grpcStatus(status int) int {
	switch status {
	case 499:
		return 1 // cancelled
	case http.StatusBadRequest:
		return 3
	case http.StatusGatewayTimeout:
		return 4
	case http.StatusNotFound:
		return 5
	case http.StatusForbidden:
		return 7
	case http.StatusTooManyRequests:
		return 8
	case http.StatusConflict:
		return 10
	case http.StatusNotImplemented:
		return 12
	case http.StatusInternalServerError:
		return 13
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return 14
	case http.StatusUnauthorized:
		return 16
	default:
		return 2 // unknown
	}
}

// grpcMessage escapes a message as Grpc-Message is.
func grpcMessage(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// errorBody is a message in the form that is accepted best.
func errorBody(accept, message, id string) (contentType string, body []byte) {
	switch negotiate(accept) {
	case "text/plain":
		return "text/plain; charset=utf-8", []byte(message + "\nrequest_id: " + id + "\n")
	case "text/html":
		return "text/html; charset=utf-8", []byte("<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n" +
			"    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n    <p>" + html.EscapeString(message) +
			".</p>\n    <p>request_id: " + id + "</p>\n  </body>\n</html>\n")
	case "application/xml":
		var b strings.Builder
		b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>")
		_ = xml.EscapeText(&b, []byte(message))
		b.WriteString("</message>\n  <requestid>" + id + "</requestid>\n</error>\n")
		return "application/xml; charset=utf-8", []byte(b.String())
	default:
		b, _ := json.Marshal(struct {
			Message string `json:"message"`
			ID      string `json:"request_id"`
		}{message, id})
		return "application/json; charset=utf-8", b
	}
}

// negotiate is the type of those there are that has the greatest weight in an
// Accept field (RFC 9110, 12.5.1), JSON by default.
func negotiate(accept string) string {
	best, weight := "application/json", 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		switch name {
		case "*/*", "application/*":
			name = "application/json"
		case "text/*":
			name = "text/plain"
		case "text/xml":
			name = "application/xml"
		case "application/json", "text/plain", "text/html", "application/xml":
		default:
			continue
		}
		if q := quality(params); q > weight {
			best, weight = name, q
		}
	}
	return best
}

func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		if name, value, ok := strings.Cut(param, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
