package masking

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Module makes masking filters.
func Module() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Hides the values of columns in results",
		Specs: param.Specs{
			{Name: "rules", Type: param.TypePath, Mandatory: true, Description: "File of the rules, JSON"},
			{Name: "warn_type_mismatch", Type: param.TypeEnum, Enum: []string{"never", "always"}, Default: "never", Description: "Log a warning when a rule is for a column whose type cannot be masked"},
			{Name: "large_payload", Type: param.TypeEnum, Enum: []string{"ignore", "abort"}, Default: "abort", Description: "What to do with rows of 16 MiB and more: pass them unmasked or close the connection"},
			{Name: "prevent_function_usage", Type: param.TypeBool, Default: true, Description: "Refuse statements that use masked columns in functions and expressions"},
			{Name: "require_fully_parsed", Type: param.TypeBool, Default: true, Description: "Refuse statements that are not understood"},
			{Name: "treat_string_arg_as_field", Type: param.TypeBool, Default: true, Description: "Take strings that are arguments of functions for names of columns too"},
			{Name: "check_user_variables", Type: param.TypeBool, Default: true, Description: "Refuse statements that put masked columns into user variables"},
			{Name: "check_unions", Type: param.TypeBool, Default: true, Description: "Refuse masked columns in the second and later SELECTs of a UNION"},
			{Name: "check_subqueries", Type: param.TypeBool, Default: true, Description: "Refuse masked columns in subqueries"},
		},
		New:      newFilter,
		Commands: commands(),
	}
}

func commands() []dbproxy.Command {
	return []dbproxy.Command{{
		Name: "reload", Description: "Read the rules again", Method: "POST",
		Args: []dbproxy.Argument{{Type: dbproxy.ArgFilter, Description: "Masking filter"}},
		Run: func(_ context.Context, args []any) (any, error) {
			f, ok := args[0].(*maskingFilter)
			if !ok {
				return nil, param.Faults{{Name: "filter", Message: "must be a masking filter"}}
			}
			return nil, f.reload()
		},
	}}
}

type maskingFilter struct {
	log       *slog.Logger
	path      string
	rules     atomic.Pointer[rules]
	key       []byte // of obfuscated values
	checks    checks
	warnTypes bool
	passLarge bool
}

func newFilter(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	p := o.Params
	f := &maskingFilter{
		log: o.Logger, path: p.String("rules"), key: make([]byte, keySize),
		warnTypes: p.String("warn_type_mismatch") == "always",
		passLarge: p.String("large_payload") == "ignore",
		checks: checks{
			functions: p.Bool("prevent_function_usage"), parsed: p.Bool("require_fully_parsed"),
			strings: p.Bool("treat_string_arg_as_field"), variables: p.Bool("check_user_variables"),
			unions: p.Bool("check_unions"), subqueries: p.Bool("check_subqueries"),
		},
	}
	if _, err := rand.Read(f.key); err != nil {
		return nil, err
	}
	return f, f.reload()
}

// reload reads the rules. Those there are stay when it fails.
func (f *maskingFilter) reload() error {
	text, err := filter.ReadRules(f.path)
	if err != nil {
		return param.Faults{{Name: "rules", Message: err.Error()}}
	}
	r, err := parseRules(text)
	if err != nil {
		return param.Faults{{Name: "rules", Message: err.Error()}}
	}
	f.rules.Store(&r)
	return nil
}

// Session implements dbproxy.Filter.
func (f *maskingFilter) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return &handler{filter: f, session: s, next: next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *maskingFilter) Diagnostics() map[string]any {
	return map[string]any{"rules": len(*f.rules.Load())}
}

// Close implements dbproxy.Filter.
func (f *maskingFilter) Close() {}
