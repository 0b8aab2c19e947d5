package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Bounds of what an administrator's server may answer.
const (
	maxValueLine  = 64 << 10
	maxValueBulk  = 1 << 30 // values end at proto-max-bulk-len, 512 MB where nobody changed it
	maxValueArray = 1 << 24
	maxValueDepth = 8
	// trusted is how much memory a length buys that nothing was read for yet.
	trusted = 1 << 20
)

// value is a whole RESP2 reply.
type value struct {
	kind byte // one of + - : $ *
	null bool
	text string
	list []value
}

// replyError is the server's refusal of a command.
type replyError struct{ text string }

func (e *replyError) Error() string { return e.text }

// hasCode reports whether the refusal begins with the word.
func (e *replyError) hasCode(code string) bool {
	word, _, _ := strings.Cut(e.text, " ")
	return word == code
}

func (v value) err() error {
	if v.kind != '-' {
		return nil
	}
	return &replyError{v.text}
}

func (v value) int() int64 {
	n, _ := strconv.ParseInt(v.text, 10, 64) // 0 for whatever is no number
	return n
}

// texts are the elements of an array.
func (v value) texts() []string {
	out := make([]string, len(v.list))
	for i, e := range v.list {
		out[i] = e.text
	}
	return out
}

// client is a connection that is made when it is needed, and again when it
// broke. Calls end with their context, also when it is cancelled.
type client struct {
	connect func(ctx context.Context) (net.Conn, *wire, error)
	conn    net.Conn
	wire    *wire
	used    bool // the connection answered before
}

// use runs a conversation on the connection. What goes wrong in it, other than
// a refusal, costs the connection, because nobody knows what it would say next.
func (c *client) use(ctx context.Context, talk func(w *wire) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.conn == nil {
		conn, w, err := c.connect(ctx)
		if err != nil {
			return orEnded(ctx, err)
		}
		c.conn, c.wire, c.used = conn, w, false
	}
	stop := bound(ctx, c.conn)
	err := talk(c.wire)
	if !stop() || err != nil {
		c.close()
	} else {
		c.used = true
	}
	return orEnded(ctx, err)
}

// bound makes a connection's reads and writes end with ctx.
func bound(ctx context.Context, conn net.Conn) (stop func() bool) {
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline) //nolint:errcheck // a closed connection says so when it is used
	return context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0)) //nolint:errcheck
	})
}

func orEnded(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn, c.wire = nil, nil
	}
}

// all sends commands at once and returns their answers, refusals among them. A
// connection that the server closed while it was idle is made anew: every
// command here may be sent twice.
func (c *client) all(ctx context.Context, commands ...[]string) ([]value, error) {
	out := make([]value, 0, len(commands))
	talk := func(w *wire) error {
		out = out[:0]
		for _, args := range commands {
			w.send(args...)
		}
		if err := w.w.Flush(); err != nil {
			return err
		}
		for range commands {
			v, err := w.value(0)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	}
	again := c.conn != nil && c.used
	err := c.use(ctx, talk)
	if again && isEOF(err) {
		err = c.use(ctx, talk)
	}
	return out, err
}

// do sends one command. A refusal is an error.
func (c *client) do(ctx context.Context, args ...string) (value, error) {
	out, err := c.all(ctx, args)
	if err != nil {
		return value{}, err
	}
	return out[0], out[0].err()
}

// wire is the protocol on one connection.
type wire struct {
	r *bufio.Reader
	w *bufio.Writer
}

func newWire(conn net.Conn) *wire {
	return &wire{r: bufio.NewReaderSize(conn, maxValueLine), w: bufio.NewWriterSize(conn, 32<<10)}
}

// ask sends one command and reads its answer.
func (w *wire) ask(args ...string) (value, error) {
	w.send(args...)
	if err := w.w.Flush(); err != nil {
		return value{}, err
	}
	return w.value(0)
}

// send queues a command. The writer remembers errors until it is flushed.
func (w *wire) send(args ...string) {
	w.begin(len(args))
	for _, a := range args {
		w.length('$', len(a))
		w.w.WriteString(a)      //nolint:errcheck
		w.w.WriteString("\r\n") //nolint:errcheck
	}
}

// begin announces a command of n arguments.
func (w *wire) begin(n int) { w.length('*', n) }

func (w *wire) length(kind byte, n int) {
	line := strconv.AppendInt([]byte{kind}, int64(n), 10)
	w.w.Write(append(line, '\r', '\n')) //nolint:errcheck
}

// bytes queues an argument of a command that begin announced.
func (w *wire) bytes(p []byte) {
	w.length('$', len(p))
	w.w.Write(p)            //nolint:errcheck
	w.w.WriteString("\r\n") //nolint:errcheck
}

func (w *wire) value(depth int) (value, error) {
	kind, line, err := w.head()
	if err != nil {
		return value{}, err
	}
	v := value{kind: kind, text: line}
	switch kind {
	case '$':
		var buf bytes.Buffer
		v.null, err = w.bulk(line, &buf)
		v.text = buf.String()
	case '*':
		v.text = ""
		v.null, v.list, err = w.array(line, depth)
	}
	return v, err
}

func (w *wire) head() (kind byte, line string, err error) {
	if kind, err = w.r.ReadByte(); err != nil {
		return 0, "", err
	}
	if !strings.ContainsRune("+-:$*", rune(kind)) {
		return 0, "", errProtocol
	}
	line, err = readLine(w.r)
	return kind, line, err
}

// bulk reads the rest of a bulk string into buf.
func (w *wire) bulk(length string, buf *bytes.Buffer) (null bool, err error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > maxValueBulk {
		return false, errProtocol
	}
	if n == -1 {
		return true, nil
	}
	if n <= trusted {
		buf.Grow(n + bytes.MinRead)
	}
	for left := int64(n); left > 0; left -= trusted {
		if _, err := io.CopyN(buf, w.r, min(left, trusted)); err != nil {
			return false, err
		}
	}
	end, err := readLine(w.r)
	if err == nil && end != "" {
		err = errProtocol
	}
	return false, err
}

func (w *wire) array(length string, depth int) (null bool, list []value, err error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > maxValueArray || depth >= maxValueDepth {
		return false, nil, errProtocol
	}
	for range n {
		v, err := w.value(depth + 1)
		if err != nil {
			return false, nil, err
		}
		list = append(list, v)
	}
	return n == -1, list, nil
}

// isRefusal reports whether err is the server's answer, not the connection's.
func isRefusal(err error) bool {
	var refused *replyError
	return errors.As(err, &refused)
}
