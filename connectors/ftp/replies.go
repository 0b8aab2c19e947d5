package ftp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"syscall"

	"github.com/backplane/backplane/connectors"
)

// answered finds the reply behind an error of the library, which at times is
// nothing but the reply's text.
func answered(err error, ctl *control) (reply, bool) {
	var typed *textproto.Error
	switch {
	case errors.As(err, &typed):
		return reply{typed.Code, typed.Msg}, true
	case broken(err):
		return reply{}, false
	}
	return ctl.last, ctl.last.code >= 400
}

// broken tells errors of the connection from those in what the server said.
func broken(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// odd is the failure of a server whose answers make no sense.
func odd(err error, ctl *control) error {
	if broken(err) {
		return err
	}
	return connectors.Fail(connectors.ProtocolMismatch, err, "an answer made no sense: %s", ctl.last)
}

// loginFailure never repeats the server's text of a refusal: some servers
// tell there whether the name or the password was wrong.
func loginFailure(err error, ctl *control) error {
	r, ok := answered(err, ctl)
	switch {
	case !ok:
		return odd(err, ctl)
	case !ctl.secure && mentionsTLS(r.text):
		return tlsRequired(r)
	case ctl.loggedIn && ctl.secure && r.code/100 == 5:
		return connectors.Fail(connectors.TLSNotSupported, err, "no encrypted data connections: %s", r)
	case ctl.loggedIn:
		return odd(err, ctl)
	case crowded(r.text), r.code/100 == 4 && r.code != 430:
		return connectors.Fail(connectors.ServerBusy, err, "%s", r)
	case r.code == 500, r.code == 502: // it does not know USER
		return connectors.Mismatch("an FTP", []byte(ctl.greeting.String()))
	}
	return connectors.Fail(connectors.AuthFailed, err, "reply %d", r.code)
}

func enterFailure(err error, ctl *control, path string) error {
	r, ok := answered(err, ctl)
	text := strings.ToLower(r.text)
	switch {
	case !ok:
		return odd(err, ctl)
	case !ctl.secure && mentionsTLS(r.text):
		return tlsRequired(r)
	case r.code/100 == 4:
		return connectors.Fail(connectors.ServerBusy, err, "%s", r)
	case strings.Contains(text, "not a directory"):
		return &connectors.Failure{Code: connectors.PathMissing, Phrase: fmt.Sprintf("Path %q is not a directory", path), Err: err}
	case forbidden(text), r.code == 530:
		return connectors.Fail(connectors.PermissionDenied, err, "%s", r)
	}
	return missing(path, err)
}

// listFailure is about the directory or, more often, about the data
// connection, for which a firewall must let a range of ports through.
func listFailure(err error, ctl *control, d *dialer) error {
	if d.failed != nil {
		return dataFailure(d.failed)
	}
	if d.data != nil && d.data.err != nil {
		return dataFailure(d.data.err)
	}
	r, ok := answered(err, ctl)
	switch {
	case !ok && broken(err):
		return dataFailure(err)
	case !ok:
		return odd(err, ctl)
	case r.code == 522 && !ctl.secure, r.code == 521 && !ctl.secure:
		return tlsRequired(r)
	case r.code == 522, strings.Contains(strings.ToLower(r.text), "session reuse"):
		return connectors.Fail(connectors.TLSHandshake, err, "the data connection did not resume the TLS session: %s", r)
	case r.code == 425, r.code == 426:
		f := dataFailed(connectors.Closed, err)
		f.Detail = r.String()
		if ctl.secure {
			f.Hint += " If the server insists on resuming the TLS session, it needs TLS 1.3 or session tickets."
		}
		return f
	case r.code == 550, forbidden(strings.ToLower(r.text)):
		return connectors.Fail(connectors.PermissionDenied, err, "logged in, but the directory cannot be listed: %s", r)
	case r.code/100 == 4:
		return connectors.Fail(connectors.ServerBusy, err, "%s", r)
	}
	return odd(err, ctl)
}

// dataFailure keeps certificate faults and refused targets as they are, which
// Run recognises, and words the rest.
func dataFailure(err error) error {
	var (
		netErr net.Error
		cert   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &cert):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return dataFailed(connectors.Refused, err)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return dataFailed(connectors.Unreachable, err)
	case errors.As(err, &netErr) && netErr.Timeout():
		return dataFailed(connectors.Timeout, err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return dataFailed(connectors.Closed, err)
	}
	return err
}

func dataFailed(code connectors.Code, err error) *connectors.Failure {
	return &connectors.Failure{Code: code, Phrase: "Logged in, but the data connection failed", Detail: "passive ports blocked?", Err: err,
		Hint: "The server's range of passive ports must be reachable from this machine."}
}

func tlsRequired(r reply) error {
	return &connectors.Failure{Code: connectors.TLSRequired, Detail: r.String(), Hint: `Use protocol "ftps".`}
}

func mentionsTLS(text string) bool {
	return containsAny(text, "tls", "ssl", "encrypt", "secure connection")
}

func crowded(text string) bool {
	return containsAny(text, "maximum number", "too many", "try again later", "connection limit")
}

func forbidden(text string) bool {
	return containsAny(text, "permission denied", "access denied", "access is denied", "not allowed", "not permitted", "forbidden")
}

func containsAny(text string, words ...string) bool {
	text = strings.ToLower(text)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// withPortHint names the usual ports when a plain-text port answers a TLS
// handshake.
func withPortHint(err error) error {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) {
		return err
	}
	return &connectors.Failure{Code: connectors.TLSHandshake, Err: err,
		Hint: `The port speaks plain text. Use tls_mode "explicit" (usually port 21), or the port for implicit TLS (usually 990).`}
}

// withModeHint explains the silence of a port that waits for TLS.
func withModeHint(err error, implicit bool) error {
	var netErr net.Error
	if implicit || !errors.As(err, &netErr) || !netErr.Timeout() {
		return err
	}
	return &connectors.Failure{Code: connectors.Timeout, Err: err,
		Detail: "connected, but nothing was said: wrong port, or TLS expected?",
		Hint:   `If this is a port for implicit TLS (usually 990), use protocol "ftps" with tls_mode "implicit".`}
}
