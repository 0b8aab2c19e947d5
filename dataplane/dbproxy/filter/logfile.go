package filter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// logBuffer is how much is held back before it is written, unless each
	// line is.
	logBuffer = 32 << 10
	// logDelay is how long a line is held back at most.
	logDelay = time.Second
	logMode  = 0o640
)

// logFile is a file that lines are added to, from several sessions at once.
// It is opened anew when the generation has changed since, so that it can be
// moved away.
type logFile struct {
	path       string
	header     string // the first line of a new file, "" for none
	each       bool   // write each line at once
	generation *atomic.Int64
	failed     func(error) // told when lines are lost that were held back

	mu     sync.Mutex
	file   *os.File
	opened int64 // the generation
	buffer []byte
	timer  *time.Timer
	closed bool
}

// openLog opens the file, emptying it if truncate is set.
func openLog(l *logFile, truncate bool) (*logFile, error) {
	flags := 0
	if truncate {
		flags = os.O_TRUNC
	}
	return l, l.open(flags)
}

// openRegular opens a file for writing, and makes it if it is not there. Only a
// regular file is written, and not through a symbolic link in its place.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|openFlags|flags, logMode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *logFile) open(flags int) error {
	generation := l.generation.Load()
	f, err := openRegular(l.path, flags)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 && l.header != "" {
		_, err = io.WriteString(f, l.header)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.opened = f, generation
	return nil
}

// write adds a line, with the newline at its end.
func (l *logFile) write(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	l.buffer = append(l.buffer, line...)
	if l.each || len(l.buffer) >= logBuffer {
		return l.flush()
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(logDelay, l.late)
	}
	return nil
}

// late writes what was held back.
func (l *logFile) late() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	if err := l.flush(); err != nil {
		l.failed(err)
	}
}

// sync writes what was held back.
func (l *logFile) sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush()
}

// flush writes what is in the buffer. What cannot be written is lost, as a full
// disk must not fill the memory.
func (l *logFile) flush() error {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.buffer) == 0 {
		return nil
	}
	defer func() {
		if l.buffer = l.buffer[:0]; cap(l.buffer) > 4*logBuffer {
			l.buffer = nil
		}
	}()
	if l.file != nil && l.opened != l.generation.Load() {
		old := l.file
		l.file = nil
		if err := old.Close(); err != nil {
			return err
		}
	}
	if l.file == nil {
		if err := l.open(0); err != nil {
			return err
		}
	}
	_, err := l.file.Write(l.buffer)
	return err
}

// close writes what was held back and closes the file.
func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.flush()
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	return err
}
