// Package jwt is the plugin jwt: requests show a signed token (RFC 7519).
package jwt

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/answer"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/authn"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/query"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "jwt", Version: "1.0.0", Priority: 1450, NoConsumer: true,
		Config: schema.Record{
			Fields: []schema.Field{
				names("uri_param_names", "jwt"),
				names("cookie_names"),
				{Name: "key_claim_name", Type: schema.String, Required: true, Default: "iss"},
				schema.Bool("secret_is_base64", false),
				{Name: "claims_to_verify", Type: schema.Set,
					Elements: &schema.Field{Type: schema.String, OneOf: []any{"exp", "nbf"}}},
				authn.Anonymous(),
				schema.Bool("run_on_preflight", true),
				{Name: "maximum_expiration", Type: schema.Number, Between: schema.Between(0, 31536000), Default: 0},
				names("header_names", "authorization"),
				{Name: "realm", Type: schema.String},
			},
			Checks: []schema.Check{needsExp("")},
		},
		New: newPlugin,
	}
}

// names is a set of names.
func names(name string, byDefault ...string) schema.Field {
	return schema.Field{Name: name, Type: schema.Set, Default: append([]string{}, byDefault...),
		Elements: &schema.Field{Type: schema.String}}
}

// needsExp wants exp among the claims when its distance is bounded. The prefix
// is that of the names of the fields.
func needsExp(prefix string) schema.Check {
	bound, claims := prefix+"maximum_expiration", prefix+"claims_to_verify"
	return schema.Check{
		Shown: map[string]any{"conditional": map[string]any{
			"if_field": bound, "if_match": map[string]any{"gt": 0},
			"then_field": claims, "then_match": map[string]any{"contains": "exp"},
		}},
		Func: func(record map[string]any, report func(field, message string)) {
			if m := schema.Get(record, bound); m == nil || schema.Equal(m, 0) {
				return
			}
			verified, _ := schema.Get(record, claims).([]any)
			if slices.Contains(verified, any("exp")) {
				return
			}
			report(claims, "expected to contain: exp")
			report("", "failed conditional validation given value of field '"+bound+"'")
		},
		Within: func(name string) schema.Check { return needsExp(name + "." + prefix) },
	}
}

type config struct {
	URIParamNames     []string `json:"uri_param_names"`
	HeaderNames       []string `json:"header_names"`
	CookieNames       []string `json:"cookie_names"`
	KeyClaimName      string   `json:"key_claim_name"`
	SecretIsBase64    bool     `json:"secret_is_base64"`
	ClaimsToVerify    []string `json:"claims_to_verify"`
	MaximumExpiration float64  `json:"maximum_expiration"`
	Anonymous         string   `json:"anonymous"`
	RunOnPreflight    bool     `json:"run_on_preflight"`
	Realm             string   `json:"realm"`
}

// method implements authn.Method.
type method struct {
	config
	challenge, invalid string // for WWW-Authenticate
	missing            *authn.Failure

	verifiers sync.Map // by *entity.Credential
	known     atomic.Int64
}

// maxVerifiers bounds the verifiers that are kept.
const maxVerifiers = 1 << 14

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	m := &method{}
	if err := json.Unmarshal(o.Config, &m.config); err != nil {
		return nil, err
	}
	m.challenge = authn.Challenge("Bearer", m.Realm)
	m.invalid = m.challenge + ` error="invalid_token"`
	m.missing = &authn.Failure{
		Message: authn.Unauthorized, Challenge: m.challenge, Body: answer.Message(authn.Unauthorized),
	}
	return &authn.Guard{Method: m, Anonymous: m.Anonymous, SkipPreflight: !m.RunOnPreflight}, nil
}

func (m *method) failure(message string) *authn.Failure {
	return &authn.Failure{Message: message, Challenge: m.invalid, Body: answer.Message(message)}
}

// Authenticate implements authn.Method.
func (m *method) Authenticate(x *httpproxy.Exchange) (*entity.Credential, string, *authn.Failure) {
	raw, several := m.find(&x.Request)
	switch {
	case several:
		return nil, "", m.failure("Multiple tokens provided")
	case raw == "":
		return nil, "", m.missing
	}
	t, err := parse(raw)
	if err != nil {
		return nil, "", m.failure("Bad token; " + err.Error())
	}
	shown, ok := t.claims[m.KeyClaimName]
	if !ok || shown == nil || shown == false {
		shown = t.header[m.KeyClaimName]
	}
	key, ok := shown.(string)
	switch {
	case shown == nil || shown == false:
		return nil, "", m.failure("No mandatory '" + m.KeyClaimName + "' in claims")
	case !ok || key == "":
		return nil, "", m.failure("Invalid '" + m.KeyClaimName + "' in claims")
	}
	c := x.View().Credential(entity.JWT, key)
	if c == nil {
		return nil, "", m.failure("No credentials found for given '" + m.KeyClaimName + "'")
	}
	if t.algorithm != algorithm(c) {
		return nil, "", m.failure("Invalid algorithm")
	}
	v := m.verifier(c)
	switch err := v.verify(t); {
	case errors.Is(err, errKey):
		return nil, "", m.failure("Invalid key/secret")
	case err != nil:
		return nil, "", m.failure("Invalid signature")
	}
	if wrong := m.wrongClaims(t.claims, x.Started); wrong != nil {
		return nil, "", wrong
	}
	return c, c.Key, nil
}

// Unknown implements authn.Method.
func (m *method) Unknown(c *entity.Credential) *authn.Failure {
	return m.failure("Could not find consumer for '" + m.KeyClaimName + "=" + c.Key + "'")
}

// find is the token that a request shows, and whether it shows more than one.
func (m *method) find(r *httpproxy.Request) (token string, several bool) {
	see := func(t string) {
		switch {
		case t == "":
		case token == "":
			token = t
		case t != token:
			several = true
		}
	}
	for _, name := range m.URIParamNames {
		for _, t := range query.Values(r.Query, name) {
			see(t)
		}
	}
	for _, name := range m.CookieNames {
		see(cookie(&r.Header, name))
	}
	for _, name := range m.HeaderNames {
		for field := range r.Header.Values(name) {
			bearer, _ := authn.Shown(field, "Bearer") // RFC 6750, 2.1
			see(bearer)
		}
	}
	return token, several
}

// cookie is the first cookie of a name, "" if there is none.
func cookie(h *httpproxy.Header, name string) string {
	for field := range h.Values("Cookie") {
		for pair := range strings.SplitSeq(field, ";") {
			if n, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && n == name && v != "" {
				return v
			}
		}
	}
	return ""
}

// wrongClaims checks the claims that tell when a token is good.
func (m *method) wrongClaims(claims map[string]any, now time.Time) *authn.Failure {
	seconds := float64(now.Unix())
	wrong := map[string]string{}
	for _, name := range m.ClaimsToVerify {
		switch at, ok := claims[name].(float64); {
		case !ok:
			wrong[name] = "must be a number"
		case name == "exp" && at <= seconds:
			wrong[name] = "token expired"
		case name == "nbf" && at > seconds:
			wrong[name] = "token not valid yet"
		}
	}
	if len(wrong) == 0 && m.MaximumExpiration > 0 {
		if exp, ok := claims["exp"].(float64); !ok || exp-seconds > m.MaximumExpiration {
			wrong["exp"] = "exceeds maximum allowed expiration"
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &authn.Failure{Message: authn.Unauthorized, Challenge: m.invalid, Body: answer.JSON(wrong)}
}

// verifier is what tokens of a credential are verified with.
func (m *method) verifier(c *entity.Credential) *verifier {
	if v, ok := m.verifiers.Load(c); ok {
		return v.(*verifier)
	}
	v := newVerifier(c, m.SecretIsBase64)
	if m.known.Add(1) > maxVerifiers {
		m.verifiers.Clear()
		m.known.Store(1)
	}
	m.verifiers.Store(c, v)
	return v
}
