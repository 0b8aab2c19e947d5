//go:build unix

package filter

import "syscall"

// openFlags keep symbolic links from being followed, and the opening of a pipe
// from waiting.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
