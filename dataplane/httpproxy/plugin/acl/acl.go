// Package acl is the plugin acl: consumers pass by the groups that they are in.
package acl

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/authn"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "acl", Version: "1.0.0", Priority: 950, NoConsumer: true,
		Config: schema.Record{
			Fields: []schema.Field{
				schema.Strings("allow", nil),
				schema.Strings("deny", nil),
				schema.Bool("hide_groups_header", false),
				schema.Bool("always_use_authenticated_groups", false),
			},
			Checks: []schema.Check{schema.OnlyOneOf("allow", "deny")},
		},
		New: newPlugin,
	}
}

type config struct {
	Allow                        []string `json:"allow"`
	Deny                         []string `json:"deny"`
	HideGroupsHeader             bool     `json:"hide_groups_header"`
	AlwaysUseAuthenticatedGroups bool     `json:"always_use_authenticated_groups"`
}

type plugin struct {
	config
	groups map[string]bool
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{groups: map[string]bool{}}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	for _, g := range append(p.Allow, p.Deny...) {
		p.groups[g] = true
	}
	return p, nil
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	groups, field, known := p.groupsOf(x)
	h := &x.Request.Header
	h.Del(authn.ConsumerGroups)
	h.Del(authn.AuthenticatedGroups)
	switch {
	case !known:
		x.Refuse(http.StatusUnauthorized, authn.Unauthorized)
		return nil
	case p.isIn(groups) != (len(p.Allow) > 0):
		x.Refuse(http.StatusForbidden, "You cannot consume this service")
		return nil
	}
	if !p.HideGroupsHeader && len(groups) > 0 {
		h.Add(field, strings.Join(groups, ", "))
	}
	return nil
}

// groupsOf is the groups that a request is judged by: those of its consumer, or
// those that a plugin has found out. It is not known who it is from if there is
// neither.
func (p *plugin) groupsOf(x *httpproxy.Exchange) (groups []string, field string, known bool) {
	// What a plugin has found out comes before the groups of a consumer that
	// only stands in for somebody unknown.
	if found := x.Groups != nil; found && (x.Consumer == nil || x.Credential == nil || p.AlwaysUseAuthenticatedGroups) {
		return x.Groups, authn.AuthenticatedGroups, true
	}
	if x.Consumer == nil {
		return nil, "", false
	}
	return x.View().Groups(x.Consumer.ID), authn.ConsumerGroups, true
}

func (p *plugin) isIn(groups []string) bool {
	return slices.ContainsFunc(groups, func(g string) bool { return p.groups[g] })
}
