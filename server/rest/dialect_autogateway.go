package rest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// autoDialect is that of services that are registered by their documents. It
// answers as the system does whose API it is, which is written with FastAPI:
// what is wrong with a request is said as FastAPI 0.88 says it.
type autoDialect struct{}

const (
	servicePath  = "/service"
	servicesPath = "/services" // which the gateway's own services have too
)

// The numbers of refusals.
const (
	codeOther      = -1
	codeExists     = 1
	codeEmpty      = 2
	codeUnknown    = 3
	codeNoSuchPage = 4
)

// What FastAPI says.
const (
	detailNotFound   = "Not Found"
	detailNotAllowed = "Method Not Allowed"
	detailNoLogin    = "Not authenticated"
	detailWrongLogin = "Invalid authentication credentials"
	detailUnreadable = "There was an error parsing the body"
)

// serve implements dialect. Who calls is settled before anything else, but for
// what browsers ask ahead of a call, which they do without a login.
func (d autoDialect) serve(f *facade, w http.ResponseWriter, r *http.Request, x *exchange) {
	share(w.Header(), r, x)
	path := r.URL.EscapedPath()
	verbs := autoVerbs(path)
	if len(verbs) > 0 {
		w.Header().Set("Allow", strings.Join(verbs, ", "))
		if r.Method == http.MethodOptions {
			preflight(w, verbs)
			return
		}
	}
	known, err := f.admit(r)
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	r, x.admitted = known, true
	switch {
	case len(verbs) == 0:
		err = errs.New(errs.NotFound, detailNotFound)
	case !slices.Contains(verbs, r.Method):
		err = errs.New(errs.MethodNotAllowed, detailNotAllowed)
	case arguments(r.URL.RawQuery) > maxArguments:
		err = tooManyArguments()
	default:
		query, _ := url.ParseQuery(r.URL.RawQuery) //nolint:errcheck // what can be read of it counts
		err = (&autoCall{facade: f, w: w, r: r, x: x, query: query}).make(path)
	}
	var wrong *invalid
	switch {
	case errors.As(err, &wrong):
		writeAuto(w, http.StatusUnprocessableEntity, detailed{wrong.items})
	case err != nil:
		f.writeError(w, r, err)
	}
}

// autoVerbs are the verbs of a path; none if nothing is there.
func autoVerbs(path string) []string {
	switch {
	case path == servicesPath:
		return []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost} // the gateway's too
	case path == servicePath:
		return []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost}
	}
	if id, ok := strings.CutPrefix(path, servicePath+"/"); ok && id != "" && !strings.Contains(id, "/") {
		return []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch}
	}
	return nil
}

// coded is a refusal with a number. What it is about has one of two names.
type coded struct {
	Code    int32  `json:"code"`
	Message string `json:"msg,omitempty"`
	Page    string `json:"err_msg,omitempty"`
}

// detailed is the body of a failure.
type detailed struct {
	Detail any `json:"detail"`
}

// fail implements dialect.
func (autoDialect) fail(_ *facade, w http.ResponseWriter, r *http.Request, x *exchange, e *errs.Error) {
	h := w.Header()
	share(h, r, x)
	status, detail := StatusOf(e.Reason), any(e.Message)
	if code := detailOf(e).GetCode(); code != 0 {
		writeAuto(w, statusOfCode(r.Method, code), detailed{codedOf(code, e.Message)})
		return
	}
	switch e.Reason {
	case errs.Unauthenticated:
		h.Set("WWW-Authenticate", loginChallenge)
		status, detail = http.StatusForbidden, detailWrongLogin
		if r.Header.Get("Authorization") == "" && r.Header.Get("Kong-Admin-Token") == "" {
			detail = detailNoLogin
		}
	case errs.NotFound:
		detail = detailNotFound
	case errs.MethodNotAllowed:
		detail = detailNotAllowed
	}
	writeAuto(w, status, detailed{detail})
}

// statusOfCode is that of a refusal with a number: a conflict, as documented,
// but where what is asked for alone is not there.
func statusOfCode(verb string, code int32) int {
	if code == codeUnknown && verb != http.MethodDelete {
		return http.StatusNotFound
	}
	return http.StatusConflict
}

func codedOf(code int32, message string) coded {
	if code == codeEmpty || code == codeNoSuchPage {
		return coded{Code: code, Page: message}
	}
	return coded{Code: code, Message: message}
}

// refused is the refusal with a number that an error is; 0 for any other.
func refused(err error) (code int32, message string) {
	e := errs.FromStatus(err)
	if detail := detailOf(e); detail != nil {
		return detail.GetCode(), e.Message
	}
	return 0, ""
}

// detailsWanted reports whether a request asks for the form of the answer that
// says more than true or false.
func detailsWanted(r *http.Request, query url.Values) bool {
	if all := query["form"]; len(all) > 0 {
		return all[len(all)-1] == "details"
	}
	for _, accept := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		mediaRange, parameters, _ := strings.Cut(accept, ";")
		if !strings.EqualFold(strings.TrimSpace(mediaRange), jsonType) {
			continue
		}
		for _, p := range strings.Split(parameters, ";") {
			if name, value, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(name, "form") && strings.Trim(value, `"`) == "details" {
				return true
			}
		}
	}
	return false
}

// registerOf is what a change says, of a service that is not there yet.
func registerOf(u *gatewayv1.UpdateRegistrationRequest) *gatewayv1.RegisterServiceRequest {
	return &gatewayv1.RegisterServiceRequest{
		Domain: u.GetDomain(), NameService: u.GetNameService(), Port: u.Port, DocumentPath: u.GetDocumentPath(), Auth: u.GetAuth(),
		ValidateRequests: u.GetValidateRequests(), ValidateResponses: u.GetValidateResponses(),
	}
}
