package mongodb

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/internal/frames"
)

func TestNames(t *testing.T) {
	for _, c := range [][2]string{{"shop", "u_shop"}, {"тест", `a"; DROP`}, {strings.Repeat("n", 63), strings.Repeat("n", 256)}} {
		if err := checkNames(c[0], c[1]); err != nil {
			t.Errorf("%q: %v", c, err)
		}
	}
	for _, c := range [][2]string{
		{"", "u"}, {"admin", "u"}, {"Admin", "u"}, {"config", "u"}, {"local", "u"}, {"a/b", "u"}, {`a\b`, "u"}, {"a.b", "u"}, {"a b", "u"}, {`a"b`, "u"},
		{"a$b", "u"}, {"a*b", "u"}, {"a<b", "u"}, {"a>b", "u"}, {"a:b", "u"}, {"a|b", "u"}, {"a?b", "u"}, {"a\x00b", "u"}, {"a\nb", "u"}, {"a\u00a0b", "u"},
		{"a\xffb", "u"}, {strings.Repeat("n", 64), "u"}, {"shop", ""}, {"shop", "a\x00b"}, {"shop", "a\xffb"}, {"shop", strings.Repeat("n", 257)},
	} {
		var f *connectors.Failure
		if err := checkNames(c[0], c[1]); !errors.As(err, &f) || f.Code != connectors.InvalidConfig {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// FuzzCollection reads anything, and what it takes can be written and read.
func FuzzCollection(f *testing.F) {
	for _, c := range []collection{
		{Name: "goods", Type: "collection"},
		{Name: "a view", Type: "view", Options: raw(bson.D{{Key: "viewOn", Value: "goods"}})},
		{Name: "x", Type: "collection", Indexes: []bson.Raw{raw(bson.D{{Key: "name", Value: "of x"}})}},
		{Name: "x", Indexes: []bson.Raw{raw(bson.D{{Key: "name", Value: 1}})}}, {Name: "system.users"}, {},
	} {
		f.Add([]byte(raw(c)))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := parseCollection(payload)
		if err != nil {
			if !errors.Is(err, frames.ErrDamaged) {
				t.Errorf("got %v", err)
			}
			return
		}
		first := raw(c)
		again, err := parseCollection(first)
		if err != nil || !bytes.Equal(raw(again), first) {
			t.Errorf("%v came back as %v, %v", c, again, err)
		}
	})
}

func raw(v any) bson.Raw {
	b, err := bson.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
