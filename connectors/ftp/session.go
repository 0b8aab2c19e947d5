package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"github.com/jlaffaye/ftp"

	"github.com/backplane/backplane/connectors"
)

// testFTP logs in, enters the directory and lists it.
func testFTP(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	var cfg *tls.Config
	if c.String("protocol") == protocolFTPS {
		var err error
		if cfg, err = connectors.TLSConfig(c, c.String("host")); err != nil {
			return err
		}
		// Many servers take only data connections that resume the session of
		// the control connection, as a proof that both are one client's.
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	ctl, err := dialControl(ctx, p, c, cfg)
	if err != nil {
		return err
	}
	d := &dialer{ctx: ctx, p: p, cfg: cfg, control: ctl}
	options := []ftp.DialOption{ftp.DialWithDialFunc(d.dial)}
	if cfg != nil {
		options = append(options, ftp.DialWithTLS(cfg))
	}
	conn, err := ftp.Dial(address(c), options...)
	if err != nil {
		return err
	}
	defer conn.Quit() //nolint:errcheck // the result is known by then

	p.Enter(connectors.StageAuth)
	if cfg == nil {
		p.WarnPlaintext()
	}
	if err := conn.Login(c.String("username"), c.String("password")); err != nil {
		return loginFailure(err, ctl)
	}
	p.Enter(connectors.StageSelect)
	if err := enter(conn, ctl, c.String("base_path")); err != nil {
		return err
	}
	p.Enter(connectors.StageVerify)
	if _, err := conn.List(""); err != nil && !d.enough() {
		return listFailure(err, ctl, d)
	}
	p.Verified()
	return nil
}

func enter(conn *ftp.ServerConn, ctl *control, path string) error {
	if path != "" {
		if err := conn.ChangeDir(path); err != nil {
			return enterFailure(err, ctl, path)
		}
	}
	// A server without PWD, or with an odd answer to it, still serves files.
	if _, err := conn.CurrentDir(); broken(err) {
		return err
	}
	return nil
}

// dialer hands the library its connections: the control connection, which
// exists already, and data connections afterwards.
type dialer struct {
	ctx     context.Context
	p       *connectors.Probe
	cfg     *tls.Config
	control *control
	given   bool
	data    *dataConn
	failed  error // why there is no data connection
}

func (d *dialer) dial(network, addr string) (net.Conn, error) {
	if !d.given {
		d.given = true
		return d.control, nil
	}
	raw, err := d.p.DialMore(d.ctx, network, addr)
	if err != nil {
		d.failed = err
		return nil, err
	}
	d.data = &dataConn{Conn: raw, left: maxListing}
	if d.cfg != nil {
		// Without a handshake yet: servers begin theirs only once they were
		// told what to transfer.
		d.data.Conn = tls.Client(raw, d.cfg)
	}
	return d.data, nil
}

// enough tells that the listing was cut off, which servers answer with a
// failure.
func (d *dialer) enough() bool { return d.data != nil && d.data.left <= 0 }

// dataConn is a data connection for a listing, of which a part will do.
type dataConn struct {
	net.Conn
	left int
	err  error // what ended it, unless that was its regular end
}

func (d *dataConn) Read(b []byte) (int, error) {
	if d.left <= 0 {
		return 0, io.EOF
	}
	n, err := d.Conn.Read(b[:min(len(b), d.left)])
	d.left -= n
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // servers often close without TLS's goodbye; the reply tells what it was
	}
	if err != nil && err != io.EOF {
		d.err = err
	}
	return n, err
}

// Close never fails: the server may have closed first, and its reply counts.
func (d *dataConn) Close() error {
	d.Conn.Close()
	return nil
}
