// Package correlationid is the plugin correlation-id: requests get an ID that
// upstreams, and clients if they are to, see.
package correlationid

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	generator := schema.Choice("generator", "uuid#counter", "uuid", "uuid#counter", "tracker")
	generator.Required = true
	return httpproxy.PluginModule{
		Name: "correlation-id", Version: "1.0.0", Priority: 100001,
		Config: schema.Record{Fields: []schema.Field{
			{Name: "header_name", Type: schema.String, Default: "Kong-Request-ID", Check: schema.HeaderName},
			generator,
			schema.Bool("echo_downstream", false),
		}},
		New: newPlugin,
	}
}

type config struct {
	HeaderName     string `json:"header_name"`
	Generator      string `json:"generator"`
	EchoDownstream bool   `json:"echo_downstream"`
}

type plugin struct {
	config
	generate func(x *httpproxy.Exchange) string
}

// counter counts the IDs of a gateway, which all instances share.
type counter struct {
	prefix string
	n      atomic.Uint64
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	if p.HeaderName == "" {
		p.HeaderName = "Kong-Request-ID"
	}
	count := o.Host.Shared("correlation-id", func() any { return &counter{prefix: uuid.NewString() + "#"} }).(*counter)
	switch p.Generator {
	case "uuid":
		p.generate = func(*httpproxy.Exchange) string { return uuid.NewString() }
	case "tracker":
		p.generate = count.tracker
	default:
		p.generate = count.next
	}
	return p, nil
}

// next is the next of this gateway.
func (c *counter) next(*httpproxy.Exchange) string {
	return c.prefix + strconv.FormatUint(c.n.Add(1), 10)
}

// tracker says where and when the request has come in: the address and the port
// of the gateway, its process, the port of the client, the number of the
// request, and the time.
func (c *counter) tracker(x *httpproxy.Exchange) string {
	r := &x.Request
	return fmt.Sprintf("%s-%d-%d-%d-%d-%.3f", r.Local.Addr().Unmap(), r.Local.Port(), os.Getpid(), r.Peer.Port(), c.n.Add(1),
		float64(x.Started.UnixMilli())/float64(time.Second/time.Millisecond))
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	id := x.Request.Header.Get(p.HeaderName)
	if strings.TrimSpace(id) == "" {
		id = p.generate(x)
		x.Request.Header.Set(p.HeaderName, id)
	}
	if p.EchoDownstream {
		x.SetValue(p, id)
	}
	return nil
}

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	if !p.EchoDownstream {
		return nil
	}
	id, ok := x.Value(p).(string)
	if !ok {
		// The request was answered before it came here.
		if id = x.Request.Header.Get(p.HeaderName); id == "" {
			id = p.generate(x)
		}
	}
	x.Response.Header.Set(p.HeaderName, id)
	return nil
}
