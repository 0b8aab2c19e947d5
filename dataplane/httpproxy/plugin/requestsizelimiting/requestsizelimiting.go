// Package requestsizelimiting is the plugin request-size-limiting: bodies of
// requests that are too long are refused.
package requestsizelimiting

import (
	"encoding/json"
	"io"
	"math"
	"net/http"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	unit := schema.Choice("size_unit", "megabytes", "megabytes", "kilobytes", "bytes")
	unit.Required = true
	return httpproxy.PluginModule{
		Name: "request-size-limiting", Version: "1.0.0", Priority: 951,
		Config: schema.Record{Fields: []schema.Field{
			{Name: "allowed_payload_size", Type: schema.Integer, Default: 128},
			unit,
			schema.Bool("require_content_length", false),
		}},
		New: newPlugin,
	}
}

type config struct {
	AllowedPayloadSize   *int64 `json:"allowed_payload_size"`
	SizeUnit             string `json:"size_unit"`
	RequireContentLength bool   `json:"require_content_length"`
}

type plugin struct {
	limit      int64
	needLength bool
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c config
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	p := &plugin{limit: 128, needLength: c.RequireContentLength}
	if c.AllowedPayloadSize != nil {
		p.limit = *c.AllowedPayloadSize
	}
	unit := int64(1)
	switch c.SizeUnit {
	case "megabytes":
		unit = 1 << 20
	case "kilobytes":
		unit = 1 << 10
	}
	if p.limit > math.MaxInt64/unit {
		p.limit = math.MaxInt64
	} else {
		p.limit *= unit
	}
	return p, nil
}

const tooLarge = "Request size limit exceeded"

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	r := &x.Request
	switch {
	case r.ContentLength > p.limit && r.ExpectContinue:
		x.Refuse(http.StatusExpectationFailed, tooLarge)
	case r.ContentLength > p.limit:
		x.Refuse(http.StatusRequestEntityTooLarge, tooLarge)
	case r.ContentLength < 0 && p.needLength:
		x.Refuse(http.StatusLengthRequired, "A valid Content-Length header is required")
	case r.ContentLength < 0:
		r.Body = &limited{r.Body, p.limit}
	}
	return nil
}

// limited is a body that is refused when it turns out to be too long.
type limited struct {
	io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, &httpproxy.BodyRefusal{Status: http.StatusRequestEntityTooLarge, Message: tooLarge}
	}
	return n, err
}
