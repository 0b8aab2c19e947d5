package mysql

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/backplane/backplane/connectors"
)

// relay lets one program of the server's own, such as mariadb-dump, in at a
// socket in a private folder and logs it in to the server.
//
// So the program is given no password and no certificates, connects where
// everything else of the installation may connect and nowhere else, and gets
// the same TLS as every connection of this package, whatever its version can.
// It is not offered to send files, nor several statements in one.
type relay struct {
	server         *server
	user, password string
	database       string
	// strip takes definers out of the statements that the program sends.
	strip bool

	dir      string
	listener net.Listener
	raw      net.Conn // the connection to the server
	up       *session // the session on it, encrypted as the mode says

	mu     sync.Mutex
	tool   net.Conn // guarded by mu
	closed bool     // guarded by mu
}

// relayCaps are the capabilities that a program may use.
const relayCaps = capLongPassword | capLongFlag | capConnectWithDB | capProtocol41 | capTransactions | capSecureConn | capPluginAuth | capMultiResults

const capMultiResults = 1 << 17

// relayLogin bounds how long the server and the program may take to get to the
// first statement.
const relayLogin = 30 * time.Second

// runTool runs a program against the database as a login.
func (s *server) runTool(ctx context.Context, r *relay, t connectors.Tool) error {
	r.server = s
	if err := r.listen(ctx); err != nil {
		return s.translated(ctx, err)
	}
	defer r.close()
	served := make(chan error, 1)
	stop := context.AfterFunc(ctx, r.close)
	defer stop()
	go func() { served <- r.serve(ctx) }()
	t.Args = append([]string{"--no-defaults", "--protocol=socket", "--socket=" + r.path(), "--user=relay"}, t.Args...)
	err := connectors.RunTool(ctx, t)
	r.close()
	if refused := <-served; refused != nil && ctx.Err() == nil {
		return s.translated(ctx, refused)
	}
	return err
}

// translated is failure for errors of the relay's own login.
func (s *server) translated(ctx context.Context, err error) error {
	return s.failure(ctx, translate(err, s.encrypted(), ""))
}

func (r *relay) path() string { return filepath.Join(r.dir, "server") }

// listen reaches the server, so that its absence is told as such, and opens the
// socket.
func (r *relay) listen(ctx context.Context) error {
	conn, err := r.server.env.Dial(ctx, "tcp", address(r.server.config))
	if err != nil {
		return err
	}
	r.raw, r.up = conn, &session{wire: newWire(conn)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(relayLogin)) //nolint:errcheck // told by what follows
	if err := r.up.greet(); err != nil {
		r.close()
		return err
	}
	if r.dir, err = os.MkdirTemp("", "backplane-"); err != nil { // for this user alone
		r.close()
		return err
	}
	if r.listener, err = net.Listen("unix", r.path()); err != nil {
		r.close()
	}
	return err
}

// close ends the relay, whatever it is doing.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.raw.Close() //nolint:errcheck
	if r.listener != nil {
		r.listener.Close() //nolint:errcheck
	}
	if r.tool != nil {
		r.tool.Close() //nolint:errcheck
	}
	if r.dir != "" {
		os.RemoveAll(r.dir) //nolint:errcheck // nothing more can be done
	}
}

// serve relays the one program. Its error says why the login failed; how the
// session went on is for the program to tell.
func (r *relay) serve(ctx context.Context) error {
	conn, err := r.listener.Accept()
	if err != nil {
		return nil // the program ended before
	}
	r.mu.Lock()
	if r.closed {
		conn.Close() //nolint:errcheck
	}
	r.tool = conn
	r.mu.Unlock()
	tool := newWire(conn)
	if err := r.login(ctx, tool); err != nil {
		r.close()
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(conn, r.up.in) //nolint:errcheck
		r.close()
	}()
	r.forward(r.up.conn, tool.in) //nolint:errcheck
	r.close()
	<-done
	return nil
}

// login greets the program, and logs in to the server with the capabilities
// that it then uses. The program has proved who it is by reaching the socket.
func (r *relay) login(ctx context.Context, tool *wire) error {
	if err := tool.write(r.greeting()); err != nil {
		return nil
	}
	answer, err := tool.read()
	if err != nil || len(answer) < 32 {
		return nil // the program tells
	}
	caps := binary.LittleEndian.Uint32(answer)&relayCaps&r.up.greeting.caps | capConnectWithDB
	hello := append(binary.LittleEndian.AppendUint32(nil, caps), answer[4:9]...)
	r.up.hello = append(hello, make([]byte, 23)...)
	shake := func(ctx context.Context, raw net.Conn, cfg *tls.Config) (*tls.Conn, error) {
		c := tls.Client(raw, cfg)
		return c, c.HandshakeContext(ctx)
	}
	if err := r.up.secure(ctx, r.server.config, shake); err != nil {
		return err
	}
	if err := r.up.login(r.user, r.password, r.database); err != nil {
		return err
	}
	r.raw.SetDeadline(time.Time{})               //nolint:errcheck // told by what follows
	tool.write([]byte{headOK, 0, 0, 2, 0, 0, 0}) //nolint:errcheck // the program has gone, and tells why
	return nil
}

// greeting is the server's, with the capabilities that the relay allows.
func (r *relay) greeting() []byte {
	g := r.up.greeting
	caps := g.caps & relayCaps
	b := append([]byte{protocolVersion}, g.version...)
	b = append(b, 0)
	b = append(b, 1, 0, 0, 0)    // thread
	b = append(b, "backplan"...) // salt: the password is not looked at
	b = append(b, 0)             // filler
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, 45, 2, 0) // utf8mb4, autocommit
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "backplane-ok"...)
	b = append(b, 0)
	return append(append(b, pluginNative...), 0)
}

// fullPacket is the size of a packet that another continues.
const fullPacket = 1<<24 - 1

// mostHead is how far into a statement its definer is looked for.
const mostHead = 2 << 10

// forward hands the program's packets on.
func (r *relay) forward(to io.Writer, from *bufio.Reader) error {
	if !r.strip {
		_, err := io.Copy(to, from)
		return err
	}
	for continued := false; ; {
		var head [4]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return err
		}
		size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
		var start []byte
		if !continued && size < fullPacket {
			text, err := from.Peek(min(size, mostHead))
			if err != nil {
				return err
			}
			start = undefined(text)
		}
		continued = size == fullPacket
		rest := size
		if start != nil {
			peeked := min(size, mostHead)
			from.Discard(peeked) //nolint:errcheck // it was there
			rest -= peeked
			size = rest + len(start)
		}
		packet := append([]byte{byte(size), byte(size >> 8), byte(size >> 16), head[3]}, start...)
		if _, err := to.Write(packet); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, int64(rest)); err != nil {
			return err
		}
	}
}

// undefined is the beginning of a command without the definer of what it makes;
// nil when it has none.
func undefined(command []byte) []byte {
	if len(command) == 0 || command[0] != comQuery {
		return nil
	}
	at := defined.FindSubmatchIndex(command[1:])
	if at == nil {
		return nil
	}
	out := append([]byte{comQuery}, command[1:1+at[6]]...)
	return append(out, command[1+at[7]:]...)
}
