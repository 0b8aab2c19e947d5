package httpproxy

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// PluginModule is a kind of plugin.
type PluginModule struct {
	// Name is the name under which it is configured.
	Name string
	// Version is the module's version, such as "1.0.0".
	Version string
	// Priority orders plugins: the highest is run first, in every phase.
	Priority int
	// Config describes the configuration.
	Config schema.Record
	// Protocols are those that an instance is for by default: nil is grpc,
	// grpcs, http and https.
	Protocols []string
	// NoConsumer bars instances for one consumer.
	NoConsumer bool
	// New makes an instance. It is called again when the configuration has
	// changed, or what PluginOptions.Shared refers to. What it fails with is
	// told to who configures the plugin, and has no secrets: a ConfigError where
	// one field is the cause.
	New func(PluginOptions) (Plugin, error)
}

// PluginOptions are what an instance is made of.
type PluginOptions struct {
	ID     uuid.UUID
	Entity *entity.Plugin
	// Config is the configuration, complete and valid by the module's schema.
	Config json.RawMessage
	Log    *slog.Logger
	// Host is the gateway that the instance is in.
	Host Host
}

// Host is what plugins may use of the gateway.
type Host interface {
	// Context ends when the gateway ends.
	Context() context.Context
	// Go runs f until it returns; the gateway waits for it at its end, after
	// its context has ended.
	Go(f func(context.Context))
	// Shared is the state of a name that survives the instances of plugins,
	// made by create if there is none: counters, caches, connections. If it is
	// an io.Closer it is closed at the gateway's end.
	Shared(name string, create func() any) any
	// Node is the ID of the gateway in metrics.
	Node() string
	// Metrics is where collectors are registered.
	Metrics() prometheus.Registerer
	// Snapshot is what the gateway is configured with now.
	Snapshot() View
	// Statistics are the gateway's numbers, and Upstreams how its upstreams
	// are, sorted by name.
	Statistics() Statistics
	Upstreams() []UpstreamHealth
}

// View is a part of the configuration as it is at one time.
type View interface {
	// Service and Route find what requests may be for; nil if there is none.
	Service(id uuid.UUID) *entity.Service
	Route(id uuid.UUID) *entity.Route
	// Consumer finds a consumer by ID, username or custom ID; nil if there is
	// none.
	Consumer(key string) *entity.Consumer
	// ConsumerByID finds a consumer, with its ID as text; nil if there is none.
	ConsumerByID(id uuid.UUID) (c *entity.Consumer, text string)
	// Credential finds a credential by what its holder shows: the key of
	// key-auths and jwts, the username of basic-auths.
	Credential(kind entity.CredentialKind, shown string) *entity.Credential
	// CredentialWithID is Credential, with its ID as text.
	CredentialWithID(kind entity.CredentialKind, shown string) (c *entity.Credential, id string)
	// Groups are the groups of a consumer, sorted.
	Groups(consumer uuid.UUID) []string
}

// Plugin is an instance of a plugin. It implements one or more of Accesser,
// Responder, Reworder and Logger, and is used by many requests at once. If it is an
// io.Closer it is closed once no request uses it any more.
type Plugin any

// Accesser sees requests before they go to the upstream, and may change them or
// answer them (Exchange.Exit, Exchange.Refuse), after which no plugin of lower
// priority sees the request. An error is answered with 500 and logged.
type Accesser interface{ Access(x *Exchange) error }

// Responder sees the heads of responses before they go to the client, wherever
// they are from, and may change them and their bodies. An error is answered
// with 500 and logged.
type Responder interface{ Respond(x *Exchange) error }

// Reworder puts refusals in another form (Exchange.Refusal, Exchange.Reword). It
// is called after the Responders for those that none of them has seen to, or that
// come about then.
type Reworder interface{ RewordRefusal(x *Exchange) }

// Logger is told of requests that have ended. The Exchange is used again
// afterwards, so what is to be kept is copied.
type Logger interface{ Log(x *Exchange) }
