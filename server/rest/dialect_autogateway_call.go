package rest

import (
	"bytes"
	"math"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// autoCall is a request on its way to its RPC, with what is wrong with it.
type autoCall struct {
	facade *facade
	w      http.ResponseWriter
	r      *http.Request
	x      *exchange
	query  url.Values

	segment    string // of the path: a service's number, "" if it has none
	unreadable error  // why the body could not be read
	faults     []wrongField
	place      string // of what registers a service: body or query
	sent       *gatewayv1.UpdateRegistrationRequest
}

// make makes the call that a request asks for, and answers it.
func (c *autoCall) make(path string) error {
	if path == servicesPath {
		if c.r.Method == http.MethodPatch {
			return c.refresh()
		}
		return c.list()
	}
	_, c.segment, _ = strings.Cut(path[1:], "/")
	switch {
	case c.r.Method == http.MethodPost:
		return c.register()
	case c.r.Method == http.MethodDelete:
		return c.unregister()
	case c.r.Method == http.MethodPatch:
		return c.update()
	case c.segment != "", c.query.Has("id_service"):
		return c.get()
	default:
		return c.list()
	}
}

// invoke calls an RPC. Also when it is known that something is wrong with the
// request: the RPC tells what else is, and whether the caller may know.
func (c *autoCall) invoke(method string, req, answer proto.Message) error {
	ctx := c.r.Context()
	if len(c.faults) > 0 || c.unreadable != nil {
		fields := []errs.Field{{Path: wholeBody, Message: detailUnreadable}}
		if c.unreadable == nil {
			fields = fields[:0]
		}
		for _, f := range c.faults {
			fields = append(fields, errs.Field{Path: f.field, Message: f.Message})
		}
		ctx = errs.WithFaults(ctx, fields...)
	}
	err := c.facade.conn.Invoke(ctx, method, req, answer)
	if err == nil {
		return nil
	}
	e := errs.FromStatus(err)
	switch {
	case e.Reason == errs.MethodNotAllowed:
		c.w.Header().Del("Allow")
		return errs.New(errs.NotFound, detailNotFound) // services are not managed here
	case e.Reason != errs.ValidationFailed || len(e.Fields) == 0 || detailOf(e) != nil:
		return err
	case c.unreadable != nil:
		return c.unreadable
	}
	return &invalid{c.items(e.Fields)}
}

// answer writes what an RPC answered.
func (c *autoCall) answer(m proto.Message) error {
	text, err := c.facade.json.Marshal(m)
	if err != nil {
		return err
	}
	writeText(c.w, http.StatusOK, text)
	return nil
}

// done is that a change was made, with its number.
type done struct {
	Details coded `json:"details"`
}

func (c *autoCall) register() error {
	req := c.registration(true)
	err := c.invoke(gatewayv1.GatewayService_RegisterService_FullMethodName, registerOf(req), &gatewayv1.RegisterServiceResponse{})
	switch code, _ := refused(err); {
	case err == nil && detailsWanted(c.r, c.query):
		writeAuto(c.w, http.StatusOK, done{coded{Message: "The service has been added"}})
	case err == nil:
		writeAuto(c.w, http.StatusOK, true)
	case (code == codeExists || code == codeOther) && !detailsWanted(c.r, c.query):
		writeAuto(c.w, http.StatusOK, false)
	default:
		return err
	}
	return nil
}

func (c *autoCall) update() error {
	number := c.number()
	req := c.registration(false)
	req.IdService = number
	answer := &gatewayv1.RegistrationDetails{}
	if err := c.invoke(gatewayv1.GatewayService_UpdateRegistration_FullMethodName, req, answer); err != nil {
		return err
	}
	return c.answer(answer)
}

func (c *autoCall) unregister() error {
	req := &gatewayv1.UnregisterServiceRequest{IdService: c.number()}
	if err := c.invoke(gatewayv1.GatewayService_UnregisterService_FullMethodName, req, &gatewayv1.UnregisterServiceResponse{}); err != nil {
		return err
	}
	writeAuto(c.w, http.StatusOK, done{coded{Message: "The service has been successfully marked as deleted"}})
	return nil
}

func (c *autoCall) get() error {
	answer := &gatewayv1.RegistrationDetails{}
	if err := c.invoke(gatewayv1.GatewayService_GetRegistration_FullMethodName, &gatewayv1.GetRegistrationRequest{IdService: c.number()}, answer); err != nil {
		return err
	}
	return c.answer(answer)
}

// refresh asks for all documents. Whatever body the request has is overlooked.
func (c *autoCall) refresh() error {
	if err := c.invoke(gatewayv1.GatewayService_RefreshServices_FullMethodName, &gatewayv1.RefreshServicesRequest{}, &gatewayv1.RefreshServicesResponse{}); err != nil {
		return err
	}
	writeAuto(c.w, http.StatusOK, true)
	return nil
}

func (c *autoCall) list() error {
	req, answer := &gatewayv1.ListRegistrationsRequest{}, &gatewayv1.ListRegistrationsResponse{}
	if all := c.query["page"]; len(all) > 0 {
		page, ok := integerOf(all[len(all)-1])
		if !ok {
			c.fault("page", notAnInteger)
		}
		req.Page = proto.Int32(int32(min(max(page, 0), math.MaxInt32))) // 0 is refused, and there is no such last page
	}
	if err := c.invoke(gatewayv1.GatewayService_ListRegistrations_FullMethodName, req, answer); err != nil {
		return err
	}
	return c.answer(answer)
}

// number is that of the service which the request is about: of the path or, if
// that has none, of the query.
func (c *autoCall) number() int64 {
	text, err := url.PathUnescape(c.segment)
	if c.segment == "" {
		all := c.query["id_service"]
		if len(all) == 0 {
			c.fault("id_service", required)
			return 0
		}
		text = all[len(all)-1]
	}
	id, ok := integerOf(text)
	if !ok || err != nil {
		c.fault("id_service", notAnInteger)
	}
	return id
}

// writeAuto writes an answer as JSON.
func writeAuto(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	plainEncoder(&b).Encode(v) //nolint:errcheck // into memory
	writeText(w, status, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func writeText(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	w.Write(text) //nolint:errcheck // the client has gone
}
