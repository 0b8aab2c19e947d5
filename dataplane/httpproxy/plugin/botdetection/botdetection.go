// Package botdetection is the plugin bot-detection: clients are refused that
// call themselves what programs do.
package botdetection

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "bot-detection", Version: "1.0.0", Priority: 2500, NoConsumer: true,
		Config: schema.Record{Fields: []schema.Field{expressions("allow"), expressions("deny")}},
		New:    newPlugin,
	}
}

// expressions is an array of regular expressions.
func expressions(name string) schema.Field {
	f := schema.Strings(name, schema.Regexp)
	f.Default = []string{}
	return f
}

type config struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

type plugin struct {
	allow, deny []*regexp.Regexp

	// judged has what was found out about User-Agents, which are always the
	// same few.
	judged sync.Map // of string → bool, true for those that are refused
	known  atomic.Int64
}

// Bounds of what is kept.
const (
	maxJudged = 4096
	maxLength = 512
)

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c config
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	p := &plugin{}
	var err error
	if p.allow, err = compile(c.Allow); err != nil {
		return nil, err
	}
	p.deny, err = compile(c.Deny)
	return p, err
}

func compile(texts []string) ([]*regexp.Regexp, error) {
	all := make([]*regexp.Regexp, 0, len(texts))
	for _, text := range texts {
		r, err := regexp.Compile(text)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	agent, next := x.Request.Header.Next("User-Agent", 0)
	if next < 0 {
		return nil
	}
	if _, next = x.Request.Header.Next("User-Agent", next); next >= 0 {
		x.Refuse(http.StatusBadRequest, "Only one User-Agent header allowed")
		return nil
	}
	if p.refuses(strings.TrimSpace(agent)) {
		x.Refuse(http.StatusForbidden, "Forbidden")
	}
	return nil
}

func (p *plugin) refuses(agent string) bool {
	if v, ok := p.judged.Load(agent); ok {
		return v.(bool)
	}
	refused := p.judge(agent)
	if len(agent) <= maxLength {
		if p.known.Add(1) > maxJudged {
			p.judged.Clear()
			p.known.Store(1)
		}
		p.judged.Store(strings.Clone(agent), refused)
	}
	return refused
}

func (p *plugin) judge(agent string) bool {
	switch {
	case matchAny(p.allow, agent):
		return false
	case matchAny(p.deny, agent):
		return true
	}
	return isBot(agent)
}

func matchAny(all []*regexp.Regexp, s string) bool {
	for _, r := range all {
		if r.MatchString(s) {
			return true
		}
	}
	return false
}
