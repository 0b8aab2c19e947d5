package ratelimiting

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// windowNames are the windows of time, the shortest first.
var windowNames = [windowCount]string{"second", "minute", "hour", "day", "month", "year"}

// config is the configuration.
type config struct {
	Second *float64 `json:"second"`
	Minute *float64 `json:"minute"`
	Hour   *float64 `json:"hour"`
	Day    *float64 `json:"day"`
	Month  *float64 `json:"month"`
	Year   *float64 `json:"year"`

	LimitBy           string      `json:"limit_by"`
	HeaderName        string      `json:"header_name"`
	Path              string      `json:"path"`
	Policy            string      `json:"policy"`
	FaultTolerant     bool        `json:"fault_tolerant"`
	Redis             redisConfig `json:"redis"`
	HideClientHeaders bool        `json:"hide_client_headers"`
	ErrorCode         float64     `json:"error_code"`
	ErrorMessage      string      `json:"error_message"`
	SyncRate          float64     `json:"sync_rate"`
}

// redisConfig tells where Redis is. It is a key of maps.
type redisConfig struct {
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Timeout    int64  `json:"timeout"` // ms
	Username   string `json:"username"`
	Password   string `json:"password"`
	Database   int    `json:"database"`
	SSL        bool   `json:"ssl"`
	SSLVerify  bool   `json:"ssl_verify"`
	ServerName string `json:"server_name"`
}

// limit is how many requests there may be in a window.
type limit struct {
	window int
	most   int64
	text   string
}

func readConfig(data json.RawMessage) (*config, []limit, error) {
	c := &config{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, nil, err
	}
	var limits []limit
	for window, most := range [windowCount]*float64{c.Second, c.Minute, c.Hour, c.Day, c.Month, c.Year} {
		if most != nil {
			n := int64(math.Min(math.Ceil(*most), math.MaxInt64/2))
			limits = append(limits, limit{window, n, strconv.FormatInt(n, 10)})
		}
	}
	return c, limits, nil
}

// configSchema describes the configuration.
func configSchema() schema.Record {
	r := schema.Record{Name: "rate-limiting"}
	for _, name := range windowNames {
		r.Fields = append(r.Fields, schema.Field{Name: name, Type: schema.Number, Above: schema.Above(0)})
	}
	r.Fields = append(r.Fields,
		schema.Choice("limit_by", "consumer", "consumer", "credential", "ip", "service", "header", "path"),
		schema.Field{Name: "header_name", Type: schema.String, Check: schema.HeaderName},
		schema.Field{Name: "path", Type: schema.String, Check: schema.Path},
		schema.Choice("policy", "local", "local", "cluster", "redis"),
		schema.Bool("fault_tolerant", true),
		redisSchema(),
		schema.Bool("hide_client_headers", false),
		schema.Field{Name: "error_code", Type: schema.Number, Above: schema.Above(0), Default: 429, Check: status},
		schema.Field{Name: "error_message", Type: schema.String, Default: "API rate limit exceeded"},
		schema.Field{Name: "sync_rate", Type: schema.Number, Required: true, Default: -1},
	)
	needs := schema.Field{Required: true}
	r.Checks = []schema.Check{
		schema.AtLeastOneOf(windowNames[:]...),
		schema.When("policy", schema.Match{OneOf: []any{"redis"}}, "redis.host", needs),
		schema.When("policy", schema.Match{OneOf: []any{"redis"}}, "redis.port", needs),
		schema.When("policy", schema.Match{OneOf: []any{"redis"}}, "redis.timeout", needs),
		schema.When("limit_by", schema.Match{OneOf: []any{"header"}}, "header_name", needs),
		schema.When("limit_by", schema.Match{OneOf: []any{"path"}}, "path", needs),
		{Needs: windowNames[:], Func: growing},
	}
	r.Aliases = map[string][]string{}
	for _, name := range []string{
		"host", "port", "timeout", "username", "password", "database", "ssl", "ssl_verify", "server_name",
	} {
		r.Aliases["redis_"+name] = []string{"redis", name}
	}
	return r
}

func redisSchema() schema.Field {
	return schema.Nested("redis",
		schema.Field{Name: "host", Type: schema.String, Check: schema.HostName},
		schema.Int("port", 0, 65535, 6379),
		schema.Int("timeout", 0, math.MaxInt32-1, 2000),
		schema.Field{Name: "username", Type: schema.String},
		schema.Field{Name: "password", Type: schema.String, MinLen: -1, Hidden: true},
		schema.Field{Name: "database", Type: schema.Integer, Default: 0},
		schema.Bool("ssl", false),
		schema.Bool("ssl_verify", false),
		schema.Field{Name: "server_name", Type: schema.String, Check: schema.ServerName},
	)
}

// status wants what can be the status of a final response.
func status(v any) error {
	n, ok := v.(int64)
	if !ok || n < 200 || n > 999 {
		return fmt.Errorf("value should be between 200 and 999")
	}
	return nil
}

// growing wants no limit to be below that of a shorter window.
func growing(record map[string]any, report func(field, message string)) {
	shorter, below := -1, 0.0
	for i, name := range windowNames {
		v, ok := float(record[name])
		if !ok {
			continue
		}
		if shorter >= 0 && v < below {
			report("", fmt.Sprintf("The limit for %s(%.1f) cannot be lower than the limit for %s(%.1f)",
				name, v, windowNames[shorter], below))
			return
		}
		shorter, below = i, v
	}
}

func float(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
