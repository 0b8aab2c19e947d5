// Package keyauth is the plugin key-auth: requests show a key in their header,
// their query or their body.
package keyauth

import (
	"encoding/json"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/authn"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/query"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	names := schema.Strings("key_names", schema.HeaderName)
	names.Required, names.Default = true, []string{"apikey"}
	names.Description = "The names of the header fields and arguments that may have the key."
	return httpproxy.PluginModule{
		Name: "key-auth", Version: "1.0.0", Priority: 1250, NoConsumer: true,
		Config: schema.Record{Fields: []schema.Field{
			names,
			schema.Bool("hide_credentials", false),
			authn.Anonymous(),
			schema.Bool("key_in_header", true),
			schema.Bool("key_in_query", true),
			schema.Bool("key_in_body", false),
			schema.Bool("run_on_preflight", true),
			{Name: "realm", Type: schema.String},
		}},
		New: newPlugin,
	}
}

type config struct {
	KeyNames        []string `json:"key_names"`
	HideCredentials bool     `json:"hide_credentials"`
	Anonymous       string   `json:"anonymous"`
	KeyInHeader     bool     `json:"key_in_header"`
	KeyInQuery      bool     `json:"key_in_query"`
	KeyInBody       bool     `json:"key_in_body"`
	RunOnPreflight  bool     `json:"run_on_preflight"`
	Realm           string   `json:"realm"`
}

// method implements authn.Method.
type method struct {
	config
	missing, duplicate, unauthorized, unreadable *authn.Failure
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	m := &method{}
	if err := json.Unmarshal(o.Config, &m.config); err != nil {
		return nil, err
	}
	challenge := authn.Challenge("Key", m.Realm)
	m.missing = &authn.Failure{Message: "No API key found in request", Challenge: challenge}
	m.duplicate = &authn.Failure{Message: "Duplicate API key found", Challenge: challenge}
	m.unauthorized = &authn.Failure{Message: authn.Unauthorized, Challenge: challenge}
	m.unreadable = &authn.Failure{Status: 400, Message: "Cannot process request body"}
	return &authn.Guard{Method: m, Anonymous: m.Anonymous, SkipPreflight: !m.RunOnPreflight}, nil
}

// Authenticate implements authn.Method.
func (m *method) Authenticate(x *httpproxy.Exchange) (*entity.Credential, string, *authn.Failure) {
	key, failed := m.key(x)
	if failed != nil {
		return nil, "", failed
	}
	c, id := x.View().CredentialWithID(entity.KeyAuth, key)
	if c == nil || c.TTL > 0 && x.Started.Unix() >= c.CreatedAt+c.TTL {
		return nil, "", m.unauthorized
	}
	return c, id, nil
}

// Unknown implements authn.Method.
func (m *method) Unknown(*entity.Credential) *authn.Failure { return m.unauthorized }

// key is the key that a request shows: under the first name that it has, in the
// first place where that is.
func (m *method) key(x *httpproxy.Exchange) (string, *authn.Failure) {
	var inBody *body
	for _, name := range m.KeyNames {
		key, n := m.inHead(x, name)
		if m.KeyInBody && inBody == nil && (n == 0 || m.HideCredentials) {
			var err error
			if inBody, err = readBody(&x.Request); err != nil {
				return "", m.unreadable
			}
		}
		if n == 0 && inBody != nil {
			key, n = inBody.find(name)
		}
		if n == 0 {
			continue
		}
		if n > 1 {
			return "", m.duplicate
		}
		if m.HideCredentials {
			if err := m.hide(x, name, inBody); err != nil {
				return "", m.unreadable
			}
		}
		if key == "" {
			break
		}
		return key, nil
	}
	return "", m.missing
}

// inHead finds a key in the header or the query, and how many there are.
func (m *method) inHead(x *httpproxy.Exchange, name string) (key string, n int) {
	if m.KeyInHeader {
		for at := 0; ; n++ {
			v, next := x.Request.Header.Next(name, at)
			if next < 0 {
				break
			}
			if at = next; n == 0 {
				key = v
			}
		}
	}
	if n == 0 && m.KeyInQuery {
		key, n = query.Find(x.Request.Query, name)
	}
	return key, n
}

// hide takes the key out of what the upstream gets.
func (m *method) hide(x *httpproxy.Exchange, name string, inBody *body) error {
	if m.KeyInHeader {
		x.Request.Header.Del(name)
	}
	if u := &x.Upstream; m.KeyInQuery && u.HasQuery {
		u.Query = query.Without(u.Query, name)
		u.HasQuery = u.Query != ""
	}
	if m.KeyInBody && inBody != nil {
		return inBody.hide(&x.Request, name)
	}
	return nil
}
