package catalog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCallersShareATest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tests := newTester()
		var runs atomic.Int32
		release := make(chan struct{})
		want := &catalogv1.TestResult{Connected: true}
		got := make(chan *catalogv1.TestResult, 5)
		id := uuid.New()
		for range cap(got) {
			go func() {
				r, err := tests.share(t.Context(), id, func(context.Context) (*catalogv1.TestResult, error) {
					runs.Add(1)
					<-release
					return want, nil
				})
				if err != nil {
					t.Error(err)
				}
				got <- r
			}()
		}
		synctest.Wait()
		close(release)
		for range cap(got) {
			if r := <-got; r != want {
				t.Errorf("a caller got %v", r)
			}
		}
		if runs.Load() != 1 {
			t.Errorf("%d tests were run", runs.Load())
		}
		if len(tests.running) != 0 {
			t.Error("a finished test is kept")
		}
	})
}

func TestATestEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tests := newTester()
		var cancelled atomic.Int32
		run := func(ctx context.Context) (*catalogv1.TestResult, error) {
			<-ctx.Done()
			cancelled.Add(1)
			return nil, ctx.Err()
		}
		id := uuid.New()
		var leave [2]context.CancelFunc
		ended := make(chan error, 2)
		for i := range leave {
			var ctx context.Context
			ctx, leave[i] = context.WithCancel(t.Context())
			go func() {
				_, err := tests.share(ctx, id, run)
				ended <- err
			}()
		}
		synctest.Wait()
		leave[0]()
		synctest.Wait()
		if cancelled.Load() != 0 {
			t.Error("the test ended while someone waits for it")
		}
		leave[1]()
		synctest.Wait()
		if cancelled.Load() != 1 || len(tests.running) != 0 {
			t.Errorf("cancelled %d times, %d are running", cancelled.Load(), len(tests.running))
		}
		for range leave {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that leaves gets %v", err)
			}
		}
	})
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tests := newTester()
		var entered atomic.Int32
		all := make(chan struct{})
		for range 20 {
			go func() {
				leave, err := tests.enterBackground(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				entered.Add(1)
				<-all
				leave()
			}()
		}
		synctest.Wait()
		if entered.Load() != maxBackground {
			t.Errorf("%d tests behind the scenes, want %d", entered.Load(), maxBackground)
		}
		// The rest are for tests on request; one more is refused.
		for range maxTests - maxBackground {
			leave, err := tests.enter()
			if err != nil {
				t.Fatal(err)
			}
			defer leave()
		}
		_, err := tests.enter()
		if errs.Convert(err).Reason != errs.TooManyTests {
			t.Errorf("one too many gets %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := tests.enterBackground(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled wait gets %v", err)
		}
		close(all)
		synctest.Wait()
	})
}
