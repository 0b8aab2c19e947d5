package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func TestNewPasswordFromStdin(t *testing.T) {
	for line, tt := range map[string]struct {
		input string
		want  proto.Message
		login string
		fault string
	}{
		"user create ann --role viewer --disabled --new-password-stdin": {
			"new secret\n", &identityv1.CreateUserRequest{User: &identityv1.User{
				Username: "ann", Password: proto.String("new secret"), Enabled: proto.Bool(false), Roles: []*identityv1.RoleBinding{{Role: "viewer"}},
			}}, "Bearer bp_test", "",
		},
		"user create ann --password-stdin --new-password-stdin": {
			"old secret\nnew secret\n", &identityv1.CreateUserRequest{User: &identityv1.User{
				Username: "ann", Password: proto.String("new secret"), Enabled: proto.Bool(true),
			}}, basic("admin", "old secret"), "",
		},
		"user passwd bob --new-password-stdin":                  {"new secret", passwordUpdate("bob", "new secret"), "Bearer bp_test", ""},
		"user passwd --new-password-stdin":                      {"new secret\r\n", passwordUpdate("ann", "new secret"), "Bearer bp_test", ""},
		"user passwd ann":                                       {"new secret\n", nil, "", "use --new-password-stdin"},
		"user passwd bob --password-stdin --new-password-stdin": {"only one\n", nil, "", "no line with the new password"},
	} {
		t.Run(line, func(t *testing.T) {
			bare(t)
			t.Setenv("BACKPLANE_TOKEN", "bp_test")
			f := serve(t)
			f.answers = answers()
			r := runWith(t.Context(), strings.NewReader(tt.input), append(strings.Fields(line), "--server", f.addr)...)
			if tt.fault != "" {
				if r.err == nil || !strings.Contains(r.err.Error(), tt.fault) {
					t.Errorf("got %v, want %q", r.err, tt.fault)
				}
				return
			}
			if r.err != nil {
				t.Fatal(r.err)
			}
			got := f.last(t)
			if !proto.Equal(got.request, tt.want) || got.authorization != tt.login {
				t.Errorf("asked for %v as %q, want %v as %q", got.request, got.authorization, tt.want, tt.login)
			}
			if strings.Contains(r.out+r.notes, "secret") {
				t.Errorf("a password is shown: %q %q", r.out, r.notes)
			}
		})
	}
}

func passwordUpdate(username, password string) proto.Message {
	return &identityv1.UpdateUserRequest{
		Username: username, User: &identityv1.User{Password: &password},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"password"}},
	}
}

// terminal is a person at a pseudo terminal: what is typed, and what is seen.
type terminal struct {
	master, slave *os.File
	mu            sync.Mutex
	screen        bytes.Buffer
	done          sync.WaitGroup
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, slave: slave}
	term.done.Go(term.look)
	t.Cleanup(func() {
		slave.Close()
		term.done.Wait() // the master reads EIO once nobody has the other end
		master.Close()
	})
	return term
}

func (c *terminal) look() {
	buf := make([]byte, 256)
	for {
		n, err := c.master.Read(buf)
		if err != nil {
			return
		}
		c.mu.Lock()
		c.screen.Write(buf[:n])
		c.mu.Unlock()
	}
}

func (c *terminal) seen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.String()
}

// echoes reports whether the terminal would show what is typed.
func (c *terminal) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(c.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// answer waits for a question and for the echo to be off, then types.
func (c *terminal) answer(t *testing.T, question, text string) {
	t.Helper()
	c.await(t, question)
	if _, err := io.WriteString(c.master, text); err != nil {
		t.Error(err)
	}
}

func (c *terminal) await(t *testing.T, question string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.HasSuffix(c.seen(), question) || c.echoes(t) {
		select {
		case <-ctx.Done():
			t.Fatalf("%q was not asked: %q", question, c.seen())
		case <-tick.C:
		}
	}
}

// start runs a command at the terminal.
func (c *terminal) start(ctx context.Context, args ...string) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ended <- runTo(ctx, c.slave, io.Discard, c.slave, func() result { return result{} }, args...).err
	}()
	return ended
}

func TestPrompts(t *testing.T) {
	for name, tt := range map[string]struct {
		second string
		fault  string
	}{
		"the same twice": {"new secret\n", ""},
		"not the same":   {"other secret\n", "the two passwords differ"},
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			f, c := serve(t), newTerminal(t)
			f.answers = answers()
			ended := c.start(t.Context(), "user", "passwd", "bob", "--username", "ann", "--server", f.addr)
			c.answer(t, "Password of ann at "+f.addr+": ", "old secret\n")
			c.answer(t, "New password of bob: ", "new secret\n")
			c.answer(t, "Once more: ", tt.second)
			err := <-ended
			if tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
				t.Fatalf("got %v, want %q", err, tt.fault)
			}
			if strings.Contains(c.seen(), "secret") {
				t.Errorf("a password is shown: %q", c.seen())
			}
			if !c.echoes(t) {
				t.Error("the terminal is left without echo")
			}
			if tt.fault != "" {
				if len(f.calls) > 0 {
					t.Errorf("%s was called", f.calls[0].method)
				}
				return
			}
			if got := f.last(t); !proto.Equal(got.request, passwordUpdate("bob", "new secret")) || got.authorization != basic("ann", "old secret") {
				t.Errorf("asked for %v as %q", got.request, got.authorization)
			}
		})
	}
}

func TestInterruptedPrompt(t *testing.T) {
	bare(t)
	f, c := serve(t), newTerminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := c.start(ctx, "whoami", "--username", "ann", "--server", f.addr)
	c.await(t, "Password of ann at "+f.addr+": ")
	interrupt()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
	if !c.echoes(t) {
		t.Error("the terminal is left without echo")
	}
	// Lets the reader of the terminal go.
	if _, err := io.WriteString(c.master, "\n"); err != nil {
		t.Error(err)
	}
}
