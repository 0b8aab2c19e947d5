package postgres

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/backplane/backplane/connectors"
)

const (
	protocolVersion = 3 << 16
	sslRequestCode  = 80877103
	// maxMessage bounds what a server may make a test hold in memory. Real
	// answers to a login and one query are far below.
	maxMessage = 256 << 10
	maxRows    = 16
)

// Types of messages from the server.
const (
	msgAuth    = 'R'
	msgError   = 'E'
	msgNotice  = 'N'
	msgReady   = 'Z'
	msgDataRow = 'D'
)

// known are the message types a server may send during a login or a query.
const known = "RENKSZTDCIAv"

var errMalformed = errors.New("malformed message")

// wire frames messages on a connection.
type wire struct {
	conn  net.Conn
	in    *bufio.Reader
	heard bool // a well-formed message was received
}

func newWire(c net.Conn) *wire { return &wire{conn: c, in: bufio.NewReaderSize(c, 4096)} }

func sslRequest() []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequestCode)
}

// startFailure returns the plain text that the server's parent process sends,
// outside the protocol's framing, when it cannot even start a worker.
func startFailure(b []byte) string {
	if len(b) < 5 || b[0] != msgError || !bytes.ContainsRune(b, ' ') {
		return ""
	}
	text := strings.TrimRight(string(b[1:]), "\x00\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		return ""
	}
	return text
}

func (w *wire) startup(user, database string) error {
	body := binary.BigEndian.AppendUint32(nil, protocolVersion)
	for _, s := range []string{"user", user, "database", database, "application_name", "backplane", "client_encoding", "UTF8"} {
		body = append(append(body, s...), 0)
	}
	body = append(body, 0)
	packet := binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))
	_, err := w.conn.Write(append(packet, body...))
	return err
}

func (w *wire) send(typ byte, body []byte) error {
	packet := binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))
	_, err := w.conn.Write(append(packet, body...))
	return err
}

func (w *wire) terminate() error {
	// What matters has been verified; that the server may hang up first does not.
	w.send('X', nil) //nolint:errcheck
	return w.conn.Close()
}

// receive returns the next message that is not a notice. An error message is
// returned as *serverError.
func (w *wire) receive() (byte, []byte, error) {
	for {
		typ, body, err := w.next()
		if err != nil {
			return 0, nil, err
		}
		switch typ {
		case msgNotice:
			continue
		case msgError:
			return 0, nil, parseError(body)
		}
		return typ, body, nil
	}
}

func (w *wire) next() (byte, []byte, error) {
	head, err := w.in.Peek(5)
	if err != nil {
		if len(head) > 0 && !w.heard && errors.Is(err, io.EOF) {
			return 0, nil, connectors.Mismatch("a PostgreSQL", head)
		}
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if !strings.ContainsRune(known, rune(head[0])) || size < 4 || size > maxMessage {
		said, _ := w.in.Peek(w.in.Buffered())
		if text := startFailure(said); text != "" {
			return 0, nil, connectors.Fail(connectors.ServerBusy, nil, "%s", text)
		}
		return 0, nil, connectors.Mismatch("a PostgreSQL", said)
	}
	typ := head[0]
	if _, err := w.in.Discard(5); err != nil {
		return 0, nil, err
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return 0, nil, err
	}
	w.heard = true
	return typ, body, nil
}

// query runs one simple query and returns the first row as text, NULL as "".
func (w *wire) query(sql string) ([]string, error) {
	if err := w.send('Q', append([]byte(sql), 0)); err != nil {
		return nil, err
	}
	var (
		row     []string
		refusal error
	)
	for rows := 0; ; {
		typ, body, err := w.receive()
		var answer *serverError
		switch {
		case errors.As(err, &answer) && !answer.fatal():
			refusal = answer // the session goes on with ReadyForQuery
		case err != nil:
			return nil, err
		case typ == msgReady:
			return row, refusal
		case typ == msgDataRow:
			if rows++; rows > maxRows {
				return nil, errMalformed
			}
			if rows == 1 {
				if row, err = parseRow(body); err != nil {
					return nil, err
				}
			}
		}
	}
}

func parseRow(b []byte) ([]string, error) {
	if len(b) < 2 {
		return nil, errMalformed
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	row := make([]string, 0, min(n, 16))
	for range n {
		if len(b) < 4 {
			return nil, errMalformed
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size == -1 {
			row = append(row, "")
			continue
		}
		if size < 0 || int(size) > len(b) {
			return nil, errMalformed
		}
		row = append(row, string(b[:size]))
		b = b[size:]
	}
	return row, nil
}
