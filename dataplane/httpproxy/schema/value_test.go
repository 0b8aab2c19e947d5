package schema

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for s, want := range map[string]any{
		`1`:                        int64(1),
		`-0`:                       int64(0),
		`9223372036854775807`:      int64(9223372036854775807),
		`9223372036854775808`:      float64(9223372036854775808),
		`80.0`:                     int64(80),
		`1e3`:                      int64(1000),
		`1.5`:                      1.5,
		`"a"`:                      "a",
		`null`:                     nil,
		`[1,{"a":2}]`:              []any{int64(1), map[string]any{"a": int64(2)}},
		`{"a":1,"a":2}`:            map[string]any{"a": int64(2)},
		` {"a":"[[{\"[" , "b":[]}`: map[string]any{"a": `[[{"[`, "b": []any{}},
	} {
		got, err := Decode([]byte(s))
		if err != nil || !Equal(got, want) || encode(t, got) != encode(t, want) {
			t.Errorf("%s: %#v %v", s, got, err)
		}
	}
	for _, s := range []string{``, `{`, `{}x`, `1 2`, `1e999`, `[1e999]`, `{"a":-1e999}`, `nul`, "\xff"} {
		if v, err := Decode([]byte(s)); err == nil {
			t.Errorf("%s: %v", s, v)
		}
	}
	for _, s := range []string{`[]`, `1`, `null`, ``} {
		if v, err := DecodeObject([]byte(s)); err == nil {
			t.Errorf("%s: %v", s, v)
		}
	}
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if _, err := Decode(deep(MaxDepth)); err != nil {
		t.Error(err)
	}
	if _, err := Decode(deep(MaxDepth + 1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := Decode([]byte(`"` + strings.Repeat("a", MaxSize) + `"`)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestInto(t *testing.T) {
	var c struct {
		Port  int     `json:"port"`
		Name  string  `json:"name"`
		Share float64 `json:"share"`
	}
	if err := Into(map[string]any{"port": int64(5), "name": nil, "share": 0.5}, &c); err != nil || c.Port != 5 || c.Share != 0.5 {
		t.Errorf("%+v %v", c, err)
	}
	if err := Into(json.RawMessage(`{"port":6}`), &c); err != nil || c.Port != 6 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestEqual(t *testing.T) {
	values := []any{nil, true, false, int64(1), 1.5, "", "1", []any{}, []any{nil}, map[string]any{}, map[string]any{"a": nil}}
	for i, a := range values {
		for j, b := range values {
			if Equal(a, b) != (i == j) {
				t.Errorf("%#v and %#v", a, b)
			}
		}
	}
	if !Equal(int64(1), 1.0) || !Equal([]any{1}, []any{int64(1)}) {
		t.Error("numbers of different types differ")
	}
}

func TestDescribe(t *testing.T) {
	f := Field{
		Name: "f", Type: String, Required: true, Unique: true, UUID: true, Default: "x", OneOf: []any{"x", "y"},
		MinLen: -1, MaxLen: 5, StartsWith: "/", Match: "^a", Hidden: true, Description: "what it is",
	}
	want := `{"default":"x","description":"what it is","encrypted":true,"len_max":5,"len_min":0,"match":"^a","one_of":["x","y"],` +
		`"required":true,"starts_with":"/","type":"string","unique":true,"uuid":true}`
	if got := encode(t, f.Describe()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r := example()
	d := r.Describe()
	names := []string{}
	for _, field := range d["fields"].([]any) {
		for name := range field.(map[string]any) {
			names = append(names, name)
		}
	}
	if got := strings.Join(names, " "); got != "id created_at name host port share on paths methods headers parent config sources any tags" {
		t.Errorf("the order is %s", got)
	}
	if got := encode(t, r.Field("headers").Describe()); got != `{"keys":{"type":"string"},"type":"map","values":{"elements":{"type":"string"},"type":"array"}}` {
		t.Error(got)
	}
	if got := encode(t, d["entity_checks"]); got != `[{"mutually_exclusive":["paths","methods"]}]` {
		t.Error(got)
	}
}

func TestViolationsOfFieldsBelow(t *testing.T) {
	v := Violation("service.id", "missing primary key")
	v.Add("service.id", "again")
	v.Add("service.id.x", "below a message")
	v.Add("", "first")
	v.Add("", "second")
	v.Add("config.a.b", "deep")
	const want = "4 schema violations (first; second; config.a.b: deep; service.id: missing primary key)"
	if v.Error() != want {
		t.Errorf("got  %s\nwant %s", v, want)
	}
	if got := encode(t, v.Fields); got != `{"@entity":["first","second"],"config":{"a":{"b":"deep"}},"service":{"id":"missing primary key"}}` {
		t.Error(got)
	}
	var none Violations
	none.Add("a", "b")
	if none.Error() != "schema violation (a: b)" {
		t.Error(none.Error())
	}
}

func TestLengthsAndTypes(t *testing.T) {
	text := Field{Type: String, MinLen: 2, MaxLen: 3, StartsWith: "a"}
	list := Field{Type: Array, MaxLen: 1, Elements: &Field{Type: Number}}
	reference := Field{Type: Foreign}
	for _, c := range []struct {
		f    Field
		v    any
		want any
	}{
		{text, "a", "length must be at least 2"},
		{text, "abcd", "length must be at most 3"},
		{text, "bcd", "should start with: a"},
		{text, "abc", nil},
		{text, int64(1), "expected a string"},
		{text, true, "expected a string"},
		{text, []any{}, "expected a string"},
		{text, map[string]any{}, "expected a string"},
		{text, struct{}{}, "expected a string"},
		{Field{Type: String, MinLen: -1}, "", nil},
		{list, []any{0.5}, nil},
		{list, []any{0.5, int64(1)}, "length must be at most 1"},
		{list, "x", "expected an array"},
		{Field{Type: Map, MinLen: 1}, map[string]any{}, "length must be at least 1"},
		{Field{Type: Map, Values: &Field{Type: String}}, map[string]any{"a": nil}, "required field missing"},
		{Field{Type: Number}, "1", "expected a number"},
		{Field{Type: Boolean}, "true", "expected a boolean"},
		{Field{Type: RecordT}, "x", "expected a record"},
		{Field{Type: Integer, OneOf: []any{1, 2}}, int64(3), "expected one of: 1, 2"},
		{Field{Type: Integer, OneOf: []any{1, 2}}, 2.0, nil},
		{Field{Type: Number, Between: Between(0.5, 2)}, 0.25, "value should be between 0.5 and 2"},
		{reference, map[string]any{"id": int64(1)}, map[string]any{"id": "expected a valid UUID"}},
		{reference, map[string]any{"id": nil, "name": "n"}, map[string]any{"id": "missing primary key"}},
	} {
		if got := c.f.Validate(c.v); encode(t, got) != encode(t, c.want) {
			t.Errorf("%v as %s: %v, want %v", c.v, c.f.Type, got, c.want)
		}
	}
	for _, v := range []any{"x", int64(1), 0.5, true, []any{nil}, map[string]any{"a": nil}} {
		if got := (&Field{Type: JSON}).Validate(v); got != nil {
			t.Errorf("%v as anything: %v", v, got)
		}
	}
}
