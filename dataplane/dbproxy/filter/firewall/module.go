package firewall

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Module makes database firewalls.
func Module() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Refuses statements by rules",
		Specs: param.Specs{
			{Name: "rules", Type: param.TypePath, Mandatory: true, Description: "File of the rules"},
			{Name: "action", Type: param.TypeEnum, Enum: []string{"block", "allow", "ignore"}, Default: "block", Description: "What to do with statements that match: refuse them, let only them pass, or let all pass"},
			{Name: "log_match", Type: param.TypeBool, Default: false, Description: "Log statements that match"},
			{Name: "log_no_match", Type: param.TypeBool, Default: false, Description: "Log statements that do not match"},
			{Name: "strict", Type: param.TypeBool, Default: true, Description: "Refuse statements that are not understood, and several statements in one"},
			{Name: "treat_string_as_field", Type: param.TypeBool, Default: true, Description: "Take strings in double quotes for names of columns too"},
			{Name: "treat_string_arg_as_field", Type: param.TypeBool, Default: true, Description: "Take strings that are arguments of functions for names of columns too"},
		},
		New:      newFilter,
		Commands: commands(),
	}
}

var errNotFirewall = param.Faults{{Name: "filter", Message: "must be a database firewall"}}

func commands() []dbproxy.Command {
	one := dbproxy.Argument{Type: dbproxy.ArgFilter, Description: "Database firewall"}
	return []dbproxy.Command{
		{
			Name: "rules", Description: "Show the rules and how often they matched", Method: "GET", Args: []dbproxy.Argument{one},
			Run: func(_ context.Context, args []any) (any, error) {
				f, ok := args[0].(*firewall)
				if !ok {
					return nil, errNotFirewall
				}
				return f.statistics(), nil
			},
		},
		{
			Name: "rules/reload", Description: "Read the rules again, or from another file", Method: "POST",
			Args: []dbproxy.Argument{one, {Type: dbproxy.ArgString, Optional: true, Description: "File of the rules"}},
			Run: func(_ context.Context, args []any) (any, error) {
				f, ok := args[0].(*firewall)
				if !ok {
					return nil, errNotFirewall
				}
				path := ""
				if len(args) > 1 {
					path, _ = args[1].(string) //nolint:errcheck // "" when it is not given
				}
				return nil, f.reload(path)
			},
		},
	}
}

type action uint8

const (
	actionBlock action = iota
	actionAllow
	actionIgnore
)

type firewall struct {
	log    *slog.Logger
	rules  atomic.Pointer[ruleset]
	now    func() time.Time
	action action

	logMatch, logNoMatch, strict, strings, stringArgs bool

	mu   sync.Mutex // held while rules are read
	path string
}

func newFilter(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	p := o.Params
	f := &firewall{
		log: o.Logger, now: time.Now, path: p.String("rules"), logMatch: p.Bool("log_match"), logNoMatch: p.Bool("log_no_match"),
		strict: p.Bool("strict"), strings: p.Bool("treat_string_as_field"), stringArgs: p.Bool("treat_string_arg_as_field"),
	}
	switch p.String("action") {
	case "allow":
		f.action = actionAllow
	case "ignore":
		f.action = actionIgnore
	}
	return f, f.reload("")
}

// reload reads the rules, from another file from now on unless path is "". The
// rules there are stay when it fails.
func (f *firewall) reload(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if path == "" {
		path = f.path
	}
	set, err := f.read(path)
	if err != nil {
		return param.Faults{{Name: "rules", Message: err.Error()}}
	}
	f.path = path
	f.rules.Store(set)
	return nil
}

func (f *firewall) read(path string) (*ruleset, error) {
	text, err := filter.ReadRules(path)
	if err != nil {
		return nil, err
	}
	set, err := parseRules(string(text))
	if err != nil {
		return nil, err
	}
	for _, r := range set.rules {
		if r.kind == kindLimit && f.action == actionAllow {
			return nil, errors.New("has limit_queries, which goes not with action=allow")
		}
	}
	return set, nil
}

// statistics tells of each rule how often it matched.
func (f *firewall) statistics() []any {
	list := []any{}
	for _, r := range f.rules.Load().rules {
		list = append(list, map[string]any{"name": r.name, "type": string(r.kind), "times_matched": r.matched.Load()})
	}
	return list
}

// Session implements dbproxy.Filter.
func (f *firewall) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return &handler{firewall: f, session: s, next: next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *firewall) Diagnostics() map[string]any { return map[string]any{"rules": f.statistics()} }

// Close implements dbproxy.Filter.
func (f *firewall) Close() {}
