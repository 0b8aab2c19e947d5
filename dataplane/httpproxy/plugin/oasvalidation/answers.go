package oasvalidation

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/answer"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// What clients are told who are not told more.
const (
	denyRequest  = "request doesn't conform to schema"
	denyParam    = "request param doesn't conform to schema"
	denyResponse = "response doesn't conform to schema"
)

// refuse answers a request that is wrong, or takes it down.
func (p *plugin) refuse(x *httpproxy.Exchange, faults []fault) {
	message, told := denyParam, texts(faults)
	if faults[0].Keyword == "content" {
		message = denyRequest
	}
	switch {
	case p.NotifyOnlyRequest:
		p.notify(x, "a request does not fit the API document", told)
	case p.DetailErrors && !answer.IsGRPC(x):
		x.Exit(http.StatusUnprocessableEntity, "application/json", answer.JSON(detailList(faults)))
	case p.VerboseResponse:
		p.fail(x, http.StatusBadRequest, told)
	default:
		p.fail(x, http.StatusBadRequest, message)
	}
}

// refuseResponse answers in the place of a response that is wrong, or takes it
// down.
func (p *plugin) refuseResponse(x *httpproxy.Exchange, faults []fault) {
	told := make([]string, len(faults))
	for i := range faults {
		told[i] = located(&faults[i].Fault)
	}
	message := "response body validation failed with error: " + strings.Join(told, "; ")
	if p.NotifyOnlyResponse {
		p.notify(x, "a response does not fit the API document", message)
		return
	}
	status := http.StatusNotAcceptable
	if p.DetailErrors {
		status = http.StatusBadGateway
	}
	if !p.VerboseResponse {
		message = denyResponse
	}
	p.fail(x, status, message)
}

// tooLarge deals with a request whose body is too long to be checked, and tells
// whether it has answered.
func (p *plugin) tooLarge(x *httpproxy.Exchange) (answered bool) {
	switch {
	case p.OnLargeBody == "pass":
		return false
	case p.NotifyOnlyRequest:
		p.notify(x, "a request does not fit the API document", "its body is too long to be checked")
		return false
	}
	return p.fail(x, http.StatusRequestEntityTooLarge, "Request size limit exceeded")
}

// answerUnknown answers a request for what the document does not have.
func (p *plugin) answerUnknown(x *httpproxy.Exchange, status int, err string) {
	message := denyRequest
	switch {
	case p.DetailErrors:
		message = http.StatusText(status)
	case p.VerboseResponse:
		message = "validation failed, " + err
	}
	p.fail(x, status, message)
}

// fail answers with a message; it is always true.
func (p *plugin) fail(x *httpproxy.Exchange, status int, message string) bool {
	body := answer.Message(message)
	if p.DetailErrors {
		body = answer.JSON(struct {
			Detail string `json:"detail"`
		}{message})
	}
	answer.Send(x, status, message, body)
	return true
}

// notify takes down what is wrong. It does not show values.
func (p *plugin) notify(x *httpproxy.Exchange, what, faults string) {
	x.Log().Warn(what, "plugin", "oas-validation", "request_id", x.ID, "method", x.Request.Method, "path", x.Request.Path, "faults", faults)
}

// texts tell faults of a request.
func texts(faults []fault) string {
	all := make([]string, len(faults))
	for i := range faults {
		all[i] = faults[i].text()
	}
	return strings.Join(all, "; ")
}

func (f *fault) text() string {
	switch {
	case f.unknown:
		return fmt.Sprintf("validation failed with error: %s parameter '%s' does not exist in specification", f.in, f.name)
	case f.in != "body":
		what := located(&f.Fault)
		if f.Keyword == "required" && len(f.Path) == 0 {
			what = "required parameter value not found in request"
		}
		return fmt.Sprintf("%s '%s' validation failed with error: '%s'", f.in, f.name, what)
	case f.Keyword == "content":
		return "validation failed: content-type of the body: " + f.Message()
	}
	return fmt.Sprintf("request body validation failed with error: '%s'", located(&f.Fault))
}

// located is a fault with its place.
func located(f *jsonschema.Fault) string {
	if len(f.Path) == 0 || f.Keyword == "json" {
		return f.Message()
	}
	return jsonschema.Place(f.Path) + ": " + f.Message()
}
