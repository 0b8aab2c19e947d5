package builtin

import (
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/cache"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/firewall"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/masking"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/tee"
)

func filters() map[string]dbproxy.FilterModule {
	return map[string]dbproxy.FilterModule{
		"cache":             cache.Module(),
		"ccrfilter":         filter.CCR(),
		"comment":           filter.Comment(),
		"dbfwfilter":        firewall.Module(),
		"hintfilter":        filter.Hint(),
		"masking":           masking.Module(),
		"maxrows":           filter.MaxRows(),
		"namedserverfilter": filter.NamedServer(),
		"qlafilter":         filter.QLA(),
		"regexfilter":       filter.Regex(),
		"tee":               tee.Module(),
		"throttlefilter":    filter.Throttle(),
		"topfilter":         filter.Top(),
	}
}
