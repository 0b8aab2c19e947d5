// Package inproc connects a client to RPCs of the same process. A unary call is
// a function call: it runs in the caller's goroutine and on the caller's
// context, and the messages are handed over without being copied. Neither side
// may therefore change a message once it has passed it on.
package inproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Conn is a connection to the services that are registered on it. Register all
// of them before the first call.
type Conn struct {
	unary   grpc.UnaryServerInterceptor
	methods map[string]method
	// streams carries what is not unary, with a goroutine on each side.
	streams inprocgrpc.Channel
}

type method struct {
	grpc.MethodDesc
	service any
}

// New makes a connection whose calls pass the interceptors.
func New(unary grpc.UnaryServerInterceptor, stream grpc.StreamServerInterceptor) *Conn {
	c := &Conn{unary: unary, methods: map[string]method{}}
	c.streams.WithServerStreamInterceptor(stream)
	return c
}

// RegisterService implements grpc.ServiceRegistrar.
func (c *Conn) RegisterService(desc *grpc.ServiceDesc, service any) {
	for _, m := range desc.Methods {
		c.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{m, service}
	}
	c.streams.RegisterService(desc, service)
}

// NewStream implements grpc.ClientConnInterface.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, name string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := c.streams.NewStream(ctx, desc, name, opts...)
	if err != nil || desc.ClientStreams {
		return s, err
	}
	return oneRequest{s}, nil
}

// oneRequest is a stream of responses to one request. When the call has ended
// before it took the request, RecvMsg says why, as it does over a network.
type oneRequest struct{ grpc.ClientStream }

// SendMsg implements grpc.ClientStream.
func (s oneRequest) SendMsg(m any) error {
	if err := s.ClientStream.SendMsg(m); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Invoke implements grpc.ClientConnInterface. Of the call options it knows
// grpc.Header and grpc.Trailer.
func (c *Conn) Invoke(ctx context.Context, name string, request, response any, opts ...grpc.CallOption) error {
	m, ok := c.methods[name]
	if !ok {
		return status.Errorf(codes.Unimplemented, "no method %s", name)
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	call := &call{method: name}
	ctx = metadata.NewIncomingContext(grpc.NewContextWithServerTransportStream(ctx, call), sent)
	out, err := m.Handler(m.service, ctx, func(in any) error { return assign(in, request) }, c.unary)
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = call.header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = call.trailer
		}
	}
	if err != nil {
		return err
	}
	return assign(response, out)
}

// assign makes one message equal to another by sharing its fields.
func assign(to, from any) error {
	dst, ok := to.(proto.Message)
	src, ok2 := from.(proto.Message)
	if !ok || !ok2 {
		return fmt.Errorf("cannot pass a %T as %T", from, to)
	}
	d, s := dst.ProtoReflect(), src.ProtoReflect()
	if d.Descriptor() != s.Descriptor() {
		return fmt.Errorf("cannot pass a %s as %s", s.Descriptor().FullName(), d.Descriptor().FullName())
	}
	s.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		d.Set(f, v)
		return true
	})
	d.SetUnknown(s.GetUnknown())
	shareEmpty(to, from)
	return nil
}

// shareEmpty hands over which lists and maps are there and empty. Reflection of
// messages does not tell that from those that are not there, but in one process
// there is a difference, which REST shows.
func shareEmpty(to, from any) {
	d, s := reflect.Indirect(reflect.ValueOf(to)), reflect.Indirect(reflect.ValueOf(from))
	if d.Type() != s.Type() || d.Kind() != reflect.Struct {
		return
	}
	for i := range s.NumField() {
		switch f := s.Field(i); f.Kind() {
		case reflect.Slice, reflect.Map:
			if f.Len() == 0 && !f.IsNil() && d.Field(i).CanSet() {
				d.Field(i).Set(f)
			}
		}
	}
}

// call collects what a method tells its caller beside the response.
type call struct {
	method          string
	header, trailer metadata.MD
	sent            bool
}

var _ grpc.ServerTransportStream = (*call)(nil)

// Method implements grpc.ServerTransportStream.
func (c *call) Method() string { return c.method }

// SetHeader implements grpc.ServerTransportStream.
func (c *call) SetHeader(md metadata.MD) error {
	if c.sent {
		return errors.New("the header is sent already")
	}
	c.header = join(c.header, md)
	return nil
}

// SendHeader implements grpc.ServerTransportStream.
func (c *call) SendHeader(md metadata.MD) error {
	err := c.SetHeader(md)
	c.sent = true
	return err
}

// SetTrailer implements grpc.ServerTransportStream.
func (c *call) SetTrailer(md metadata.MD) error {
	c.trailer = join(c.trailer, md)
	return nil
}

func join(have, more metadata.MD) metadata.MD {
	if have == nil {
		return more
	}
	return metadata.Join(have, more)
}
