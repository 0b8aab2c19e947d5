package connectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Env is what the installation allows connectors to reach on this machine and
// in its network. The zero value allows nothing on the file system and every
// address.
type Env struct {
	// FileRoots are the absolute directories under which a configuration may
	// name files. Relative paths are taken below the first.
	FileRoots []string
	// FileDeny are absolute paths (files, or directories with all below them)
	// that are refused even below a root: Backplane's own store and keys.
	FileDeny []string
	// Deny are networks that no connection test may reach. It is checked on
	// the resolved address.
	Deny []netip.Prefix
}

// DefaultDeny are the link-local networks, where clouds serve instance
// credentials, and the metadata addresses outside them.
func DefaultDeny() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("fd00:ec2::254/128"),
		netip.MustParsePrefix("100.100.100.200/32"),
	}
}

// ErrPath is why a server-side path is refused.
var ErrPath = errors.New("must be a path below the directories that --file-roots allows")

// Resolve turns a configured path into an absolute one and refuses what lies
// outside the roots, also by way of symbolic links, or in a denied place. The
// last element need not exist.
func (e Env) Resolve(path string) (string, error) {
	if len(e.FileRoots) == 0 || strings.ContainsRune(path, 0) || path == "" {
		return "", ErrPath
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.FileRoots[0], path)
	}
	real, err := realPath(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(e.FileRoots, func(root string) bool { return inside(realOrSame(root), real) }) {
		return "", ErrPath
	}
	if slices.ContainsFunc(e.FileDeny, func(deny string) bool { return inside(realOrSame(deny), real) }) {
		return "", fmt.Errorf("must not name a file of this installation")
	}
	return real, nil
}

func (e Env) denies(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(e.Deny, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Dial connects to an allowed address. Unlike a Probe's, the connection is not
// bound to ctx once it is open.
func (e Env) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return e.dialer(func() {}).DialContext(ctx, network, address)
}

// dialer refuses addresses that are denied, as they were resolved.
func (e Env) dialer(resolved func()) *net.Dialer {
	return &net.Dialer{Control: func(_, addr string, _ syscall.RawConn) error {
		resolved()
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			return fmt.Errorf("resolved address: %w", err)
		}
		if e.denies(ap.Addr()) {
			return &deniedError{ap.Addr()}
		}
		return nil
	}}
}

// realPath follows symbolic links as far as the path exists and appends the
// rest, so that a link cannot lead out of a root before its target is made.
func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", ErrPath
	}
	if _, lerr := os.Lstat(path); lerr == nil {
		return "", ErrPath // a dangling link could be pointed anywhere later
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path, nil
	}
	real, err = realPath(parent)
	if err != nil {
		return "", err
	}
	return filepath.Join(real, filepath.Base(path)), nil
}

func realOrSame(path string) string {
	if real, err := realPath(filepath.Clean(path)); err == nil {
		return real
	}
	return filepath.Clean(path)
}

func inside(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
