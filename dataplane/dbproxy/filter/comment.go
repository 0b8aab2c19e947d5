package filter

import (
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Comment is the module comment, which puts a comment before each statement
// ("Comment Filter", MaxScale). Statements too long to be read get none.
func Comment() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Puts a comment before each statement",
		Specs: param.Specs{
			{Name: "inject", Type: param.TypeString, Mandatory: true, Description: "The comment, in which $IP is the address of the client"},
		},
		New: func(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
			inject := o.Params.String("inject")
			if strings.Contains(inject, "*/") || strings.Contains(inject, "/*") || strings.ContainsRune(inject, 0) {
				return nil, param.Faults{{Name: "inject", Message: "must not end or begin a comment"}}
			}
			return &commentFilter{inject}, nil
		},
	}
}

type commentFilter struct{ inject string }

// Session implements dbproxy.Filter.
func (f *commentFilter) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return &commentSession{"/* " + strings.ReplaceAll(f.inject, "$IP", hostOf(s.Remote())) + " */", next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *commentFilter) Diagnostics() map[string]any { return map[string]any{"inject": f.inject} }

// Close implements dbproxy.Filter.
func (f *commentFilter) Close() {}

type commentSession struct {
	comment string
	next    dbproxy.Handler
}

// Handle implements dbproxy.Handler.
func (s *commentSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if text, ok := r.SQL(); ok {
		r.SetSQL(append([]byte(s.comment), text...))
	}
	return s.next.Handle(r, to)
}

// Close implements dbproxy.Handler.
func (s *commentSession) Close() {}
