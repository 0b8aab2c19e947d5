package rest

import (
	"context"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// bodyTimeout is how long a client may take to send its body.
const bodyTimeout = 30 * time.Second

// exchange is the context of one request, and what the façade remembers of it
// while the generated handler runs: why the body was refused, and which keys it
// had.
type exchange struct {
	context.Context
	err       error
	keys      []string
	requestID string
	rc        *http.ResponseController
	cookie    bool // whether the login came as a cookie
	dialect   dialect
	verb      string // what is asked for, whatever the method of the request
	url       string // of the request, where its dialect has links
	settled   bool   // whether the body is as its RPC is to get it
	admitted  bool   // whether the caller has logged in, where its dialect asks
	forbids   bool   // whether a refusal is 403, where its dialect asks
	held      held   // what the request says of a connection for SQL
}

type exchangeKey struct{}

// Value implements context.Context.
func (e *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return e
	}
	return e.Context.Value(key)
}

func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// body is a request body that knows its exchange, so that the decoder can tell
// the façade what it saw.
type body struct {
	io.ReadCloser
	exchange *exchange
}

func (e *exchange) refuse(err error) error {
	e.err = err
	return err
}

// deadline bounds reading the body; the zero time lifts the bound.
func (e *exchange) deadline(t time.Time) {
	e.rc.SetReadDeadline(t) //nolint:errcheck // a transport without deadlines is a test's
}

// fillMask gives an update request the keys of the JSON body as its mask, so
// that "absent" and "empty" differ over REST too.
func fillMask(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	e := exchangeOf(ctx)
	masked, ok := req.(interface {
		proto.Message
		GetUpdateMask() *fieldmaskpb.FieldMask
	})
	if ok && e != nil && (e.settled || len(e.keys) > 0 && len(masked.GetUpdateMask().GetPaths()) == 0) {
		m, field := masked.ProtoReflect(), masked.ProtoReflect().Descriptor().Fields().ByName("update_mask")
		if mask := (&fieldmaskpb.FieldMask{Paths: e.keys}); len(e.keys) > 0 {
			m.Set(field, protoreflect.ValueOfMessage(mask.ProtoReflect()))
		} else {
			m.Clear(field) // the generated handlers of PATCH make one of an empty path
		}
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
