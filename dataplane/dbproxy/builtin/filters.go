package builtin

import (
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter"
)

func filters() map[string]dbproxy.FilterModule {
	return map[string]dbproxy.FilterModule{
		"ccrfilter":         filter.CCR(),
		"comment":           filter.Comment(),
		"hintfilter":        filter.Hint(),
		"maxrows":           filter.MaxRows(),
		"namedserverfilter": filter.NamedServer(),
		"qlafilter":         filter.QLA(),
		"regexfilter":       filter.Regex(),
		"throttlefilter":    filter.Throttle(),
		"topfilter":         filter.Top(),
	}
}
