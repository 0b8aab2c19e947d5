// Package builtin has the plugins that every gateway has.
package builtin

import (
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/acl"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/basicauth"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/botdetection"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/correlationid"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/cors"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/iprestriction"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/jwt"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/keyauth"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/requestsizelimiting"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/requesttermination"
)

// Modules are the plugins, in the order in which they are run.
func Modules() []httpproxy.PluginModule {
	return []httpproxy.PluginModule{
		correlationid.Module(),
		botdetection.Module(),
		cors.Module(),
		jwt.Module(),
		keyauth.Module(),
		basicauth.Module(),
		iprestriction.Module(),
		requestsizelimiting.Module(),
		acl.Module(),
		requesttermination.Module(),
	}
}
