package schema

import (
	"testing"
)

// settled tells a failure when a valid document is not the same once more.
func settled(t *testing.T, r *Record, doc map[string]any) {
	t.Helper()
	full := r.Complete(doc)
	if v := r.Validate(full); v != nil {
		if v.Error() == "" || len(v.Fields) == 0 {
			t.Fatalf("violations without a word: %v", v.Fields)
		}
		return
	}
	data := encode(t, full)
	again := r.Complete(decode(t, data))
	if v := r.Validate(again); v != nil {
		t.Fatalf("%s was valid: %v", data, v)
	}
	if !Equal(full, again) {
		t.Fatalf("%s became %s", data, encode(t, again))
	}
	if back := r.Complete(r.Show(full)); !Equal(back, full) {
		t.Fatalf("%s shown and taken back became %s", data, encode(t, back))
	}
	if merged := r.Merge(full, full); !Equal(merged, full) {
		t.Fatalf("%s merged with itself became %s", data, encode(t, merged))
	}
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`{"host":"a.b","config":{"redis_host":"r"},"tags":["x","x"],"sources":[{"ip":"::1"},{"ip":"::1","port":null}]}`,
		`{"host":"a","parent":{"id":"4E3AD2E4-0bc4-4638-8e34-c84a417ba39b","name":"n"},"any":[{}],"share":1e5}`,
		`{"host":"a","parent":{"name":"n"},"headers":{"x":["y"]},"config":{"redis":null,"redis_host":null}}`,
		`{"config":[],"headers":"x","methods":{"1":"GET"},"@entity":"x","":{"":[null]}}`,
		`{"config":{"redis":7,"redis_host":"h"},"paths":["~/(","/%41"]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := DecodeObject(data)
		if err != nil {
			return
		}
		r := example()
		settled(t, &r, doc)
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{
		`host=a&port=80&on=false&name=&paths[]=/a&paths[1]=/b&headers.x.y=1&config.redis_host=h`,
		`a[b].c[]=1&a[b].c[2]=3&.=&[]=1&[x]=2&a..b=4&sources[1].ip=::1&parent[id]=x&any.x=1`,
		`a[999999999999]=1&a[1=2&%zz=1&=&==&host=%ff`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, form string) {
		pairs, err := ParseForm(form)
		if err != nil {
			return
		}
		r := example()
		doc, err := r.FromForm(pairs)
		if err != nil {
			return
		}
		settled(t, &r, doc)
	})
}
