package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// Bounds of what a reply may hold. INFO answers with a few kilobytes.
const (
	maxLine  = 4 << 10
	maxBulk  = 256 << 10
	maxArray = 256
	maxDepth = 4
)

// errProtocol says that the peer does not speak RESP.
var errProtocol = errors.New("not a RESP reply")

// reply is one RESP2 reply. Elements of arrays are read and dropped: only
// HELLO answers with one, and only whether it does matters.
type reply struct {
	kind byte   // one of + - : $ *
	text string // of a simple string, an error, a number or a bulk string
}

func (r reply) isError() bool { return r.kind == '-' }

// hasCode reports whether the reply is an error with the given first word.
func (r reply) hasCode(code string) bool {
	word, _, _ := strings.Cut(r.text, " ")
	return r.isError() && word == code
}

// conn speaks the Redis serialization protocol, version 2
// (https://redis.io/docs/latest/develop/reference/protocol-spec/).
type conn struct {
	w io.Writer
	r *bufio.Reader
}

func newConn(c net.Conn) *conn { return &conn{w: c, r: bufio.NewReaderSize(c, maxLine)} }

// do sends a command and reads its reply.
func (c *conn) do(args ...string) (reply, error) {
	_, werr := io.WriteString(c.w, encode(args))
	// A server that refuses the connection says why and closes: what it said
	// is worth more than the failed write.
	r, err := readReply(c.r, 0)
	if err != nil && werr != nil && !errors.Is(err, errProtocol) {
		return r, werr
	}
	return r, err
}

func encode(args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func readReply(r *bufio.Reader, depth int) (reply, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return reply{}, err
	}
	if !strings.ContainsRune("+-:$*", rune(kind)) {
		return reply{}, errProtocol
	}
	line, err := readLine(r)
	if err != nil {
		return reply{}, err
	}
	out := reply{kind: kind, text: line}
	switch kind {
	case '$':
		out.text, err = readBulk(r, line)
	case '*':
		out.text = ""
		err = skipArray(r, line, depth)
	}
	return out, err
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errProtocol
	}
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", errProtocol
	}
	return text, nil
}

func readBulk(r *bufio.Reader, length string) (string, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > maxBulk {
		return "", errProtocol
	}
	if n == -1 {
		return "", nil
	}
	buf := make([]byte, n+2)
	if _, err := io.ReadFull(r, buf); err != nil {
		return "", err
	}
	if buf[n] != '\r' || buf[n+1] != '\n' {
		return "", errProtocol
	}
	return string(buf[:n]), nil
}

func skipArray(r *bufio.Reader, length string, depth int) error {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > maxArray || depth >= maxDepth {
		return errProtocol
	}
	for range n {
		if _, err := readReply(r, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
