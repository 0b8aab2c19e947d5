package h1

import (
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
)

const (
	// spliceMin is from how many bytes on it pays to move them by a pipe.
	spliceMin = 128 << 10
	pipeSize  = 256 << 10

	spliceMove     = 1    // SPLICE_F_MOVE
	spliceNonblock = 2    // SPLICE_F_NONBLOCK
	setPipeSize    = 1031 // F_SETPIPE_SZ
)

// pipe carries bytes from a connection to another one within the kernel. That
// it is not net.TCPConn's doing is for the timeouts, which are to be those of
// single reads and writes.
type pipe struct {
	ends [2]int
	held int // bytes that are in it

	most int // of a read
	n    int
	err  error

	fill, drain func(fd uintptr) bool
	forgotten   runtime.Cleanup // by the pool
}

var pipes = sync.Pool{New: func() any {
	p := &pipe{}
	if syscall.Pipe2(p.ends[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK) != nil {
		return (*pipe)(nil)
	}
	// Without it the pipe is as large as it is.
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(p.ends[0]), setPipeSize, pipeSize)
	p.fill = func(fd uintptr) bool { return p.try(int(fd), p.ends[1], p.most) }
	p.drain = func(fd uintptr) bool { return p.try(p.ends[0], int(fd), p.held) }
	p.forgotten = runtime.AddCleanup(p, closeEnds, p.ends)
	return p
}}

func closeEnds(ends [2]int) {
	_ = syscall.Close(ends[0])
	_ = syscall.Close(ends[1])
}

// giveBack puts a pipe back that holds nothing.
func (p *pipe) giveBack() {
	if p.held > 0 {
		p.forgotten.Stop()
		closeEnds(p.ends)
		return
	}
	pipes.Put(p)
}

// try moves bytes. It is false when a connection has to be waited for.
func (p *pipe) try(from, to, most int) bool {
	for {
		n, err := syscall.Splice(from, nil, to, nil, most, spliceMove|spliceNonblock)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case nil:
			p.n, p.err = int(n), nil
		default:
			p.n, p.err = 0, os.NewSyscallError("splice", err)
		}
		return true
	}
}

// splice moves what is left of a long body past this process, if both ends are
// connections without TLS. It tells whether that was done.
func (o *outbound) splice() (done bool, err error) {
	b, ok := o.src.(*body)
	if !ok || b.form != formLength || b.err != nil || b.left != o.left || b.left < spliceMin ||
		o.c.raw == nil || b.c.raw == nil || b.c.buffered() > 0 || o.c.noSplice {
		return false, nil
	}
	if err := o.flush(); err != nil {
		return false, err
	}
	if err := b.ask(); err != nil {
		return false, &SourceError{err}
	}
	p := pipes.Get().(*pipe)
	if p == nil {
		o.c.noSplice = true
		return false, nil
	}
	defer p.giveBack()
	for o.left > 0 {
		if o.stop != nil {
			if err := o.stop(b); err != nil {
				return false, err
			}
		}
		if err := o.fill(b, p); err != nil {
			if o.c.noSplice {
				return false, nil
			}
			return false, err
		}
		if err := o.drain(p); err != nil {
			return false, err
		}
	}
	return true, nil
}

// fill moves what there is of a body to a pipe, and waits if there is nothing.
func (o *outbound) fill(b *body, p *pipe) error {
	p.most = int(min(b.left, pipeSize))
	b.c.armRead(b.c.o.ReadTimeout)
	p.n, p.err = 0, nil
	err := b.c.raw.Read(p.fill)
	if err == nil {
		err = p.err
	}
	if p.n == 0 && err == nil {
		err = io.EOF
	}
	if o.c.noSplice = err != nil && isInvalid(err); o.c.noSplice {
		return err
	}
	p.held = p.n
	o.left -= int64(p.n)
	if _, err = b.took(p.n, err); err != nil && err != io.EOF {
		return &SourceError{err}
	}
	return nil
}

func isInvalid(err error) bool {
	e, ok := err.(*os.SyscallError)
	return ok && e.Err == syscall.EINVAL
}

// drain writes what a pipe holds.
func (o *outbound) drain(p *pipe) error {
	o.started = true
	for p.held > 0 {
		o.c.armWrite(o.c.o.WriteTimeout)
		p.n, p.err = 0, nil
		err := o.c.raw.Write(p.drain)
		if err == nil {
			err = p.err
		}
		if err != nil {
			o.c.failed = true
			return &ConnError{Op: "write", Err: err}
		}
		p.held -= p.n
		o.sent += int64(p.n)
	}
	return nil
}
