package ftp

import (
	"errors"
	"fmt"

	"github.com/backplane/backplane/connectors"
)

// The values of the fields protocol, tls_mode and host_key_policy.
const (
	protocolFTP  = "ftp"
	protocolFTPS = "ftps"
	protocolSFTP = "sftp"

	tlsExplicit = "explicit"
	tlsImplicit = "implicit"

	policyStrict    = "strict"
	policyAcceptNew = "accept-new"
	policyInsecure  = "insecure"
)

// Spec describes the configuration of a file transfer service.
func (*Connector) Spec() connectors.Spec {
	timeout := connectors.TimeoutField("timeout_seconds")
	timeout.Default = int64(30)
	return connectors.Spec{
		Type:  "ftp",
		Title: "FTP, FTPS, SFTP",
		Doc:   "A server for file transfer by FTP, FTP over TLS or SFTP.",
		Fields: append([]connectors.Field{
			{Name: "protocol", Kind: connectors.String, Default: protocolFTP, Enum: []string{protocolFTP, protocolFTPS, protocolSFTP},
				Doc: "ftp in clear, ftps over TLS, sftp over SSH."},
			connectors.HostField(),
			connectors.PortField(0),
			{Name: "username", Kind: connectors.String, Required: true, Doc: "Login name."},
			{Name: "password", Kind: connectors.String, Secret: true, Doc: "Password; with sftp a private key may stand in for it."},
			{Name: "base_path", Kind: connectors.String, Doc: "Directory to work in; default: where the login leads."},
			{Name: "tls_mode", Kind: connectors.String, Default: tlsExplicit, Enum: []string{tlsExplicit, tlsImplicit},
				Doc: "For ftps: explicit asks for TLS after connecting, implicit starts with it."},
			{Name: "passive_mode", Kind: connectors.Boolean, Default: true, Check: checkPassive,
				Doc: "The client opens the data connections. The other way is not supported."},
			{Name: "private_key", Kind: connectors.String, Multiline: true, MediaType: connectors.PEM, Secret: true, Doc: "For sftp: PEM text of the private key."},
			{Name: "private_key_path", Kind: connectors.String, Secret: true, Check: checkKeyPath,
				Doc: "For sftp: file on this machine with the private key."},
			{Name: "private_key_passphrase", Kind: connectors.String, Secret: true, Doc: "Passphrase of the private key."},
			{Name: "host_key", Kind: connectors.String, Multiline: true, Check: checkHostKey,
				Doc: "For sftp: the server's key as lines of known_hosts, or its fingerprint as SHA256:…"},
			{Name: "host_key_policy", Kind: connectors.String, Default: policyStrict,
				Enum: []string{policyStrict, policyAcceptNew, policyInsecure},
				Doc:  "For sftp: strict wants host_key, accept-new takes and keeps the first one seen, insecure never checks."},
			timeout,
		}, connectors.TLSFields()...),
		Derive: derive,
		Check:  check,
	}
}

func derive(c connectors.Config) {
	if c.Has("port") {
		return
	}
	switch {
	case c.String("protocol") == protocolSFTP:
		c["port"] = int64(22)
	case c.String("protocol") == protocolFTPS && c.String("tls_mode") == tlsImplicit:
		c["port"] = int64(990)
	default:
		c["port"] = int64(21)
	}
}

func check(c connectors.Config, env connectors.Env) []connectors.Fault {
	faults := misplaced(c)
	if c.String("protocol") != protocolSFTP {
		if c.String("password") == "" {
			faults = append(faults, connectors.Fault{Field: "password", Message: "is required"})
		}
		return append(faults, connectors.CheckTLS(c)...)
	}
	if c.String("password") == "" && c.String("private_key") == "" && c.String("private_key_path") == "" {
		faults = append(faults, connectors.Fault{Field: "password", Message: "is required, unless a private key is set"})
	}
	return append(faults, checkKey(c, env)...)
}

// misplaced finds options of one protocol used with another. Values that are
// defaults do not count, so that what was read can be written back.
func misplaced(c connectors.Config) []connectors.Fault {
	var faults []connectors.Fault
	only := func(protocol string, set map[string]bool, order ...string) {
		if c.String("protocol") == protocol {
			return
		}
		for _, field := range order {
			if set[field] {
				faults = append(faults, connectors.Fault{Field: field, Message: fmt.Sprintf("is only for protocol %q", protocol)})
			}
		}
	}
	set := map[string]bool{
		"tls_mode":        c.String("tls_mode") == tlsImplicit,
		"host_key_policy": c.String("host_key_policy") != policyStrict,
		"tls_skip_verify": c.Bool("tls_skip_verify"),
	}
	for _, field := range []string{"private_key", "private_key_path", "private_key_passphrase", "host_key",
		"tls_ca", "tls_server_name", "tls_client_cert", "tls_client_key"} {
		set[field] = c.String(field) != ""
	}
	only(protocolFTPS, set, "tls_mode", "tls_ca", "tls_server_name", "tls_skip_verify", "tls_client_cert", "tls_client_key")
	only(protocolSFTP, set, "private_key", "private_key_path", "private_key_passphrase", "host_key", "host_key_policy")
	return faults
}

func checkPassive(value any, _ connectors.Env) error {
	if passive, _ := value.(bool); !passive {
		return errors.New("must be true: active mode is not supported")
	}
	return nil
}

func checkKeyPath(value any, env connectors.Env) error {
	path, _ := value.(string)
	if path == "" {
		return nil
	}
	_, err := env.Resolve(path)
	return err
}

func checkHostKey(value any, _ connectors.Env) error {
	s, _ := value.(string)
	if s == "" {
		return nil
	}
	_, err := parsePins(s)
	return err
}
