package email

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"regexp"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// The values of the field encryption.
const (
	encryptionStartTLS = "starttls"
	encryptionTLS      = "tls"
	encryptionNone     = "none"
)

// Spec describes the configuration of an SMTP service.
func (*Connector) Spec() connectors.Spec {
	timeout := connectors.TimeoutField("timeout_seconds")
	timeout.Default = int64(30)
	return connectors.Spec{
		Type:  "email",
		Title: "Email (SMTP)",
		Doc:   "An SMTP server that takes mail for sending.",
		Fields: append([]connectors.Field{
			connectors.HostField(),
			connectors.PortField(0),
			{Name: "encryption", Kind: connectors.String, Default: encryptionStartTLS,
				Enum: []string{encryptionStartTLS, encryptionTLS, encryptionNone},
				Doc:  "starttls encrypts after connecting and insists on it, tls encrypts from the first byte, none never does."},
			{Name: "username", Kind: connectors.String, Doc: "Login name; empty for servers that need no login."},
			{Name: "password", Kind: connectors.String, Secret: true, Doc: "Password, app password or, for xoauth2, access token."},
			{Name: "auth", Kind: connectors.String, Default: authAuto, Enum: append([]string{authAuto}, mechanismNames()...),
				Doc: "Login method; auto takes the safest that the server offers."},
			{Name: "allow_plaintext_auth", Kind: connectors.Boolean, Default: false,
				Doc: "Send the password readably over an unencrypted connection."},
			{Name: "from_address", Kind: connectors.String, Required: true, Min: 3, Max: 254, Check: checkAddress,
				Doc: "Address that mail is sent from."},
			{Name: "from_name", Kind: connectors.String, Max: 256, Min: 0, Doc: "Name shown beside the address."},
			{Name: "reply_to", Kind: connectors.String, Max: 254, Min: 0, Check: checkAddress, Doc: "Address that answers go to."},
			{Name: "helo", Kind: connectors.String, Max: 255, Min: 0, Check: checkHelo,
				Doc: "Name this machine greets with; default: its host name, or else its address."},
			timeout,
			{Name: "max_retries", Kind: connectors.Integer, Min: 0, Max: 10, Default: int64(3),
				Doc: "Attempts to repeat a failed sending; a connection test makes one attempt."},
		}, connectors.TLSFields()...),
		Derive: derive,
		Check:  check,
	}
}

func derive(c connectors.Config) {
	if c.Has("port") {
		return
	}
	switch c.String("encryption") {
	case encryptionTLS:
		c["port"] = int64(465)
	case encryptionNone:
		c["port"] = int64(25)
	default:
		c["port"] = int64(587)
	}
}

func check(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := connectors.CheckTLS(c)
	user, password, auth := c.String("username"), c.String("password"), c.String("auth")
	switch {
	case user != "" && password == "":
		faults = append(faults, connectors.Fault{Field: "password", Message: "is required with a username"})
	case user == "" && password != "":
		faults = append(faults, connectors.Fault{Field: "username", Message: "is required with a password"})
	case user == "" && auth != authAuto:
		faults = append(faults, connectors.Fault{Field: "username", Message: fmt.Sprintf("is required with auth %q", auth)})
	}
	if user != "" && c.String("encryption") == encryptionNone && !c.Bool("allow_plaintext_auth") && readable(auth) {
		faults = append(faults, connectors.Fault{Field: "allow_plaintext_auth",
			Message: `must be true for a login without encryption, unless auth is a method that hides the password`})
	}
	return faults
}

// readable tells whether a method may send the password as it is.
func readable(auth string) bool {
	m, ok := mechanismNamed(auth)
	return !ok || m.readable
}

// checkAddress accepts an addr-spec alone: no display name, no comment.
func checkAddress(value any, _ connectors.Env) error {
	s, _ := value.(string)
	if s == "" {
		return nil
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || strings.ContainsAny(s, "<> \t") {
		return errors.New("must be an email address such as name@example.com")
	}
	return nil
}

// heloName is an RFC 1123 host name: servers refuse underscores here.
var heloName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func checkHelo(value any, _ connectors.Env) error {
	s, _ := value.(string)
	if literal, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(literal, "]") {
		ip := strings.TrimPrefix(strings.TrimSuffix(literal, "]"), "IPv6:")
		if _, err := netip.ParseAddr(ip); err == nil {
			return nil
		}
	}
	if s == "" {
		return nil
	}
	if _, err := netip.ParseAddr(s); err == nil || !heloName.MatchString(s) {
		return errors.New("must be a host name, or an address in brackets")
	}
	return nil
}
