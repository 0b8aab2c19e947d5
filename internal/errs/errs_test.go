package errs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/backplane/backplane/internal/errs"
)

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, reason := range errs.Reasons() {
		in := &errs.Error{
			Reason: reason, Message: "what to change", Fields: []errs.Field{{"a.b", "must be c"}, {"d", "is required"}},
			Details: []protoadapt.MessageV1{protoadapt.MessageV1Of(&durationpb.Duration{Seconds: 5})}, Err: errors.New("the cause"),
		}
		st := errs.ToStatus(fmt.Errorf("wrapped: %w", in))
		if strings.Contains(st.String(), "cause") {
			t.Errorf("%s: the cause is told: %v", reason, st)
		}
		if st.Code() == codes.OK || st.Code() == codes.Unknown {
			t.Errorf("%s has the code %s", reason, st.Code())
		}
		out := errs.FromStatus(st.Err())
		want := in.Message
		if reason == errs.Internal {
			want = "Internal error"
		}
		if out.Reason != reason || out.Message != want || !reflect.DeepEqual(out.Fields, in.Fields) || len(out.Details) != 1 {
			t.Errorf("%s comes back as %+v", reason, out)
		}
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	own := errs.New(errs.NotFound, "nothing %s", "here")
	for _, c := range []struct {
		err    error
		reason errs.Reason
	}{
		{own, errs.NotFound},
		{fmt.Errorf("read: %w", own), errs.NotFound},
		{context.Canceled, errs.Canceled},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), errs.Timeout},
		{errors.New("disk on fire"), errs.Internal},
		{status.Error(codes.NotFound, "x"), errs.NotFound},
		{status.Error(codes.Unimplemented, "x"), errs.MethodNotAllowed},
		{status.Error(codes.ResourceExhausted, "x"), errs.TooLarge},
		{status.Error(codes.DataLoss, "x"), errs.Internal},
		{status.Error(codes.OutOfRange, "x"), errs.BadRequest},
		{status.Error(codes.Unavailable, "x"), errs.Unavailable},
		{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}, errs.Unavailable},
	} {
		e := errs.Convert(c.err)
		if e.Reason != c.reason {
			t.Errorf("%v is %s, want %s", c.err, e.Reason, c.reason)
		}
		if e.Reason == errs.Internal && e.Message != "Internal error" {
			t.Errorf("%v is told as %q", c.err, e.Message)
		}
		if !errors.Is(errs.Convert(c.err), c.err) && !errors.Is(c.err, e) {
			t.Errorf("%v is lost", c.err)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	if e := errs.Invalid(errs.Field{Path: "name", Message: "is required"}); e.Message != "name is required" || e.Reason != errs.ValidationFailed {
		t.Errorf("one fault: %+v", e)
	}
	if e := errs.Invalid(errs.Field{Path: "a"}, errs.Field{Path: "b"}); len(e.Fields) != 2 || e.Message == "" {
		t.Errorf("two faults: %+v", e)
	}
}
