package rest

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/dbaas"
)

const (
	// maxArguments bounds those of a query, and of a form.
	maxArguments    = 1000
	codeInvalidSize = 9
)

// call makes the call that a request asks for, and answers it.
func (d gatewayDialect) call(f *facade, w http.ResponseWriter, r *http.Request, verb, path string) error {
	route, _, err := f.routes.find(verb, path)
	if err != nil {
		return err
	}
	if arguments(r.URL.RawQuery) > maxArguments {
		return tooManyArguments()
	}
	if route.method == gatewayv1.NodeService_GetUpstreamHealth_FullMethodName && r.URL.Query().Get("balancer_health") == "1" {
		path += "/balancer"
		if route, _, err = f.routes.find(verb, path); err != nil {
			return err
		}
	}
	var document *structpb.Value
	if route.body {
		if document, err = d.document(f, w, r, route, path); err != nil {
			return err
		}
	}
	answer, err := d.invoke(f, r, route, path, document)
	if err != nil {
		return err
	}
	if route.output.Fields().Len() == 0 && route.output.ParentFile().Package() != "google.protobuf" {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	text, err := f.json.Marshal(answer)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if strings.HasPrefix(route.name(), "Create") {
		status = http.StatusCreated
	}
	w.Header().Set("Content-Type", gatewayType)
	w.WriteHeader(status)
	w.Write(text) //nolint:errcheck // the client has gone
	return nil
}

// invoke calls the RPC of a route with what the URL and the document say.
func (d gatewayDialect) invoke(f *facade, r *http.Request, route *route, path string, document *structpb.Value) (proto.Message, error) {
	req, err := fresh(route.input)
	if err != nil {
		return nil, err
	}
	answer, err := fresh(route.output)
	if err != nil {
		return nil, err
	}
	if err := route.fillPath(req, path); err != nil {
		return nil, err
	}
	if route.verb == http.MethodGet {
		if err := route.fillQuery(req, r.URL.RawQuery); err != nil {
			return nil, err
		}
	}
	if document != nil {
		req.Set(route.fields.ByName("document"), protoreflect.ValueOfMessage(document.ProtoReflect()))
	}
	ctx := metadata.AppendToOutgoingContext(r.Context(), dbaas.RequestURLKey, exchangeOf(r.Context()).url)
	return answer.Interface(), f.conn.Invoke(ctx, route.method, req.Interface(), answer.Interface())
}

// fresh makes an empty message of a type.
func fresh(d protoreflect.MessageDescriptor) (protoreflect.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, err
	}
	return t.New(), nil
}

// fillPath sets the fields that a path has values of.
func (r *route) fillPath(req protoreflect.Message, path string) error {
	for i, segment := range split(path) {
		name, ok := strings.CutPrefix(r.segments[i], "{")
		if !ok {
			continue
		}
		value, err := url.PathUnescape(segment)
		if err != nil || !utf8.ValidString(value) {
			return errs.New(errs.NotFound, "Not found")
		}
		req.Set(r.fields.ByTextName(strings.TrimSuffix(name, "}")), protoreflect.ValueOfString(value))
	}
	return nil
}

// listParameters are those that queries may have. Other fields of requests are
// for paths.
var listParameters = []string{"size", "offset", "tags", "custom_id"}

// fillQuery sets the fields that a query has values of; of several, the last
// one counts.
func (r *route) fillQuery(req protoreflect.Message, rawQuery string) error {
	values, _ := url.ParseQuery(rawQuery) //nolint:errcheck // what can be read of it counts
	for _, name := range listParameters {
		all := values[name]
		if len(all) == 0 || !r.query[name] {
			continue
		}
		value, field := strings.ToValidUTF8(all[len(all)-1], "\uFFFD"), r.fields.ByJSONName(name)
		if name != "size" {
			req.Set(field, protoreflect.ValueOfString(value))
			continue
		}
		size, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return refuse(errs.BadRequest, codeInvalidSize, "invalid size", "size must be a number", nil)
		}
		if size != math.Trunc(size) || math.Abs(size) > math.MaxInt32 {
			size = -1 // which is refused as no size at all
		}
		req.Set(field, protoreflect.ValueOfInt32(int32(size)))
	}
	return nil
}

// arguments counts those of a query or a form.
func arguments(raw string) (n int) {
	for part := range strings.SplitSeq(raw, "&") {
		if part != "" {
			n++
		}
	}
	return n
}

func tooManyArguments() error { return errs.New(errs.BadRequest, "Too many arguments") }

// refuse makes a refusal as the RPCs make theirs.
func refuse(reason errs.Reason, code int32, name, message string, fields *structpb.Struct) error {
	detail := &gatewayv1.ErrorDetail{Name: name, Code: code, Fields: fields}
	return &errs.Error{Reason: reason, Message: message, Details: detailsOf(detail)}
}

func detailsOf(m proto.Message) []protoadapt.MessageV1 {
	return []protoadapt.MessageV1{protoadapt.MessageV1Of(m)}
}

// name is that of the RPC.
func (r *route) name() string { return r.method[strings.LastIndexByte(r.method, '/')+1:] }
