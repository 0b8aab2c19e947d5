// Package basicauth is the plugin basic-auth: requests show a name and a
// password (RFC 7617).
package basicauth

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/authn"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "basic-auth", Version: "1.0.0", Priority: 1100, NoConsumer: true,
		Config: schema.Record{Fields: []schema.Field{
			authn.Anonymous(),
			schema.Bool("hide_credentials", false),
			{Name: "realm", Type: schema.String, Required: true, Default: "service"},
		}},
		New: newPlugin,
	}
}

type config struct {
	Anonymous       string `json:"anonymous"`
	HideCredentials bool   `json:"hide_credentials"`
	Realm           string `json:"realm"`
}

// method implements authn.Method.
type method struct {
	hide         bool
	unauthorized *authn.Failure
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c config
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	m := &method{hide: c.HideCredentials, unauthorized: &authn.Failure{
		Message: authn.Unauthorized, Challenge: authn.Challenge("Basic", c.Realm),
	}}
	return &authn.Guard{Method: m, Anonymous: c.Anonymous}, nil
}

// Authenticate implements authn.Method.
func (m *method) Authenticate(x *httpproxy.Exchange) (*entity.Credential, string, *authn.Failure) {
	c, password := m.credential(x, "Proxy-Authorization")
	if c == nil {
		if c, password = m.credential(x, "Authorization"); c == nil {
			// As long as with a name that there is.
			_ = matches(password, authn.Nobody, "")
			return nil, "", m.unauthorized
		}
	}
	if !matches(password, c.Consumer.ID.String(), c.Password) {
		return nil, "", m.unauthorized
	}
	return c, c.Username, nil
}

// Unknown implements authn.Method.
func (m *method) Unknown(*entity.Credential) *authn.Failure { return m.unauthorized }

// credential finds the credential that a field names, and the password that
// comes with it.
func (m *method) credential(x *httpproxy.Exchange, field string) (*entity.Credential, string) {
	username, password, ok := parse(x.Request.Header.Get(field))
	if m.hide {
		x.Request.Header.Del(field)
	}
	if !ok {
		return nil, ""
	}
	return x.View().Credential(entity.BasicAuth, username), password
}

// parse takes a field apart.
func parse(field string) (username, password string, ok bool) {
	encoded, ok := authn.Shown(field, "Basic")
	if !ok {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	username, password, ok = strings.Cut(string(decoded), ":")
	return username, password, ok && username != ""
}

// matches tells whether a password is the one of which a credential has the
// hash. How long it takes does not depend on how much of the hash is right.
func matches(password, consumer, hash string) bool {
	var kept [128]byte
	sum := sha1.Sum(append(append(kept[:0], password...), consumer...))
	var shown [2 * sha1.Size]byte
	hex.Encode(shown[:], sum[:])
	return subtle.ConstantTimeCompare(shown[:], []byte(hash)) == 1
}
