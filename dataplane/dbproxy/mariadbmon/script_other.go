//go:build !unix

package mariadbmon

import "os/exec"

// endGently is for systems that cannot ask a program to end: it is killed.
func endGently(*exec.Cmd) {}
