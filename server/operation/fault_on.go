//go:build faults

package operation

import (
	"os"
	"syscall"
)

// faultPoint kills the process, as a power cut would, at the point that
// BACKPLANE_DIE_AT names: kind/step/point, where point is done (the step had
// its effect), recorded (the store knows) or undone. Only builds with the tag
// faults have it.
func faultPoint(kind, step, point string) {
	if os.Getenv("BACKPLANE_DIE_AT") == kind+"/"+step+"/"+point {
		syscall.Kill(os.Getpid(), syscall.SIGKILL) //nolint:errcheck // it does not return
		select {}
	}
}
