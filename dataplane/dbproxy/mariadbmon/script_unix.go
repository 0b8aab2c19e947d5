//go:build unix

package mariadbmon

import (
	"os/exec"
	"syscall"
)

// endGently has a program be asked to end when its time is over, with all that
// it has started.
func endGently(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}
