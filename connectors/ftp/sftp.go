package ftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/backplane/backplane/connectors"
)

// testSFTP logs in over SSH and lists the directory.
func testSFTP(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	login := &sshLogin{user: c.String("username")}
	if err := login.configure(c, p.Env); err != nil {
		return err
	}
	keys := &hostKeys{policy: c.String("host_key_policy")}
	if text := c.String("host_key"); text != "" {
		var err error
		if keys.pins, err = parsePins(text); err != nil {
			return &connectors.Failure{Code: connectors.InvalidConfig, Detail: "host_key " + err.Error(), Err: err}
		}
	}
	raw, err := p.Dial(ctx, "tcp", address(c))
	if err != nil {
		return err
	}
	conn, err := expect(raw, "an SSH", sshBanner)
	if err != nil {
		return err
	}
	client, err := handshake(p, conn, address(c), login, keys)
	if err != nil {
		return err
	}
	defer client.Close()
	p.Note(func(r *connectors.Report) { r.ServerVersion = clip(string(client.ServerVersion()), 120) })
	if err := browse(ctx, p, client, c.String("base_path")); err != nil {
		return err
	}
	p.Verified()
	keys.report(p, address(c))
	return nil
}

// handshake exchanges versions and keys and logs in. The library has no
// context for it; the connection's deadline is what bounds it.
func handshake(p *connectors.Probe, conn net.Conn, addr string, login *sshLogin, keys *hostKeys) (*ssh.Client, error) {
	cfg := &ssh.ClientConfig{
		User: login.user, Auth: login.methods, AuthCallback: login.watch,
		HostKeyAlgorithms: keys.algorithms(),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			if err := keys.check(host, remote, key); err != nil {
				return err
			}
			p.Enter(connectors.StageAuth)
			return nil
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, addr, cfg)
	if err != nil {
		conn.Close()
		return nil, sshFailure(p, err, login, keys)
	}
	return ssh.NewClient(c, channels, requests), nil
}

func sshFailure(p *connectors.Probe, err error, login *sshLogin, keys *hostKeys) error {
	var (
		algorithms *ssh.AlgorithmNegotiationError
		netErr     net.Error
		text       = err.Error()
	)
	switch {
	case errors.As(err, &algorithms) && algorithms.What == "host key" && len(keys.pins) > 0:
		return &connectors.Failure{Code: connectors.HostKeyMismatch, Detail: "the server has no key of the pinned kind", Err: err}
	case errors.As(err, &algorithms):
		return &connectors.Failure{Code: connectors.ProtocolMismatch, Phrase: "No method in common with the SSH server",
			Detail: clip(algorithms.What, 60), Err: err}
	case p.Stage() == connectors.StageGreeting && !bytes.Contains(p.First(), []byte("SSH-")) && len(p.First()) > 0:
		return connectors.Mismatch("an SSH", p.First())
	case errors.As(err, &netErr) && netErr.Timeout():
		return err
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"):
		return login.failure(err)
	}
	return err
}

// browse opens the subsystem, and the directory in it.
func browse(ctx context.Context, p *connectors.Probe, client *ssh.Client, path string) error {
	p.Enter(connectors.StageSelect)
	listing, enough := context.WithCancel(ctx)
	defer enough()
	files, err := openSFTP(ctx, client, enough)
	if err != nil {
		return err
	}
	defer func() {
		// In this order: the library waits for the server otherwise.
		client.Close()
		files.Close()
	}()
	if path == "" {
		path = "."
	}
	info, err := files.Stat(path)
	switch {
	case err != nil:
		return pathFailure(path, err)
	case !info.IsDir():
		return &connectors.Failure{Code: connectors.PathMissing, Phrase: fmt.Sprintf("Path %q is not a directory", path)}
	}
	p.Enter(connectors.StageVerify)
	if _, err := files.ReadDirContext(listing, path); err != nil && (listing.Err() == nil || ctx.Err() != nil) {
		return pathFailure(path, err)
	}
	return nil
}

func openSFTP(ctx context.Context, client *ssh.Client, enough func()) (*sftp.Client, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	in, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	without := &connectors.Failure{Code: connectors.ProtocolMismatch, Phrase: "SSH server without SFTP",
		Hint: "The server must have the subsystem sftp, and the account must be allowed to use it."}
	if err := session.RequestSubsystem("sftp"); err != nil {
		if err.Error() == "ssh: subsystem request failed" {
			return nil, without
		}
		return nil, err
	}
	files, err := sftp.NewClientPipe(&limited{Reader: out, left: maxListing, enough: enough}, in)
	if err != nil {
		if expired(ctx) {
			return nil, err
		}
		without.Err = err
		return nil, without
	}
	return files, nil
}

func pathFailure(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing(path, err)
	case errors.Is(err, fs.ErrPermission):
		return connectors.Fail(connectors.PermissionDenied, err, "path %q", path)
	case errors.Is(err, sftp.ErrSSHFxConnectionLost):
		return connectors.Fail(connectors.Closed, err, "")
	}
	return err
}

// maxListing bounds how much of a directory is read: a little of it proves as
// much as a million entries.
const maxListing = 256 << 10

// limited calls enough once that much was read, and reads on, because answers
// to other requests come the same way.
type limited struct {
	io.Reader
	left   int
	enough func()
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.left -= n; l.left <= 0 {
		l.enough()
	}
	return n, err
}

// expired tells whether the test's time is over, which a socket may notice a
// moment before the context does.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
