package entity

import (
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// What is valid can be stored, read, and changed by itself.
func FuzzNew(f *testing.F) {
	for i, c := range Collections() {
		f.Add(uint8(i), []byte(valid[c.Name]))
	}
	f.Add(uint8(0), []byte(`{"url":"https://u@[::1]:x/?y"}`))
	f.Add(uint8(1), []byte(`{"protocols":["tcp"],"sources":[{"port":1}]}`))
	f.Add(uint8(5), []byte(`{"name":"a","hash_on":"cookie","hash_on_cookie":"c","healthchecks":{"active":{"timeout":0.1}}}`))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		sent, err := schema.DecodeObject(data)
		if err != nil {
			return
		}
		c := Collections()[int(kind)%len(Collections())]
		doc, wrong := c.New(sent, now)
		if wrong != nil {
			_ = wrong.Error()
			return
		}
		if err := schema.Into(doc, structs[c.Name]()); err != nil {
			t.Fatalf("%s %s: %v", c.Name, data, err)
		}
		again, wrong := c.Change(doc, map[string]any{}, now)
		if wrong != nil || !schema.Equal(doc, again) {
			t.Fatalf("%s %s: changed by nothing: %v %v", c.Name, encode(t, doc), again, wrong)
		}
	})
}
