package dbaas_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/backplane/backplane/server/dbaas"
	"github.com/backplane/backplane/server/servertest"
)

// TestPowerLostWhileAsking: where an operation only asks before it changes
// anything, the disk may not have it yet when the machine loses power. Then
// nothing is known of it after the next start, and the engine has nothing of it.
func TestPowerLostWhileAsking(t *testing.T) {
	t.Parallel()
	asking := dbaas.Asking()
	if len(asking) == 0 {
		t.Fatal("no operation asks first")
	}
	w := newFaultyWorld(t, servertest.Build(t, "-tags", "faults"), enginesUnderTest()["postgresql"](t))
	all := scenarios()
	for _, kind := range slices.Sorted(maps.Keys(asking)) {
		s, ok := all[kind]
		if !ok {
			t.Errorf("no scenario leads to the operation %s", kind)
			continue
		}
		t.Run(kind, func(t *testing.T) { w.loseItAll(t, s, kind+"/"+asking[kind]+"/done") })
	}
}

// loseItAll kills the program at a point, and puts the store back to what it was
// before the program started.
func (w *faultyWorld) loseItAll(t *testing.T, s scenario, at string) {
	w.names++
	w.name = "lost" + string(rune('a'+w.names))
	if s.prepare != nil {
		s.prepare(t, w)
		w.settled(t)
	}
	w.stop(t)
	data, before := filepath.Join(w.dir, "data"), filepath.Join(t.TempDir(), "data")
	good(t, os.CopyFS(before, os.DirFS(data)))
	w.start(t, at)
	if err := s.act(servertest.Context(t), w); err == nil {
		t.Error("the caller is told that it is done")
	}
	if !w.p.Killed(t) {
		t.Fatalf("the program did not die at %s: %s", at, w.p.Log.String())
	}
	good(t, os.RemoveAll(data))
	good(t, os.CopyFS(data, os.DirFS(before)))
	w.start(t, "")
	w.settled(t)
	w.engineIsAsTheStoreSays(t)
	w.clear(t)
}
