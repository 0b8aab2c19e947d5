package dbproxy

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// loginRules are what a listener says about logins.
type loginRules struct {
	networks networks
	mapping  *account.Mapping // nil for none
	metadata []metadata
	oracle   bool
	plugins  []string // authenticators; nil for all that need no mention

	// Options of the authenticators ("Authentication Modules", MaxScale).
	passthrough bool            // clear_pw_passthrough
	skip        bool            // skip_authentication
	ignoreHost  bool            // match_host=false
	lowerCase   int             // lower_case_table_names
	edBySHA2    bool            // ed_mode=sha256
	clearDialog bool            // pam_use_cleartext_plugin
	key         *rsa.PrivateKey // ed_rsa_privkey_path
}

// The authenticators.
const (
	authMariaDB = "mariadbauth"
	authPAM     = "pamauth"
	authEd25519 = "ed25519auth"
	authGSSAPI  = "gssapiauth"
)

func newLoginRules(params param.Set) (*loginRules, error) {
	r := &loginRules{oracle: params.String("sql_mode") == "oracle"}
	var err error
	if r.networks, err = parseNetworks(params.String("proxy_protocol_networks")); err != nil {
		return nil, param.Fault{Name: "proxy_protocol_networks", Message: err.Error()}
	}
	if r.plugins, err = parseAuthenticators(params.String("authenticator")); err != nil {
		return nil, param.Fault{Name: "authenticator", Message: err.Error()}
	}
	if err := r.parseOptions(params.String("authenticator_options")); err != nil {
		return nil, param.Fault{Name: "authenticator_options", Message: err.Error()}
	}
	if r.metadata, err = parseMetadata(params.List("connection_metadata")); err != nil {
		return nil, param.Fault{Name: "connection_metadata", Message: err.Error()}
	}
	if path := params.String("user_mapping_file"); path != "" {
		if r.mapping, err = account.ReadMapping(path); err != nil {
			return nil, param.Fault{Name: "user_mapping_file", Message: err.Error()}
		}
		if r.passthrough || r.skip || r.allows(authPAM) {
			return nil, param.Fault{Name: "user_mapping_file", Message: "cannot be used with clear_pw_passthrough, skip_authentication or pamauth, by which " +
				"only the servers check passwords: anybody could become a mapped user"}
		}
	}
	return r, nil
}

// allows tells whether accounts of an authenticator may log in. PAM has to be
// mentioned, since it makes clients send their passwords.
func (r *loginRules) allows(authenticator string) bool {
	if r.plugins == nil {
		return authenticator != authPAM
	}
	return slices.Contains(r.plugins, authenticator)
}

func parseAuthenticators(text string) (list []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "":
			continue
		case "mysqlauth", authMariaDB:
			name = authMariaDB
		case authPAM, authEd25519:
		case authGSSAPI:
			return nil, errors.New("gssapiauth is not supported")
		default:
			return nil, fmt.Errorf("%q is not known; there are mariadbauth, ed25519auth and pamauth", name)
		}
		list = append(list, name)
	}
	return list, nil
}

// parseOptions reads authenticator_options: name=value, separated by commas.
func (r *loginRules) parseOptions(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		if !found {
			return fmt.Errorf("%q must be name=value", part)
		}
		if err := r.option(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("%s %w", strings.TrimSpace(name), err)
		}
	}
	if r.passthrough && len(r.plugins) > 1 {
		return errors.New("clear_pw_passthrough cannot be used with several authenticators")
	}
	return nil
}

func (r *loginRules) option(name, value string) (err error) {
	switch name {
	case "clear_pw_passthrough":
		r.passthrough, err = parseSwitch(value)
	case "skip_authentication":
		r.skip, err = parseSwitch(value)
	case "match_host":
		var match bool
		match, err = parseSwitch(value)
		r.ignoreHost = !match
	case "pam_use_cleartext_plugin":
		r.clearDialog, err = parseSwitch(value)
	case "lower_case_table_names":
		return r.setLowerCase(value)
	case "ed_mode":
		switch value {
		case "ed25519", "sha256":
			r.edBySHA2 = value == "sha256"
		default:
			err = errors.New("must be ed25519 or sha256")
		}
	case "ed_rsa_privkey_path":
		r.key, err = readPrivateKey(value)
	case "ed_rsa_pubkey_path": // it is part of the private key
	case "cache_dir", "inject_service_user", "log_password_mismatch": // of no use here
	case "pam_mode":
		if value != "password" {
			err = errors.New("can only be password here")
		}
	default:
		err = errors.New("is not an option of an authenticator")
	}
	return err
}

func (r *loginRules) setLowerCase(value string) error {
	n, err := strconv.Atoi(value)
	if on, e := parseSwitch(value); e == nil && err != nil {
		n, err = 0, nil
		if on {
			n = 1
		}
	}
	if err != nil || n < 0 || n > 2 {
		return errors.New("must be 0, 1 or 2")
	}
	r.lowerCase = n
	return nil
}

func parseSwitch(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

func readPrivateKey(path string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no key in PEM: " + path)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("holds no private key: " + path)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("holds no RSA key: " + path)
	}
	return key, nil
}

// metadata is a variable that clients are told of; an automatic one has the
// server's value.
type metadata struct {
	name, value string
	auto        bool
}

func parseMetadata(list []string) (all []metadata, err error) {
	for _, text := range list {
		name, value, found := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" {
			return nil, fmt.Errorf("holds %q, which must be name=value", text)
		}
		value = strings.TrimSpace(value)
		all = append(all, metadata{name: name, value: value, auto: value == "auto"})
	}
	return all, nil
}

// groups are those of a user of the proxy's machine, for group_map.
func groups(name string) []string {
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var names []string
	for _, id := range ids {
		if g, err := user.LookupGroupId(id); err == nil {
			names = append(names, g.Name)
		}
	}
	return names
}
