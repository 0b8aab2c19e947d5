// Package ftp tests servers for file transfer: FTP, FTP over TLS and SFTP. It
// logs in, enters the configured directory and lists it, which for FTP proves
// the data connection too, and changes nothing.
//
// Start at Connector. The test of FTP is in session.go, over the control
// connection of control.go; that of SFTP is in sftp.go, with the host keys of
// hostkey.go.
package ftp

import (
	"context"
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/backplane/backplane/connectors"
)

// Connector reaches a server for file transfer.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector for the type ftp.
func New() *Connector { return &Connector{} }

// Test logs in and lists the configured directory.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	if c.String("protocol") == protocolSFTP {
		return testSFTP(ctx, p, c)
	}
	return testFTP(ctx, p, c)
}

func address(c connectors.Config) string {
	return net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
}

// clip makes a server's text safe to show: one printable line of at most n
// characters.
func clip(s string, n int) string {
	var sb strings.Builder
	count := 0
	for _, r := range strings.ToValidUTF8(s, ".") {
		if r == '\n' {
			r = ' '
		} else if !unicode.IsPrint(r) {
			r = '.'
		}
		if count == n {
			return sb.String() + "…"
		}
		sb.WriteRune(r)
		count++
	}
	return sb.String()
}

func missing(path string, cause error) error {
	return connectors.Missing(connectors.PathMissing, "Path", path, cause)
}
