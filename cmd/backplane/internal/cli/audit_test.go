package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func TestInstant(t *testing.T) {
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"":                     "",
		"30m":                  "2026-05-10T10:30:00Z",
		"12h":                  "2026-05-09T23:00:00Z",
		"7d":                   "2026-05-03T11:00:00Z",
		"2026-05-01T00:00:00Z": "2026-05-01T00:00:00Z",
	} {
		if got, err := instant("--since", text, now); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestDamagedAuditTrailFails(t *testing.T) {
	for _, output := range []string{"table", "json"} {
		f := serve(t)
		f.answers = answers()
		f.answers["VerifyAudit"] = &identityv1.VerifyAuditResponse{Data: &identityv1.AuditVerdict{Checked: 41, FirstBad: 17, Problem: "its hash is wrong"}}
		r := f.run(t, "audit", "verify", "--output", output)
		if r.err == nil || !strings.Contains(r.err.Error(), "record 17: its hash is wrong") {
			t.Errorf("%s: got %v", output, r.err)
		}
		if shown := strings.Contains(r.out, `"first_bad": 17`); shown != (output == "json") {
			t.Errorf("%s: printed %q", output, r.out)
		}
	}
}

// lines cancels once it has got so many lines.
type lines struct {
	strings.Builder
	wait int
	stop func()
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.Builder.Write(p)
	if strings.Count(l.String(), "\n") >= l.wait {
		l.stop()
	}
	return n, err
}

func TestWatchAudit(t *testing.T) {
	second := someRecord()
	second.Id, second.Actor = 2, "eve\x1b[2J\nann"
	for name, tt := range map[string]struct {
		args []string
		from *uint64
		want string
	}{
		"from now on": {nil, nil, `1152921504606846976  2026-02-03T04:05:06Z  ann  192.0.2.1  UpdateService  service Main  shop  name,config.port
2  2026-02-03T04:05:06Z  eve�[2J�ann  192.0.2.1  UpdateService  service Main  shop  name,config.port
`},
		"from the first": {[]string{"--from", "0"}, new(uint64), "2  2026-02-03T04:05:06Z  eve"},
		"as JSON":        {[]string{"--output", "json"}, nil, `{"id":2,"at":"2026-02-03T04:05:06Z","actor":"eve\u001b[2J\nann",`},
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			t.Setenv("BACKPLANE_TOKEN", "bp_test")
			f := serve(t)
			f.events = []*identityv1.WatchAuditResponse{{Index: 1, Record: someRecord()}, {Index: 2, Record: second}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			out := &lines{wait: 2, stop: stop}
			r := runTo(ctx, strings.NewReader(""), out, io.Discard, func() result { return result{out: out.String()} },
				append([]string{"audit", "watch", "--server", f.addr}, tt.args...)...)
			if r.err != nil {
				t.Errorf("ended with %v", r.err)
			}
			if !strings.Contains(r.out, tt.want) {
				t.Errorf("printed\n%s\nwant\n%s", r.out, tt.want)
			}
			req := f.last(t).request.(*identityv1.WatchAuditRequest)
			if (req.Index == nil) != (tt.from == nil) || req.GetIndex() != 0 {
				t.Errorf("asked for %v", req)
			}
		})
	}
}

func TestWatchAuditThatEnds(t *testing.T) {
	f := serve(t)
	f.err = status.Error(codes.PermissionDenied, "This needs the role admin")
	if r := f.run(t, "audit", "watch"); r.err == nil || r.err.Error() != "This needs the role admin" {
		t.Errorf("got %v", r.err)
	}
}
