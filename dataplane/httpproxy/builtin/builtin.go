// Package builtin has the plugins that every gateway has.
package builtin

import (
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/acl"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/autogateway"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/basicauth"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/botdetection"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/correlationid"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/cors"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/filelog"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/httplog"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/iprestriction"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/jwt"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/keyauth"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/prometheus"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/proxycache"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/ratelimiting"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/requestsizelimiting"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/requesttermination"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/requesttransformer"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/responsetransformer"
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
		ratelimiting.Module(),
		autogateway.Module(),
		oasvalidation.Module(),
		requesttransformer.Module(),
		responsetransformer.Module(),
		proxycache.Module(),
		prometheus.Module(),
		httplog.Module(),
		filelog.Module(),
		requesttermination.Module(),
	}
}
