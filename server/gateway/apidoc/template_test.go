package apidoc

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func template(t testing.TB, path string) Template {
	t.Helper()
	tpl, err := parseTemplate(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tpl
}

func TestTemplatesBecomeRegularExpressions(t *testing.T) {
	for _, c := range []struct {
		path, regex string
		takes, not  []string
	}{
		{"/", `~/shop/$`, []string{"/shop/"}, []string{"/shop", "/shop/a"}},
		{"/items/", `~/shop/items/$`, []string{"/shop/items/"}, []string{"/shop/items", "/shop/items/1"}},
		{"/items/{item_id}", `~/shop/items/(?<item_id>[^/]+)$`, []string{"/shop/items/1", "/shop/items/a%2Fb"}, []string{"/shop/items/", "/shop/items/1/2"}},
		{"/a{b}.json", `~/shop/a(?<b>[^/]+)\.json$`, []string{"/shop/axyz.json"}, []string{"/shop/a.json", "/shop/axyzjson"}},
		{"/v1.0/a+b/(c)", `~/shop/v1\.0/a\+b/\(c\)$`, []string{"/shop/v1.0/a+b/(c)"}, []string{"/shop/v1x0/a+b/(c)"}},
		{"/{user-id}/{2fa}/{ü}", `~/shop/(?<user_id>[^/]+)/(?<_2fa>[^/]+)/(?<__>[^/]+)$`, []string{"/shop/1/2/3"}, nil},
		{"/{a-b}/{a.b}", `~/shop/(?<a_b>[^/]+)/(?<a_b_2>[^/]+)$`, []string{"/shop/1/2"}, nil},
		{"/files/{path:path}", `~/shop/files/(?<path>.*)$`, []string{"/shop/files/a/b", "/shop/files/"}, []string{"/shop/files"}},
		{"/files/{+path}", `~/shop/files/(?<path>.*)$`, []string{"/shop/files/a/b"}, nil},
		{"/n/{id:int}", `~/shop/n/(?<id>[^/]+)$`, []string{"/shop/n/1"}, []string{"/shop/n/1/2"}},
		{"/%C3%A4%2f%41", `~/shop/ä%2FA$`, []string{"/shop/ä%2FA"}, nil},
	} {
		got := template(t, c.path).Regex("/shop")
		if got != c.regex {
			t.Errorf("%s became %s, not %s", c.path, got, c.regex)
		}
		// The router anchors expressions at the start alone.
		re := regexp.MustCompile("^(?:" + got[1:] + ")")
		for _, path := range c.takes {
			if !re.MatchString(path) {
				t.Errorf("%s does not match %s", got, path)
			}
		}
		for _, path := range c.not {
			if re.MatchString(path) {
				t.Errorf("%s matches %s", got, path)
			}
		}
	}
}

func TestPrefixesAreLiteral(t *testing.T) {
	re := regexp.MustCompile("^(?:" + template(t, "/a").Regex("/my.shop")[1:] + ")")
	if !re.MatchString("/my.shop/a") || re.MatchString("/my-shop/a") {
		t.Errorf("%s takes the dot of a name for any character", re)
	}
}

func TestPriorityPrefersFixedTextFromTheLeft(t *testing.T) {
	// From the most to the least specific.
	paths := []string{
		"/items/mine/parts", "/items/mine/{part}.json", "/items/mine/{part}", "/items/x{id}/parts", "/items/{id}/parts",
		"/items/{id}/{part}", "/{kind}/mine/parts", "/{kind}/{id}/parts", "/{kind}/{id}/{part}", "/{rest:path}",
	}
	ranked := slices.Clone(paths)
	slices.Reverse(ranked)
	slices.SortStableFunc(ranked, func(a, b string) int { return template(t, b).Priority() - template(t, a).Priority() })
	if !slices.Equal(ranked, paths) {
		t.Errorf("ranked as %q", ranked)
	}
	if p := template(t, strings.Repeat("/a", 500)).Priority(); p <= 0 || p >= 1<<53 {
		t.Errorf("the priority of a long path is %d, which JSON does not hold exactly", p)
	}
}

func TestRouteNames(t *testing.T) {
	ops := func(list ...string) []Operation {
		var ops []Operation
		for _, s := range list {
			f := strings.Split(s, " ")
			o := Operation{Method: f[0], Path: f[1], Template: template(t, f[1])}
			if len(f) > 2 {
				o.OperationID = f[2]
			}
			ops = append(ops, o)
		}
		return ops
	}
	got := RouteNames("my.shop", ops("GET /items getItems", "POST /items", "GET /items/{id} users.get@1", "PUT /a same", "PUT /b SAME", "GET /ä", "GET /ö"))
	want := []string{"my.shop.getItems", "my.shop.post-items", "my.shop.users-get-1", "my.shop.put-a", "my.shop.put-b"}
	if !slices.Equal(got[:5], want) {
		t.Errorf("names are %q", got[:5])
	}
	long := strings.Repeat("x", 500)
	got = append(got, RouteNames("my.shop", ops("GET /a "+long+"1", "GET /b "+long+"2"))...)
	seen := map[string]bool{}
	valid := regexp.MustCompile(`^my\.shop\.[A-Za-z0-9_~-]{1,200}$`)
	for _, name := range got {
		if low := strings.ToLower(name); seen[low] {
			t.Errorf("%s is there twice", name)
		} else {
			seen[low] = true
		}
		if !valid.MatchString(name) {
			t.Errorf("%q is no name for a route", name)
		}
	}
	if a, b := RouteNames("a", ops("GET /x b.c")), RouteNames("a.b", ops("GET /x c")); a[0] == b[0] {
		t.Errorf("routes of two services are both named %s", a[0])
	}
}
