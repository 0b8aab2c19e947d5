package gateway

import (
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// messages are the messages of the collections, in their order.
func messages() []protoreflect.Message {
	return []protoreflect.Message{
		(&gatewayv1.Service{}).ProtoReflect(), (&gatewayv1.Route{}).ProtoReflect(), (&gatewayv1.Certificate{}).ProtoReflect(),
		(&gatewayv1.Sni{}).ProtoReflect(), (&gatewayv1.CaCertificate{}).ProtoReflect(), (&gatewayv1.Upstream{}).ProtoReflect(),
		(&gatewayv1.Target{}).ProtoReflect(), (&gatewayv1.Consumer{}).ProtoReflect(), (&gatewayv1.Plugin{}).ProtoReflect(),
		(&gatewayv1.KeyAuth{}).ProtoReflect(), (&gatewayv1.BasicAuth{}).ProtoReflect(), (&gatewayv1.Jwt{}).ProtoReflect(), (&gatewayv1.ACL{}).ProtoReflect(),
	}
}

// FuzzDocuments: whatever document is valid fits into its message, the data
// plane can read it, and what the message says is the same again.
func FuzzDocuments(f *testing.F) {
	const consumer = `"consumer":{"id":"11111111-2222-4333-8444-555555555555"}`
	for i, document := range []string{
		`{"host":"h","url":"https://x/y","tags":["a"],"retries":3}`, `{"paths":["/a","~/b"],"headers":{"x":["y"]},"sources":null}`,
		`{"protocols":["tcp"],"sources":[{"ip":"10.0.0.0/8","port":1}]}`, `{"name":"u","healthchecks":{"active":{"concurrency":2147483648,"timeout":0.5,"headers":{"a":["b"]}}}}`,
		`{"target":"[::1]:80","weight":0,"upstream":{"id":"11111111-2222-4333-8444-555555555555"}}`, `{"username":"ann","custom_id":null}`,
		`{"name":"p","config":{"a":[1,2.5,{"b":null}]}}`, `{` + consumer + `,"key":"k","ttl":5}`, `{` + consumer + `,"username":"u","password":"p"}`,
		`{` + consumer + `,"secret":"s"}`, `{` + consumer + `,"group":"g"}`,
	} {
		f.Add(uint8(i), document)
		f.Add(uint8([]int{0, 1, 1, 5, 6, 7, 8, 9, 10, 11, 12}[i]), document)
	}
	all, kinds := entity.Collections(), messages()
	f.Fuzz(func(t *testing.T, n uint8, text string) {
		c, m := all[int(n)%len(all)], kinds[int(n)%len(all)].New()
		sent, err := schema.DecodeObject([]byte(text))
		if err != nil {
			return
		}
		doc, wrong := c.New(sent, time.Unix(1, 0))
		if wrong != nil {
			if invalid(wrong).Error() == "" {
				t.Error("a refusal without a word")
			}
			return
		}
		if err := fill(m, doc); err != nil {
			t.Fatalf("%s: %v: %v", c.Name, err, doc)
		}
		again := m.New()
		shown, err := documentOf(m, nil)
		if err == nil {
			err = fill(again, shown)
		}
		if err != nil || !equal(m, again) {
			t.Errorf("%s: %v: %v becomes %v", c.Name, err, m, again)
		}
		v, err := entityOf(c.Name)
		if err == nil {
			err = schema.Into(doc, v)
		}
		if err != nil {
			t.Errorf("%s: the data plane cannot read %v: %v", c.Name, doc, err)
		}
	})
}

func equal(a, b protoreflect.Message) bool {
	x, errX := documentOf(a, nil)
	y, errY := documentOf(b, nil)
	return errX == nil && errY == nil && schema.Equal(x, y)
}

// FuzzFilter: filters, offsets and masks are read or refused.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{"a,b", "a/b", "", "a,b/c", "11111111-2222-4333-8444-555555555555", "5.11111111-2222-4333-8444-555555555555", "healthchecks.active.timeout", "config.a.b", ".", "a..b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range entity.Collections() {
			if where, err := withTags(c, text); (err == nil) != (len(where) > 0) {
				t.Errorf("%q: %v, %v", text, where, err)
			}
		}
		for _, newest := range []bool{false, true} {
			if where, err := after(text, newest); (err == nil) != (where != nil) {
				t.Errorf("%q: %v", text, err)
			}
		}
		for _, m := range messages() {
			if doc, err := documentOf(m, []string{text}); err == nil && len(doc) != 1 {
				t.Errorf("%q becomes %v", text, doc)
			}
		}
	})
}
