package mysql

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/backplane/backplane/connectors"
)

const (
	// maxPacket bounds what a server may make a test hold in memory. Real
	// answers to a login and these queries are far below.
	maxPacket   = 256 << 10
	maxGreeting = 4 << 10
)

// First bytes of packets from the server.
const (
	headOK       = 0x00
	headMoreData = 0x01
	headLocal    = 0xfb // NULL in a row, LOCAL INFILE as a result
	headEOF      = 0xfe // also the switch to another login plugin
	headError    = 0xff
)

// Commands.
const (
	comQuit  = 0x01
	comQuery = 0x03
)

var errMalformed = errors.New("malformed packet")

// wire frames packets on a connection: three bytes of length, one of sequence.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	seq  byte
}

func newWire(c net.Conn) *wire { return &wire{conn: c, in: bufio.NewReaderSize(c, 4096)} }

// swap goes on with another connection, in the same sequence of packets.
func (w *wire) swap(c net.Conn) {
	w.conn = c
	w.in.Reset(c)
}

// readGreeting reads the first packet and refuses what cannot be one before
// it waits for the length that its first bytes seem to tell.
func (w *wire) readGreeting() ([]byte, error) {
	head, err := w.in.Peek(5)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			return nil, connectors.Mismatch("a MySQL", head)
		}
		return nil, err
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	kind := head[4]
	if size > maxGreeting || head[3] != 0 && kind != headError || kind != protocolVersion && kind != headError {
		said, _ := w.in.Peek(w.in.Buffered())
		return nil, connectors.Mismatch("a MySQL", said)
	}
	return w.read()
}

// read returns the next packet. An error packet is returned as *serverError.
func (w *wire) read() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return nil, err
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if size == 0 || size > maxPacket {
		return nil, errMalformed
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return nil, err
	}
	if body[0] == headError {
		return nil, parseError(body)
	}
	if head[3] != w.seq { // errors may come out of turn
		return nil, errMalformed
	}
	w.seq++
	return body, nil
}

func (w *wire) write(body []byte) error {
	packet := make([]byte, 4, 4+len(body))
	binary.LittleEndian.PutUint32(packet, uint32(len(body)))
	packet[3] = w.seq
	w.seq++
	_, err := w.conn.Write(append(packet, body...))
	return err
}

func (w *wire) command(code byte, arg string) error {
	w.seq = 0
	return w.write(append([]byte{code}, arg...))
}

// quit says goodbye. What matters has been verified; that the server may hang
// up first does not.
func (w *wire) quit() { w.command(comQuit, "") } //nolint:errcheck
