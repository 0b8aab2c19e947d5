// Package entity has what an HTTP gateway is configured with, as plain values.
// Their JSON form is that of the gateway's admin API, with all defaults filled
// in. A value that was handed to the gateway is never changed again: a change
// is another value with the same ID.
package entity

import (
	"encoding/json"

	"github.com/google/uuid"
)

// Reference names another entity.
type Reference struct {
	ID uuid.UUID `json:"id"`
}

// Service is what requests are carried to.
type Service struct {
	ID                uuid.UUID   `json:"id"`
	CreatedAt         int64       `json:"created_at"` // seconds since 1970
	Name              string      `json:"name"`       // unique, or ""
	Enabled           bool        `json:"enabled"`
	Retries           int         `json:"retries"`
	Protocol          string      `json:"protocol"` // http, https, grpc, grpcs; others are kept and not served
	Host              string      `json:"host"`     // of an upstream, or a host's name or address
	Port              int         `json:"port"`
	Path              string      `json:"path"`            // "" for none
	ConnectTimeout    int64       `json:"connect_timeout"` // ms, as the following
	WriteTimeout      int64       `json:"write_timeout"`
	ReadTimeout       int64       `json:"read_timeout"`
	ClientCertificate *Reference  `json:"client_certificate"`
	TLSVerify         *bool       `json:"tls_verify"`
	TLSVerifyDepth    *int        `json:"tls_verify_depth"`
	CACertificates    []uuid.UUID `json:"ca_certificates"`
	Tags              []string    `json:"tags"`
}

// Route is a rule by which requests are matched.
type Route struct {
	ID                      uuid.UUID           `json:"id"`
	CreatedAt               int64               `json:"created_at"`
	Name                    string              `json:"name"`
	Protocols               []string            `json:"protocols"`
	Methods                 []string            `json:"methods"`
	Hosts                   []string            `json:"hosts"`
	Paths                   []string            `json:"paths"`
	Headers                 map[string][]string `json:"headers"`
	SNIs                    []string            `json:"snis"`
	HTTPSRedirectStatusCode int                 `json:"https_redirect_status_code"`
	RegexPriority           int                 `json:"regex_priority"`
	StripPath               bool                `json:"strip_path"`
	PathHandling            string              `json:"path_handling"` // v0 or v1
	PreserveHost            bool                `json:"preserve_host"`
	RequestBuffering        bool                `json:"request_buffering"`
	ResponseBuffering       bool                `json:"response_buffering"`
	Service                 *Reference          `json:"service"` // nil for routes that only plugins answer
	Tags                    []string            `json:"tags"`
}

// Certificate is what the gateway proves itself with, to clients under the
// names of its SNIs, and to upstreams.
type Certificate struct {
	ID      uuid.UUID `json:"id"`
	Cert    string    `json:"cert"` // PEM
	Key     string    `json:"key"`
	CertAlt string    `json:"cert_alt"`
	KeyAlt  string    `json:"key_alt"`
	Tags    []string  `json:"tags"`
}

// SNI is a name under which a certificate is shown.
type SNI struct {
	ID          uuid.UUID `json:"id"`
	Name        string    `json:"name"`
	Certificate Reference `json:"certificate"`
}

// CACertificate is an authority that services may trust.
type CACertificate struct {
	ID   uuid.UUID `json:"id"`
	Cert string    `json:"cert"`
}

// Upstream is a host name of the gateway's own, behind which there are targets.
type Upstream struct {
	ID                     uuid.UUID    `json:"id"`
	Name                   string       `json:"name"`
	Algorithm              string       `json:"algorithm"`
	HashOn                 string       `json:"hash_on"`
	HashFallback           string       `json:"hash_fallback"`
	HashOnHeader           string       `json:"hash_on_header"`
	HashFallbackHeader     string       `json:"hash_fallback_header"`
	HashOnCookie           string       `json:"hash_on_cookie"`
	HashOnCookiePath       string       `json:"hash_on_cookie_path"`
	HashOnQueryArg         string       `json:"hash_on_query_arg"`
	HashFallbackQueryArg   string       `json:"hash_fallback_query_arg"`
	HashOnURICapture       string       `json:"hash_on_uri_capture"`
	HashFallbackURICapture string       `json:"hash_fallback_uri_capture"`
	Slots                  int          `json:"slots"`
	HostHeader             string       `json:"host_header"`
	ClientCertificate      *Reference   `json:"client_certificate"`
	UseSRVName             bool         `json:"use_srv_name"`
	HealthChecks           HealthChecks `json:"healthchecks"`
	Tags                   []string     `json:"tags"`
}

// HealthChecks say when an address of an upstream is used and when not.
type HealthChecks struct {
	Threshold float64      `json:"threshold"` // percent of the weight
	Active    ActiveCheck  `json:"active"`
	Passive   PassiveCheck `json:"passive"`
}

// ActiveCheck is done by the gateway's own requests.
type ActiveCheck struct {
	Type                   string              `json:"type"`
	Timeout                float64             `json:"timeout"` // seconds
	Concurrency            int                 `json:"concurrency"`
	HTTPPath               string              `json:"http_path"`
	HTTPSSNI               string              `json:"https_sni"`
	HTTPSVerifyCertificate bool                `json:"https_verify_certificate"`
	Headers                map[string][]string `json:"headers"`
	Healthy                Healthy             `json:"healthy"`
	Unhealthy              Unhealthy           `json:"unhealthy"`
}

// PassiveCheck is done by looking at what passes.
type PassiveCheck struct {
	Type      string    `json:"type"`
	Healthy   Healthy   `json:"healthy"`
	Unhealthy Unhealthy `json:"unhealthy"`
}

// Healthy says what is good. Zero counters are off.
type Healthy struct {
	Interval     float64 `json:"interval"` // seconds, of active checks
	Successes    int     `json:"successes"`
	HTTPStatuses []int   `json:"http_statuses"`
}

// Unhealthy says what is bad. Zero counters are off.
type Unhealthy struct {
	Interval     float64 `json:"interval"`
	TCPFailures  int     `json:"tcp_failures"`
	Timeouts     int     `json:"timeouts"`
	HTTPFailures int     `json:"http_failures"`
	HTTPStatuses []int   `json:"http_statuses"`
}

// Target is an address of an upstream.
type Target struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt float64   `json:"created_at"`
	Target    string    `json:"target"` // host:port
	Weight    int       `json:"weight"`
	Upstream  Reference `json:"upstream"`
}

// Consumer is who makes requests.
type Consumer struct {
	ID       uuid.UUID `json:"id"`
	Username string    `json:"username"`
	CustomID string    `json:"custom_id"`
	Tags     []string  `json:"tags"`
}

// CredentialKind is what a credential is for: the name of its collection.
type CredentialKind string

// The kinds of credentials.
const (
	KeyAuth   CredentialKind = "key-auths"
	BasicAuth CredentialKind = "basic-auths"
	JWT       CredentialKind = "jwts"
	ACL       CredentialKind = "acls" // a group that the consumer is in
)

// Credential is what a consumer shows, or a group that it is in. Each kind uses
// some of the fields.
type Credential struct {
	Kind      CredentialKind `json:"-"`
	ID        uuid.UUID      `json:"id"`
	CreatedAt int64          `json:"created_at"`
	Consumer  Reference      `json:"consumer"`

	Key          string `json:"key"`      // of key-auths, jwts
	TTL          int64  `json:"ttl"`      // of key-auths, seconds after CreatedAt; 0 is for ever
	Username     string `json:"username"` // of basic-auths
	Password     string `json:"password"` // of basic-auths: SHA-1 in hexadecimal of the password followed by the consumer's ID
	Secret       string `json:"secret"`   // of jwts
	RSAPublicKey string `json:"rsa_public_key"`
	Algorithm    string `json:"algorithm"`
	Group        string `json:"group"` // of acls
}

// Plugin is an instance of a plugin: with its configuration, for a part of the
// traffic, or for all of it.
type Plugin struct {
	ID        uuid.UUID       `json:"id"`
	Name      string          `json:"name"`
	Route     *Reference      `json:"route"`
	Service   *Reference      `json:"service"`
	Consumer  *Reference      `json:"consumer"`
	Protocols []string        `json:"protocols"`
	Enabled   bool            `json:"enabled"`
	Config    json.RawMessage `json:"config"`
	Tags      []string        `json:"tags"`
}
