//go:build race

package evloop

import (
	"errors"
	"syscall"
)

// Package syscall tells the race detector that what is read was written before.

func read(fd int, b []byte) (int, syscall.Errno) {
	return again(func() (int, error) { return syscall.Read(fd, b) })
}

func write(fd int, b []byte) (int, syscall.Errno) {
	return again(func() (int, error) { return syscall.Write(fd, b) })
}

func again(f func() (int, error)) (int, syscall.Errno) {
	for {
		n, err := f()
		var errno syscall.Errno
		if errors.As(err, &errno) && errno == syscall.EINTR {
			continue
		}
		return max(n, 0), errno
	}
}
