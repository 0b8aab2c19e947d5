package oasvalidation

import (
	"net/http"
	"strings"
	"testing"
)

const (
	integers = `{"type":"array","items":{"type":"integer"}}`
	color    = `{"type":"object","properties":{"R":{"type":"integer"},"G":{"type":"integer"}},"required":["R"],"additionalProperties":false}`
)

// style is a parameter in one of its ways to be written.
type style struct {
	in, style string
	explode   bool
	schema    string
	good, bad []string
}

// The examples of the table "Style Examples" of the OpenAPI Specification, in
// all combinations, and faults in each.
var allStyles = []style{
	{"path", "simple", false, `{"type":"integer"}`, []string{"5", "-5", "%35"}, []string{"x", "5,6", "5.5", "%2B"}},
	{"path", "simple", true, `{"type":"integer"}`, []string{"5"}, []string{"x"}},
	{"path", "simple", false, integers, []string{"3", "3,4,5"}, []string{"3,x", "3.4", "3,"}},
	{"path", "simple", true, integers, []string{"3,4,5"}, []string{"3;4"}},
	{"path", "simple", false, color, []string{"R,100,G,200"}, []string{"R,x", "G,100", "R,1,G", "R=1", "R,1,B,2"}},
	{"path", "simple", true, color, []string{"R=100,G=200"}, []string{"R=x", "G=100", "R,100"}},
	{"path", "label", false, `{"type":"integer"}`, []string{".5"}, []string{"5", ".x"}},
	{"path", "label", true, `{"type":"integer"}`, []string{".5"}, []string{"5"}},
	{"path", "label", false, integers, []string{".3,4,5"}, []string{"3,4", ".3.x"}},
	{"path", "label", true, integers, []string{".3.4.5"}, []string{".3,4", "3.4"}},
	{"path", "label", false, color, []string{".R,100,G,200"}, []string{".R=100", "R,100"}},
	{"path", "label", true, color, []string{".R=100.G=200"}, []string{".R,100", ".G=1"}},
	{"path", "matrix", false, `{"type":"integer"}`, []string{";p=5"}, []string{"5", ";q=5", ";p=x"}},
	{"path", "matrix", true, `{"type":"integer"}`, []string{";p=5"}, []string{"p=5"}},
	{"path", "matrix", false, integers, []string{";p=3,4,5"}, []string{";p=3;p=4", "3,4"}},
	{"path", "matrix", true, integers, []string{";p=3;p=4;p=5", ";p=3"}, []string{";p=3,4", ";q=3"}},
	{"path", "matrix", false, color, []string{";p=R,100,G,200"}, []string{";R=100", ";p=R"}},
	{"path", "matrix", true, color, []string{";R=100;G=200"}, []string{";p=R,100", ";G=1"}},

	{"query", "form", true, `{"type":"integer"}`, []string{"p=5", "q=1&p=5", "p=%35", "%70=5"}, []string{"p=x", "p=", "p", "q=5", "", "p=5&p=x", "P=5"}},
	{"query", "form", false, `{"type":"integer"}`, []string{"p=5"}, []string{"p=5,6"}},
	{"query", "form", true, integers, []string{"p=3&p=4&p=5", "p=3"}, []string{"p=3&p=x", "p=3,4", "q=3"}},
	{"query", "form", false, integers, []string{"p=3,4,5", "p=3%2C4", "p=3"}, []string{"p=3,x", "p=3;4"}},
	{"query", "form", true, color, []string{"R=100&G=200", "R=100&x=1"}, []string{"R=x", "G=100", "p=R,100"}},
	{"query", "form", false, color, []string{"p=R,100,G,200"}, []string{"R=100", "p=R", "p=G,1"}},
	{"query", "spaceDelimited", false, integers, []string{"p=3%204%205", "p=3+4", "p=3"}, []string{"p=3,4", "p=3%20x"}},
	{"query", "spaceDelimited", true, integers, []string{"p=3&p=4"}, []string{"p=3%204"}},
	{"query", "spaceDelimited", false, color, []string{"p=R%20100%20G%20200", "p=R+100"}, []string{"p=R,100", "p=R%20x"}},
	{"query", "pipeDelimited", false, integers, []string{"p=3%7C4", "p=3|4|5", "p=3%7c4"}, []string{"p=3,4", "p=3%7Cx"}},
	{"query", "pipeDelimited", true, integers, []string{"p=3&p=4"}, []string{"p=3%7C4"}},
	{"query", "pipeDelimited", false, color, []string{"p=R%7C100%7CG%7C200"}, []string{"p=R%7Cx", "p=R"}},
	{"query", "deepObject", true, color, []string{"p[R]=100&p[G]=200", "p%5BR%5D=100"}, []string{"p[R]=x", "p[G]=1", "R=100", "p[R]=1&p[B]=2", "p=5"}},
	{"query", "deepObject", true, `{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}},"required":["b"]},"l":` + integers + `},"required":["a"]}`,
		[]string{"p[a][b]=1", "p[a][b]=1&p[l]=1&p[l]=2", "p[a][b]=1&p[l][]=1&p[l][]=2", "p[a][b]=1&p[l][0]=1&p[l][1]=2"},
		[]string{"p[a]=1", "p[a][b]=x", "p[a][c]=1", "p[a][b]=1&p[l]=x", "p[a][b]=1&p[l][0]=x"}},

	{"header", "simple", false, `{"type":"integer"}`, []string{"5"}, []string{"x", ""}},
	{"header", "simple", true, `{"type":"integer"}`, []string{"5"}, []string{"5,6"}},
	{"header", "simple", false, integers, []string{"3", "3,4", "3, 4 ,5"}, []string{"3,x"}},
	{"header", "simple", true, integers, []string{"3,4"}, []string{"3;4"}},
	{"header", "simple", false, color, []string{"R,100,G,200", "R, 100"}, []string{"R", "R=100"}},
	{"header", "simple", true, color, []string{"R=100,G=200"}, []string{"R,100"}},

	{"cookie", "form", true, `{"type":"integer"}`, []string{"p=5", "q=1; p=5", `p="5"`}, []string{"p=x", "q=5", ""}},
	{"cookie", "form", false, `{"type":"integer"}`, []string{"p=5"}, []string{"p=5,6"}},
	{"cookie", "form", true, integers, []string{"p=3; p=4", "p=3&p=4", "p=3"}, []string{"p=3; p=x", "p=3,4"}},
	{"cookie", "form", false, integers, []string{"p=3,4,5", "p=3%2C4"}, []string{"p=3,x"}},
	{"cookie", "form", true, color, []string{"R=100; G=200"}, []string{"R=x", "G=200"}},
	{"cookie", "form", false, color, []string{"p=R,100,G,200"}, []string{"p=R", "R=100"}},
}

func (s *style) document(version string) string {
	explode := "false"
	if s.explode {
		explode = "true"
	}
	path := "/a"
	if s.in == "path" {
		path = "/a/{p}"
	}
	return api(version, `"`+path+`":{"get":{"parameters":[{"name":"p","in":"`+s.in+`","style":"`+s.style+`","explode":`+explode+
		`,"required":true,"schema":`+s.schema+`}],"responses":{}}}`)
}

func TestStyles(t *testing.T) {
	both(t, func(t *testing.T, version string) {
		for _, s := range allStyles {
			name := s.in + " " + s.style
			if s.explode {
				name += " exploded"
			}
			g := start(t, s.document(version), settings{"verbose_response": true})
			ask := func(value string) (status int, text string) {
				path, header := "/a", []string(nil)
				switch s.in {
				case "path":
					path += "/" + value
				case "query":
					path += "?" + value
				case "header":
					header = []string{"P", value}
				case "cookie":
					header = []string{"Cookie", value}
				}
				res := g.Get(path, header...)
				if res.StatusCode == http.StatusOK && s.in != "path" && res.Asked(t).Target != path {
					t.Errorf("%s: the upstream was asked for %s", path, res.Asked(t).Target)
				}
				return res.StatusCode, res.Text
			}
			for _, value := range s.good {
				if status, text := ask(value); status != http.StatusOK {
					t.Errorf("%s: %s: %d %s", name, value, status, text)
				}
			}
			for _, value := range s.bad {
				if status, text := ask(value); status != http.StatusBadRequest {
					t.Errorf("%s: %s: %d %s", name, value, status, text)
				}
			}
			g.Stop()
		}
	})
}

// Schemas of parameters that are more than a type.
func TestSchemasOfParameters(t *testing.T) {
	for _, c := range []struct {
		version, parameter string // without name and in
		good, bad          []string
	}{
		{"3.1.0", `"schema":{}`, []string{"", "p", "p=", "p=x", "p=5", "p=1&p=2"}, nil},
		{"3.0.3", `"schema":{"title":"P"}`, []string{"p=x"}, nil},
		{"3.1.0", `"schema":{"anyOf":[{"type":"integer"},{"type":"null"}]}`, []string{"", "p=5", "p=", "p=null"}, []string{"p=x"}},
		{"3.1.0", `"schema":{"anyOf":[{"type":"string","format":"date"},{"type":"integer"}]}`, []string{"p=5", "p=2024-01-01"}, []string{"p=x"}},
		{"3.1.0", `"schema":{"type":["integer","null"],"minimum":3}`, []string{"p=3", "p="}, []string{"p=2", "p=x"}},
		{"3.1.0", `"schema":{"type":["array","null"],"items":{"type":"integer"}}`, []string{"p=3", "p=3&p=4"}, []string{"p=x"}},
		{"3.1.0", `"schema":{"anyOf":[{"type":"array","items":{"type":"integer"}},{"type":"string","maxLength":2}]}`,
			[]string{"p=3", "p=3&p=4", "p=ab", "p=345"}, []string{"p=abc", "p=3&p=x"}},
		{"3.0.3", `"schema":{"oneOf":[{"type":"integer"},{"type":"boolean"}]}`, []string{"p=3", "p=true"}, []string{"p=x"}},
		{"3.0.3", `"schema":{"not":{"enum":["a"]}}`, []string{"p=b"}, []string{"p=a"}},
		{"3.0.3", `"schema":{"allOf":[{"type":"integer"},{"minimum":3}]}`, []string{"p=3"}, []string{"p=2"}},
		{"3.0.3", `"schema":{"enum":[1,"a"]}`, []string{"p=1", "p=a"}, []string{"p=2"}},
		{"3.0.3", `"schema":{"type":"number"}`, []string{"p=1.5", "p=-1e3", "p=007", "p=%2B1"}, []string{"p=NaN", "p=inf", "p=0x1", "p=1_0", "p=.5", "p=1..5"}},
		{"3.0.3", `"schema":{"type":"integer","minimum":0,"exclusiveMinimum":true}`, []string{"p=1"}, []string{"p=0"}},
		{"3.0.3", `"schema":{"type":"integer","exclusiveMinimum":0}`, []string{"p=1"}, []string{"p=0"}},
		{"3.0.3", `"schema":{"type":"integer","format":"int32"}`, []string{"p=2147483647"}, []string{"p=2147483648", "p=99999999999999999999"}},
		{"3.0.3", `"schema":{"type":"boolean"}`, []string{"p=true", "p=false"}, []string{"p=1", "p=True", "p=yes"}},
		{"3.0.3", `"schema":{"type":"string","minLength":1,"pattern":"^\\w+$"}`, []string{"p=a", ""}, []string{"p=", "p=a+b"}},
		{"3.0.3", `"allowEmptyValue":true,"schema":{"type":"integer"}`, []string{"p=", "p", "p=5"}, []string{"p=x"}},
		{"3.0.3", `"schema":{"type":"string","format":"uuid"}`, []string{"p=123e4567-e89b-12d3-a456-426614174000"}, []string{"p=123"}},
		{"3.0.3", `"content":{"application/json":{"schema":{"type":"object","required":["a"]}}}`, []string{"p=%7B%22a%22:1%7D"}, []string{"p=x", "p={}", "p=1", "p={}x"}},
		{"3.0.3", `"content":{"text/plain":{"schema":{"type":"integer"}}}`, []string{"p=x"}, nil},
		{"3.0.3", `"style":"form","schema":{"type":"object","additionalProperties":{"type":"integer"}}`, []string{"a=1&b=2", ""}, []string{"a=x"}},
		{"3.1.0", `"schema":{"type":"array","minItems":2,"prefixItems":[{"type":"integer"},{"type":"boolean"}]}`, []string{"p=1&p=true"}, []string{"p=1", "p=true&p=1"}},
	} {
		g := start(t, api(c.version, `"/a":{"get":{"parameters":[{"name":"p","in":"query",`+c.parameter+`}]}}`), nil)
		for _, query := range c.good {
			if res := g.Get("/a?" + query); res.StatusCode != http.StatusOK || !strings.HasSuffix(res.Asked(t).Target, "?"+query) {
				t.Errorf("%s: %s: %s %s", c.parameter, query, res.Status, res.Text)
			}
		}
		for _, query := range c.bad {
			if res := g.Get("/a?" + query); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s: %s", c.parameter, query, res.Status)
			}
		}
		g.Stop()
	}
}

func TestParametersThatAreNotOptional(t *testing.T) {
	g := start(t, api("3.0.3", `"/a":{"parameters":[{"name":"s","in":"query","required":true,"schema":{"type":"integer"}},{"name":"p","in":"query","required":true}],
		"get":{"parameters":[{"name":"s","in":"query","schema":{"type":"string"}},{"name":"X-H","in":"header","required":true,"schema":{"type":"string"}},
			{"name":"Authorization","in":"header","required":true,"schema":{"type":"string"}},{"name":"c","in":"cookie","required":true,"schema":{"type":"string"}}]}}`),
		settings{"verbose_response": true})
	for _, c := range []struct {
		path   string
		header []string
		want   string
	}{
		{"/a?p=1&s=x", []string{"x-h", "1", "Cookie", "c=1"}, ""},
		{"/a?p=1", []string{"X-H", "1", "Cookie", "c=1"}, ""},
		{"/a", []string{"X-H", "1", "Cookie", "c=1"}, "query 'p' validation failed with error: 'required parameter value not found in request'"},
		{"/a?p", []string{"Cookie", "c=1"}, "header 'X-H' validation failed with error: 'required parameter value not found in request'"},
		{"/a?p", []string{"X-H", "1"}, "cookie 'c' validation failed with error: 'required parameter value not found in request'"},
	} {
		res := g.Get(c.path, c.header...)
		if c.want == "" && res.StatusCode != http.StatusOK || c.want != "" && res.JSON(t)["message"] != c.want {
			t.Errorf("%s %v: %s %s", c.path, c.header, res.Status, res.Text)
		}
	}
}

func TestSwitchesOfParameters(t *testing.T) {
	document := api("3.0.3", `"/{a}":{"get":{"parameters":[{"name":"a","in":"path","required":true,"schema":{"type":"integer"}},
		{"name":"b","in":"query","schema":{"type":"integer"}},{"name":"c","in":"header","schema":{"type":"integer"}}]}}`)
	for _, c := range []struct {
		off, path, header string
	}{
		{"validate_request_uri_params", "/x", "1"}, {"validate_request_query_params", "/1?b=x", "1"}, {"validate_request_header_params", "/1", "x"},
	} {
		if res := start(t, document, nil).Get(c.path, "C", c.header); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", c.path, res.Status)
		}
		if res := start(t, document, settings{c.off: false}).Get(c.path, "C", c.header); res.StatusCode != http.StatusOK {
			t.Errorf("%s without %s: %s", c.path, c.off, res.Text)
		}
	}
}

// Parameters and fields that the document does not have.
func TestUnknownParameters(t *testing.T) {
	document := `{"openapi":"3.0.3","components":{"securitySchemes":{"k":{"type":"apiKey","in":"query","name":"key"},"h":{"type":"http","scheme":"bearer"}}},
		"paths":{"/a":{"get":{"parameters":[{"name":"q","in":"query","schema":{"type":"string"}},{"name":"X-A","in":"header","schema":{"type":"string"}},
		{"name":"d","in":"query","style":"deepObject","schema":{"type":"object"}},{"name":"e","in":"query","schema":{"type":"object","properties":{"f":{"type":"string"}}}}]}}}}`
	g := start(t, document, settings{"query_parameter_check": true, "header_parameter_check": true, "verbose_response": true,
		"allowed_header_parameters": "User-Agent, Accept-Encoding,x-b"})
	for _, c := range []struct {
		path   string
		header []string
		want   string
	}{
		{"/a?q=1&key=2&d[x]=1&f=3", []string{"x-a", "1", "X-B", "2", "Authorization", "Bearer x"}, ""},
		{"/a?q=1&z=2", nil, "validation failed with error: query parameter 'z' does not exist in specification"},
		{"/a", []string{"X-C", "1"}, "validation failed with error: header parameter 'X-C' does not exist in specification"},
	} {
		res := g.Get(c.path, c.header...)
		if c.want == "" && res.StatusCode != http.StatusOK || c.want != "" && res.JSON(t)["message"] != c.want {
			t.Errorf("%s %v: %s %s", c.path, c.header, res.Status, res.Text)
		}
	}
}
