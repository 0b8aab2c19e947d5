package connectors

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Code names why a connection test failed: a closed set, used in answers and
// as a metric label.
type Code string

// The vocabulary of failures.
const (
	DNSFailure       Code = "dns_failure"
	Refused          Code = "refused"
	Unreachable      Code = "unreachable"
	TLSUntrusted     Code = "tls_untrusted"
	TLSHostname      Code = "tls_hostname"
	TLSExpired       Code = "tls_expired"
	TLSNotSupported  Code = "tls_not_supported"
	TLSRequired      Code = "tls_required"
	TLSHandshake     Code = "tls_handshake"
	ProtocolMismatch Code = "protocol_mismatch"
	AuthFailed       Code = "auth_failed"
	AuthRequired     Code = "auth_required"
	AuthUnsupported  Code = "auth_unsupported"
	PermissionDenied Code = "permission_denied"
	DatabaseMissing  Code = "database_missing"
	BucketMissing    Code = "bucket_missing"
	PathMissing      Code = "path_missing"
	HostKeyUnknown   Code = "hostkey_unknown"
	HostKeyMismatch  Code = "hostkey_mismatch"
	ServerBusy       Code = "server_busy"
	Closed           Code = "closed"
	Timeout          Code = "timeout"
	InvalidConfig    Code = "invalid_config"
	TargetDenied     Code = "target_denied"
	Internal         Code = "internal"
)

var phrases = map[Code]string{
	DNSFailure:       "Host not found",
	Refused:          "Connection refused",
	Unreachable:      "Network unreachable",
	TLSUntrusted:     "Certificate not trusted",
	TLSHostname:      "Certificate is for another host",
	TLSExpired:       "Certificate expired or not yet valid",
	TLSNotSupported:  "Server does not offer TLS",
	TLSRequired:      "Server requires TLS",
	TLSHandshake:     "TLS handshake failed",
	ProtocolMismatch: "Not the expected kind of server",
	AuthFailed:       "Login failed",
	AuthRequired:     "Server requires a login",
	AuthUnsupported:  "Login method not supported",
	PermissionDenied: "Not allowed",
	DatabaseMissing:  "Database does not exist",
	BucketMissing:    "Bucket does not exist",
	PathMissing:      "Path does not exist",
	HostKeyUnknown:   "Host key not known",
	HostKeyMismatch:  "Host key has changed",
	ServerBusy:       "Server not ready",
	Closed:           "Server closed the connection",
	Timeout:          "Timed out",
	InvalidConfig:    "Invalid configuration",
	TargetDenied:     "Target address not allowed",
	Internal:         "Internal error",
}

// Codes lists the whole vocabulary.
func Codes() []Code {
	out := make([]Code, 0, len(phrases))
	for c := range phrases {
		out = append(out, c)
	}
	return out
}

// Failure is a failed connection test. Everything but Err may be shown to the
// caller once Run has scrubbed it.
type Failure struct {
	Code   Code
	Stage  Stage  // filled by Run when empty
	Phrase string // replaces the code's standard phrase, e.g. `Database "x" does not exist`
	Detail string // follows the phrase after ": "
	Hint   string // what to do about it
	Err    error  // the cause, for logs only
}

// Error is the sentence shown to the caller: the phrase, then the detail.
func (f *Failure) Error() string {
	s := f.Phrase
	if s == "" {
		s = phrases[f.Code]
	}
	if f.Code == Timeout && f.Stage != "" {
		s += " (" + string(f.Stage) + ")"
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Fail is a Failure with a formatted detail.
func Fail(code Code, cause error, format string, args ...any) *Failure {
	return &Failure{Code: code, Detail: fmt.Sprintf(format, args...), Err: cause}
}

// Missing is the failure of a target that does not exist, such as
// `Database "x" does not exist`.
func Missing(code Code, what, name string, cause error) *Failure {
	return &Failure{Code: code, Phrase: fmt.Sprintf("%s %q does not exist", what, name), Err: cause}
}

// Mismatch is the failure of a server that speaks another protocol. want is
// the expected one with its article ("an SMTP"); first are the bytes the
// server sent, of which at most 40 are shown, with a guess.
func Mismatch(want string, first []byte) *Failure {
	f := &Failure{Code: ProtocolMismatch, Phrase: "Not " + want + " server"}
	if len(first) > 0 {
		f.Detail = "it said " + printable(first, 40)
	}
	if g := guess(first); g != "" {
		f.Hint = "This looks like " + g + "; check the port."
	}
	return f
}

func printable(b []byte, n int) string {
	var sb strings.Builder
	for _, c := range b {
		if sb.Len() >= n {
			break
		}
		if c >= ' ' && c < 0x7f {
			sb.WriteByte(c)
		} else if c == '\r' || c == '\n' {
			break
		} else {
			sb.WriteByte('.')
		}
	}
	return `"` + sb.String() + `"`
}

func guess(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("SSH-")):
		return "an SSH server"
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return "an HTTP server"
	case bytes.HasPrefix(b, []byte("220")) && bytes.Contains(b, []byte("SMTP")):
		return "an SMTP server"
	case bytes.HasPrefix(b, []byte("220")):
		return "an FTP or SMTP server"
	case bytes.HasPrefix(b, []byte("-ERR")), bytes.HasPrefix(b, []byte("+PONG")), bytes.HasPrefix(b, []byte("-NOAUTH")), bytes.HasPrefix(b, []byte("-DENIED")):
		return "a Redis server"
	case bytes.HasPrefix(b, []byte("ERROR\r\n")):
		return "a memcached server"
	case len(b) > 5 && b[3] == 0 && (b[4] == 0x0a || b[4] == 0xff):
		return "a MySQL server"
	case len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3:
		return "a TLS port"
	}
	return ""
}

// classify turns any error into a Failure. The order matters: a DNS error can
// be a time-out too, and certificate errors come wrapped in one another.
func classify(err error, p *Probe) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	var (
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		denied   *deniedError
		netErr   net.Error
	)
	switch {
	case errors.As(err, &denied):
		return &Failure{Code: TargetDenied, Detail: denied.addr.String(), Hint: "This address lies in a network that connection tests may not reach.", Err: err}
	case errors.As(err, &dns) && !dns.IsTimeout:
		return &Failure{Code: DNSFailure, Detail: dns.Name, Hint: "Check the host name and that this machine can resolve it.", Err: err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Failure{Code: Refused, Hint: "Nothing listens at " + p.Address() + "; check host, port and that the server runs.", Err: err}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &Failure{Code: Unreachable, Detail: p.Address(), Hint: "There is no route to this address.", Err: err}
	case errors.As(err, &hostname):
		return &Failure{Code: TLSHostname, Detail: certNames(hostname.Certificate), Hint: "Set host or tls_server_name to a name the certificate is for.", Err: err}
	case errors.As(err, &unknown):
		return &Failure{Code: TLSUntrusted, Hint: "Put the issuing authority's PEM text into tls_ca.", Err: err}
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return &Failure{Code: TLSExpired, Err: err}
		}
		return &Failure{Code: TLSUntrusted, Err: err}
	case errors.As(err, &record):
		return &Failure{Code: TLSHandshake, Hint: "The port speaks plain text, not TLS.", Err: err}
	case errors.As(err, &alert):
		return &Failure{Code: TLSHandshake, Detail: alert.Error(), Err: err}
	case isAlert(err):
		return &Failure{Code: TLSHandshake, Detail: err.Error(), Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return timeoutFailure(err, p)
	case isClosed(err):
		if p.Stage() == StageTLS {
			return &Failure{Code: TLSHandshake, Detail: "server closed the connection", Hint: "The port may speak plain text, not TLS.", Err: err}
		}
		return &Failure{Code: Closed, Err: err}
	}
	var certErr *tls.CertificateVerificationError
	if errors.As(err, &certErr) {
		return &Failure{Code: TLSUntrusted, Err: err}
	}
	return &Failure{Code: Internal, Detail: err.Error(), Err: err}
}

// isAlert recognises a TLS alert on a TCP connection, where crypto/tls wraps
// its unexported alert type in an OpError. With TLS 1.3 the refusal of a client
// certificate arrives so, after the handshake.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn)
}

func timeoutFailure(err error, p *Probe) *Failure {
	f := &Failure{Code: Timeout, Err: err}
	switch p.Stage() {
	case StageResolve, StageConnect:
		f.Detail = "no answer from " + p.Address() + " (firewall?)"
	case StageGreeting:
		f.Detail = "connected, but nothing was said: wrong port, or TLS expected?"
	case StageTLS:
		f.Detail = "connected, but no TLS answer: the port may speak plain text"
	case StageAuth:
		f.Hint = "Servers delay failed logins: check the credentials, then try a longer timeout."
	}
	return f
}

func certNames(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "it names no host"
	}
	return "it is for " + strings.Join(names, ", ")
}
