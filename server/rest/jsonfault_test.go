package rest

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestWhereJSON: faults are told in the words of Python's json module.
func TestWhereJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "Expecting value: line 1 column 1 (char 0)", " ": "Expecting value: line 1 column 2 (char 1)",
		"{":        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
		`{"a"`:     "Expecting ':' delimiter: line 1 column 5 (char 4)",
		`{"a":`:    "Expecting value: line 1 column 6 (char 5)",
		`{"a":1`:   "Expecting ',' delimiter: line 1 column 7 (char 6)",
		`{"a":1,`:  "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)",
		`{"a":1,}`: "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)",
		`{a:1}`:    "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
		`{"a" 1}`:  "Expecting ':' delimiter: line 1 column 6 (char 5)",
		"[1,]":     "Expecting value: line 1 column 4 (char 3)", "[": "Expecting value: line 1 column 2 (char 1)", "[1 2]": "Expecting ',' delimiter: line 1 column 4 (char 3)",
		`"`: "Unterminated string starting at: line 1 column 1 (char 0)", `["a\`: "Unterminated string starting at: line 1 column 2 (char 1)",
		"\"a\n\"": "Invalid control character at: line 1 column 3 (char 2)", `"\x"`: `Invalid \escape: line 1 column 2 (char 1)`,
		`"\u12"`: `Invalid \uXXXX escape: line 1 column 3 (char 2)`, `"\u1234`: `Invalid \uXXXX escape: line 1 column 3 (char 2)`, `"\u12x4"`: `Invalid \uXXXX escape: line 1 column 3 (char 2)`,
		"{} x": "Extra data: line 1 column 4 (char 3)", "01": "Extra data: line 1 column 2 (char 1)", "1.": "Extra data: line 1 column 2 (char 1)", "1e": "Extra data: line 1 column 2 (char 1)",
		"nul": "Expecting value: line 1 column 1 (char 0)", "-": "Expecting value: line 1 column 1 (char 0)", "NaN": "Expecting value: line 1 column 1 (char 0)",
		`{"é":é}`: "Expecting value: line 1 column 6 (char 5)", "{\n \"a\": 1,\n  b}": "Expecting property name enclosed in double quotes: line 3 column 3 (char 13)",
	} {
		got, ok := whereJSON(text)
		if !ok || got.Error() != want || got.Doc != text {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
	for _, text := range []string{`{}`, ` [1, -0.5e+3, 0, "a\u00e9\\\"", true, false, null, {"a": []}] `, strings.Repeat("[", 2000)} {
		if got, ok := whereJSON(text); ok {
			t.Errorf("%.40q is said to be wrong: %v", text, got)
		}
	}
}

// FuzzWhereJSON: a fault is found in what is no JSON, and in nothing else.
func FuzzWhereJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,-2.5e-3,"\u00e9\n",true,false,null,{}]}`, `{"a":1,}`, `[1 2]`, `"\ud800\udc00"`, `"\u12`, "\"\x01\"", "01", "1.e", "- 1", " ", "[[[[", "{\"a\"\n:\n}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		got, ok := whereJSON(text)
		valid := json.Valid([]byte(text))
		deep := strings.Count(text, "[")+strings.Count(text, "{") > maxJSONDepth
		if ok && valid || !ok && !valid && !deep {
			t.Fatalf("%q is valid: %v, and has the fault %v", text, valid, got)
		}
		if !ok {
			return
		}
		// What comes before the fault is the beginning of some text, or has the
		// string in it that does not end.
		runes := []rune(text)
		if got.Pos < 0 || got.Pos > len(runes) || got.Line != strings.Count(string(runes[:got.Pos]), "\n")+1 || got.Column < 1 || got.Column > got.Pos+1 {
			t.Fatalf("%q has the fault %+v", text, got)
		}
	})
}
