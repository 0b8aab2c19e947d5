package dbaas

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
)

// query is what the queries of all entities have.
type query[Q, R, O any] interface {
	Clone() Q
	Count(context.Context) (int, error)
	Order(...O) Q
	Limit(int) Q
	Offset(int) Q
	All(context.Context) ([]R, error)
}

// listed reads the page of a query that a request asks for. usual is the
// order when the request names none.
func listed[Q query[Q, R, O], R any, O ~func(*sql.Selector)](ctx context.Context, q Q, req pageRequest, cols columns, usual, collection string) ([]R, *dbaasv1.ListLinks, error) {
	count, err := q.Clone().Count(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := pageOf(req, count)
	if err != nil {
		return nil, nil, err
	}
	rows, err := q.Order(orders[O](cols, cmp.Or(req.GetOrdering(), usual))...).Limit(p.size).Offset(p.offset()).All(ctx)
	return rows, p.links(ctx, collection), err
}

// changed says which fields an update is about: those of its mask, or those
// that are set when it has none.
func changed(in proto.Message, mask []string) func(field string) bool {
	fields := in.ProtoReflect().Descriptor().Fields()
	set := map[string]bool{}
	for _, name := range mask {
		set[name] = true
	}
	if len(mask) == 0 {
		for i := range fields.Len() {
			set[string(fields.Get(i).Name())] = in.ProtoReflect().Has(fields.Get(i))
		}
	}
	return func(field string) bool { return set[field] }
}

const maxDescription = 4096 // characters

// checkLabel checks a name that is for people.
func checkLabel(name string) (fault string) {
	switch {
	case strings.TrimSpace(name) == "":
		return required
	case strings.ContainsFunc(name, unicode.IsControl):
		return "Enter a valid value."
	}
	return tooLong(name, maxGivenName)
}

func checkDescription(text string) (fault string) {
	if strings.ContainsRune(text, 0) {
		return "Enter a valid value."
	}
	return tooLong(text, maxDescription)
}

func tooLong(text string, most int) (fault string) {
	if n := utf8.RuneCountInString(text); n > most {
		return fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", most, n)
	}
	return ""
}

// exists is the message about a name that is taken.
func exists(what string) string {
	return fmt.Sprintf("%s with this %s name already exists.", what, what)
}
