// Package intercept holds what every call passes through, whether it came over
// gRPC or REST: one ordered list, declared once, for unary calls and streams.
package intercept

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
)

// Handler goes on with a call.
type Handler func(ctx context.Context) error

// Interceptor stands around a call; method is its full name. It calls next once
// at most.
type Interceptor func(ctx context.Context, method string, next Handler) error

// Chain is an ordered list of interceptors, outermost first.
type Chain []Interceptor

func (c Chain) run(ctx context.Context, method string, last Handler) error {
	p := &passage{rest: c, method: method, last: last}
	p.next = p.step
	return p.step(ctx)
}

// passage is a call on its way through a chain. There is one of each call, and
// not a function for each interceptor that it passes.
type passage struct {
	rest   Chain
	method string
	last   Handler
	next   Handler // step
}

func (p *passage) step(ctx context.Context) error {
	if len(p.rest) == 0 {
		return p.last(ctx)
	}
	first := p.rest[0]
	p.rest = p.rest[1:]
	return first(ctx, p.method, p.next)
}

// Unary is the chain for unary calls.
func (c Chain) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	err = c.run(ctx, info.FullMethod, func(ctx context.Context) error {
		resp, err = handler(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Stream is the chain for streams.
func (c Chain) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return c.run(ss.Context(), info.FullMethod, func(ctx context.Context) error {
		return handler(srv, &stream{ss, ctx})
	})
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stream) Context() context.Context { return s.ctx }

// Standard is the list that every call passes, outermost first. What follows
// (authentication, authorization) is passed in.
func Standard(log *slog.Logger, m *telemetry.Metrics, inner ...Interceptor) Chain {
	chain := append(Chain{requestID, measure(m), logCalls(log), mapErrors, recovery}, inner...)
	return append(chain, joinFaults)
}

// joinFaults refuses a call whose body could not be decoded as a whole.
func joinFaults(ctx context.Context, _ string, next Handler) error {
	return errs.JoinFaults(ctx, next(ctx))
}

type requestIDKey struct{}

// RequestIDHeader carries the request's id, in both directions.
const RequestIDHeader = "x-request-id"

// RequestID is the id of the request under way, "" outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID begins a request: the caller's id is kept when it is short and
// plain, and one is made otherwise.
func WithRequestID(ctx context.Context, proposed string) (context.Context, string) {
	if !plainID(proposed) {
		var b [12]byte
		rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
		proposed = hex.EncodeToString(b[:])
	}
	return context.WithValue(ctx, requestIDKey{}, proposed), proposed
}

func plainID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func requestID(ctx context.Context, _ string, next Handler) error {
	if RequestID(ctx) == "" {
		var proposed, id string
		if v := metadata.ValueFromIncomingContext(ctx, RequestIDHeader); len(v) > 0 {
			proposed = v[0]
		}
		ctx, id = WithRequestID(ctx, proposed)
		if err := grpc.SetHeader(ctx, metadata.Pairs(RequestIDHeader, id)); err != nil {
			return err
		}
	}
	return next(ctx)
}

// measure keeps one set of counters per method, found without a lock.
func measure(m *telemetry.Metrics) Interceptor {
	return func(ctx context.Context, method string, next Handler) error {
		start := time.Now()
		err := next(ctx)
		m.Calls.WithLabelValues(method, status.Code(err).String()).Inc()
		m.Latency.WithLabelValues(method).(prometheus.Histogram).Observe(time.Since(start).Seconds())
		return err
	}
}

// logCalls logs faults of the program as errors and everything else for
// debugging.
func logCalls(log *slog.Logger) Interceptor {
	return func(ctx context.Context, method string, next Handler) error {
		start := time.Now()
		err := next(ctx)
		level := slog.LevelDebug
		if c := status.Code(err); c == codes.Internal || c == codes.Unknown || c == codes.DataLoss {
			level = slog.LevelError
		}
		if !log.Enabled(ctx, level) {
			return err
		}
		attrs := []slog.Attr{
			slog.String("method", method), slog.String("code", status.Code(err).String()),
			slog.String("request_id", RequestID(ctx)), slog.Duration("took", time.Since(start)),
		}
		var mapped *mappedError
		if errors.As(err, &mapped) {
			attrs = append(attrs, slog.String("error", mapped.cause.Error()))
		}
		log.LogAttrs(ctx, level, "call", attrs...)
		return err
	}
}

// mappedError is a status for the caller that remembers its cause for the log.
type mappedError struct {
	st    *status.Status
	cause error
}

func (e *mappedError) Error() string              { return e.st.Err().Error() }
func (e *mappedError) GRPCStatus() *status.Status { return e.st }

func mapErrors(ctx context.Context, _ string, next Handler) error {
	err := next(ctx)
	if err == nil {
		return nil
	}
	return &mappedError{errs.ToStatus(err), err}
}

func recovery(ctx context.Context, _ string, next Handler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &errs.Error{Reason: errs.Internal, Message: "Internal error", Err: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	return next(ctx)
}
