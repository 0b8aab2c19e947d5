package connectors

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"regexp"
	"strings"
)

// hostName is RFC 1123 with underscores allowed, because container networks
// hand out such names.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$`)

// CheckHost accepts a host name, an IPv4 or an IPv6 address without brackets.
func CheckHost(value any, _ Env) error {
	s, _ := value.(string)
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if len(s) > 253 || !hostName.MatchString(s) {
		return errors.New("must be a host name or an IP address without brackets, scheme, port or path")
	}
	return nil
}

// HostField is the required field host.
func HostField() Field {
	return Field{Name: "host", Kind: String, Required: true, Max: 253, Min: 1, Check: CheckHost,
		Doc: "Host name or IP address of the server."}
}

// PortField is the field port. A default of 0 leaves it to Spec.Derive.
func PortField(def int64) Field {
	f := Field{Name: "port", Kind: Integer, Min: 1, Max: 65535, Doc: "TCP port of the server."}
	if def != 0 {
		f.Default = def
	}
	return f
}

// PoolField is the field pool_size, 1 to 1000.
func PoolField(def int64) Field {
	return Field{Name: "pool_size", Kind: Integer, Min: 1, Max: 1000, Default: def,
		Doc: "Connections that a user of the service should keep at most."}
}

// TimeoutField is a field that bounds a connection test, in seconds, 1 to 300.
// A test is clamped to 30 s whatever it says.
func TimeoutField(name string) Field {
	return Field{Name: name, Kind: Integer, Min: 1, Max: 300, Doc: "Seconds to wait for the server."}
}

// UnusedFields are accepted because clients send them; a test ignores them.
func UnusedFields(names ...string) []Field {
	out := make([]Field, len(names))
	for i, n := range names {
		out[i] = Field{Name: n, Kind: Integer, Min: 0, Max: 1 << 31, Doc: "Kept for users of the service; a connection test does not use it."}
	}
	return out
}

// TLSFields are the TLS options common to every TCP type.
func TLSFields() []Field {
	return []Field{
		{Name: "tls_ca", Kind: String, Multiline: true, MediaType: PEM, Check: checkCA,
			Doc: "PEM text of the authorities to trust instead of the system's."},
		{Name: "tls_server_name", Kind: String, Max: 253, Check: CheckHost, Min: 1,
			Doc: "Name the certificate must be for; default: the host."},
		{Name: "tls_skip_verify", Kind: Boolean, Default: false,
			Doc: "Accept any certificate. The connection is encrypted but not authenticated."},
		{Name: "tls_client_cert", Kind: String, Multiline: true, MediaType: PEM, Doc: "PEM text of the client certificate."},
		{Name: "tls_client_key", Kind: String, Multiline: true, MediaType: PEM, Secret: true, Doc: "PEM text of the client certificate's key."},
	}
}

func checkCA(value any, _ Env) error {
	s, _ := value.(string)
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(s)) {
		return errors.New("must be PEM text with at least one certificate")
	}
	return nil
}

// CheckTLS finds faults among the TLS fields taken together; a Spec.Check
// calls it.
func CheckTLS(c Config) []Fault {
	cert, key := c.String("tls_client_cert"), c.String("tls_client_key")
	switch {
	case cert == "" && key == "":
		return nil
	case cert == "" || key == "":
		return []Fault{{"tls_client_cert", "tls_client_cert and tls_client_key must be set together"}}
	}
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		return []Fault{{"tls_client_cert", "must be PEM text that matches tls_client_key"}}
	}
	return nil
}

// TLSConfig builds the client configuration from the TLS fields. host is the
// name to verify unless tls_server_name says otherwise. The result verifies
// unless tls_skip_verify is set, and asks for TLS 1.2 at least.
func TLSConfig(c Config, host string) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         strings.TrimSuffix(host, "."),
		InsecureSkipVerify: c.Bool("tls_skip_verify"), //nolint:gosec // the operator's explicit choice, told as a warning
	}
	if name := c.String("tls_server_name"); name != "" {
		cfg.ServerName = name
	}
	if ca := c.String("tls_ca"); ca != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, &Failure{Code: InvalidConfig, Detail: "tls_ca holds no certificate"}
		}
	}
	if cert := c.String("tls_client_cert"); cert != "" {
		pair, err := tls.X509KeyPair([]byte(cert), []byte(c.String("tls_client_key")))
		if err != nil {
			return nil, &Failure{Code: InvalidConfig, Detail: "tls_client_cert does not match tls_client_key", Err: err}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
