package gateway_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// declare sends a document in parts, and returns what changes, one line each.
func declare(t *testing.T, w *world, text string, dryRun bool, tags ...string) ([]string, error) {
	t.Helper()
	stream, err := gatewayv1.NewDeclarationServiceClient(w).ApplyDeclaration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	half := len(text) / 2
	for i, part := range []string{text[:half], text[half:]} {
		req := &gatewayv1.ApplyDeclarationRequest{Part: []byte(part)}
		if i == 0 {
			req.DryRun, req.SelectTags = dryRun, tags
		}
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var out []string
	for {
		got, err := stream.Recv()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		c := got.GetChange()
		line := strings.Join([]string{c.GetAction(), c.GetKind(), c.GetName()}, " ")
		for _, f := range c.GetFields() {
			line += " " + f.GetField() + ":" + f.GetBefore() + ">" + f.GetAfter()
		}
		out = append(out, line)
	}
}

// applied applies a document that must be right, tries it before, and checks
// that nothing is left to do.
func applied(t *testing.T, w *world, text string, tags ...string) []string {
	t.Helper()
	tried, err := declare(t, w, text, true, tags...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := declare(t, w, text, false, tags...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tried, got) {
		t.Errorf("tried:\n%s\ndone:\n%s", strings.Join(tried, "\n"), strings.Join(got, "\n"))
	}
	if again, err := declare(t, w, text, true, tags...); err != nil || len(again) > 0 {
		t.Errorf("applied once more, it would %v, %v", again, err)
	}
	return got
}

func dump(t *testing.T, w *world, tags ...string) string {
	t.Helper()
	stream, err := gatewayv1.NewDeclarationServiceClient(w).DumpDeclaration(t.Context(), &gatewayv1.DumpDeclarationRequest{SelectTags: tags})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for {
		got, err := stream.Recv()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		out.Write(got.GetPart())
	}
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const shop = `
_format_version: "3.0"
_info:
  defaults:
    service: {retries: 2}
_plugin_configs:
  slow: {minute: 3, redis: {password: sesame}}
services:
- name: shop
  host: cluster
  routes:
  - name: all
    paths: [/shop]
    plugins:
    - {name: limiter, _config: slow}
  - name: grpc
    protocols: [grpc]
    paths: [/shop.Shop]
upstreams:
- name: cluster
  targets:
  - target: 10.0.0.1
  - {target: "10.0.0.2:81", weight: 5}
consumers:
- username: ann
  keyauth_credentials: [{key: ann-key}]
  basicauth_credentials: [{username: ann, password: open}]
  jwt_secrets: [{key: ann-jwt}]
  acls: [{group: staff}]
plugins:
- name: login
- {name: limiter, service: shop, consumer: ann, config: {minute: 9}}
`

func TestDeclarations(t *testing.T) {
	t.Parallel()
	for kind, url := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, url(t), t.TempDir())
			same(t, "the first time", applied(t, w, shop),
				"create consumer ann", "create service shop", "create upstream cluster", "create key-auth of consumer ann",
				"create basic-auth ann of consumer ann", "create jwt ann-jwt of consumer ann", "create acl staff of consumer ann",
				"create route all", "create route grpc", "create target 10.0.0.1:8000 of upstream cluster", "create target 10.0.0.2:81 of upstream cluster",
				"create plugin login", "create plugin limiter of service shop of consumer ann", "create plugin limiter of route all")
			service := must(t, w, "GetService", `{"id":"shop"}`)
			holds(t, "the service", service, `{"host":"cluster","retries":2}`)

			changed := strings.NewReplacer("minute: 3, redis: {password: sesame}", "minute: 4, redis: {password: other}",
				"[/shop]", "[/shop, /s]", "  - target: 10.0.0.1\n", "", "- name: login\n", "").Replace(shop)
			same(t, "changed", applied(t, w, changed),
				"delete plugin login", "delete target 10.0.0.1:8000 of upstream cluster",
				`update route all paths:["/shop"]>["/shop","/s"]`,
				"update plugin limiter of route all config.minute:3>4 config.redis.password:***>***")
			if again := must(t, w, "GetService", `{"id":"shop"}`); again["id"] != service["id"] || again["updated_at"] != service["updated_at"] {
				t.Errorf("the service was %v and is %v", service, again)
			}

			text := dump(t, w)
			if again, err := declare(t, w, text, true); err != nil || len(again) > 0 {
				t.Errorf("what was dumped would %v, %v\n%s", again, err, text)
			}
			before := w.plane.state(t)
			if got := applied(t, w, `{"_format_version": "3.0"}`); len(got) != 13-1 || len(w.plane.state(t)) != 0 {
				t.Errorf("emptied, it did %v, and has %v", got, w.plane.state(t))
			}
			applied(t, w, text)
			if again := dump(t, w); again != text {
				t.Errorf("dumped again:\n%s\nwant:\n%s", again, text)
			}
			if len(w.plane.state(t)) != len(before) {
				t.Errorf("the data plane has %v, want %v", w.plane.state(t), before)
			}
		})
	}
}

// A password is hashed, and stays what it is when the document says the same
// again; a hash that was dumped is kept as it is.
func TestDeclaredPasswords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	const doc = `{_format_version: "3.0", consumers: [{id: 3b3e1f5c-1f0c-4b5e-9d39-3f1b4cf0f0aa, username: ann, basicauth_credentials: [{username: ann, password: open}]}]}`
	applied(t, w, doc)
	password := func() string { return must(t, w, "GetBasicAuth", `{"id":"ann"}`)["password"].(string) }
	if want := entity.HashPassword("open", "3b3e1f5c-1f0c-4b5e-9d39-3f1b4cf0f0aa"); password() != want {
		t.Errorf("the password is %q, want %q", password(), want)
	}
	text, was := dump(t, w), password()
	for _, part := range []string{"_transform: false", was, "3b3e1f5c-1f0c-4b5e-9d39-3f1b4cf0f0aa"} {
		if !strings.Contains(text, part) {
			t.Errorf("the document has no %q:\n%s", part, text)
		}
	}
	same(t, "another password", applied(t, w, strings.Replace(doc, "password: open", "password: other", 1)), "update basic-auth ann of consumer ann password:***>***")
	same(t, "what was dumped", applied(t, w, text), "update basic-auth ann of consumer ann password:***>***")
	if password() != was {
		t.Errorf("the password is %q, want %q again", password(), was)
	}
	// The same without saying that it is a hash: it is what is there.
	same(t, "the hash as a password", applied(t, w, strings.Replace(text, "_transform: false", "", 1)))
}

func TestDeclarationsBySelectTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	made(t, w, "CreateService", `{"name":"other","host":"h","tags":["a"]}`)
	doc := `{_format_version: "3.0", services: [{name: mine, host: h, tags: [x], routes: [{name: r, paths: [/]}]}], plugins: [{name: limiter, service: other}]}`
	same(t, "with tags", applied(t, w, doc, "a", "b"), "create service mine", "create route r", "create plugin limiter of service other")
	holds(t, "the service", must(t, w, "GetService", `{"id":"mine"}`), `{"tags":["x","a","b"]}`)
	text := dump(t, w, "b", "a")
	for _, want := range []string{"select_tags:\n    - a\n    - b\n", "- x\n", "service: other"} {
		if !strings.Contains(text, want) {
			t.Errorf("the document has no %q:\n%s", want, text)
		}
	}
	if got, err := declare(t, w, text, true); err != nil || len(got) > 0 {
		t.Errorf("what was dumped would %v, %v", got, err)
	}
	same(t, "nothing", applied(t, w, `{_format_version: "3.0", _info: {select_tags: [a, b]}}`),
		"delete plugin limiter of service other", "delete route r", "delete service mine")
	must(t, w, "GetService", `{"id":"other"}`)
}

// block is a text with several lines in YAML.
func block(s string) string {
	return "|\n    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") + "\n"
}

// A new certificate under the names of an old one takes its place.
func TestDeclaredCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	doc := func() string {
		cert, key := pair(t)
		return "_format_version: '3.0'\ncertificates:\n- cert: " + block(cert) + "  key: " + block(key) + "  snis: [a.example.com, {name: b.example.com}]\n"
	}
	if got := applied(t, w, doc()); len(got) != 3 || got[0] != "create certificate " {
		t.Errorf("the first time: %v", got)
	}
	before := data(must(t, w, "ListCertificates", `{}`))[0]["id"].(string)
	got := applied(t, w, doc())
	if len(got) != 1 || !strings.HasPrefix(got[0], "update certificate  cert:") || !strings.HasSuffix(got[0], " key:***>***") {
		t.Errorf("renewed: %v", got)
	}
	text := dump(t, w)
	if !strings.Contains(text, "id: "+before) || !strings.Contains(text, "snis:\n      - name: a.example.com\n") {
		t.Errorf("dumped:\n%s", text)
	}
	if got := applied(t, w, `{_format_version: "3.0"}`); len(got) != 3 {
		t.Errorf("emptied: %v", got)
	}
	applied(t, w, text)
}

func TestDeclarationsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	const there = "\nservices: [{name: there, host: h}]"
	applied(t, w, `_format_version: "3.0"`+there)
	for text, want := range map[string]string{
		``:                       `_format_version must be "3.0"`,
		`[]`:                     `The document must be a mapping, with _format_version: "3.0"`,
		`{`:                      `The document cannot be read: line 1: did not find expected node content`,
		"a: 1\na: 2":             `The document cannot be read: line 2: "a" is there twice`,
		`_format_version: "1.1"`: `_format_version must be "3.0"`,

		`+vaults: [{name: v}]`:                                `vaults unknown field`,
		`+services: 1`:                                        `services expected an array`,
		`+services: [1]`:                                      `services.1 expected a record`,
		`+services: [{host: h}]`:                              `services.1 must have name or id`,
		`+services: [{name: s}]`:                              `services.1.host required field missing`,
		`+_workspace: other`:                                  `_workspace there is none but default`,
		`+_transform: 1`:                                      `_transform expected a boolean`,
		`+_info: 1`:                                           `_info expected a record`,
		`+plugins: [{name: none}]`:                            `plugins.1.name plugin 'none' not enabled`,
		`+plugins: [{name: limiter, route: r}]`:               `plugins.1.route there is no route with the name "r"`,
		`+plugins: [{name: limiter, _config: c}]`:             `plugins.1._config _plugin_configs has no c`,
		`+services: [{name: s, host: h}, {name: s, host: i}]`: `services.2 is there twice: it is also services.1`,
		`+services: [{name: s, host: h, routes: [{name: r, service: x}]}]`:                                    `services.1.routes.1.service is what the entity is below already`,
		`+consumers: [{username: u, groups: [{name: g}]}]`:                                                    `consumers.1.groups unknown field`,
		`+consumers: [{username: u, jwt_secrets: [{}]}]`:                                                      `consumers.1.jwt_secrets.1 must have key or id`,
		`+routes: [{name: r, paths: [/], service: {id: 3b3e1f5c-1f0c-4b5e-9d39-3f1b4cf0f0aa}}]`:               `routes.1: the foreign key '{id="3b3e1f5c-1f0c-4b5e-9d39-3f1b4cf0f0aa"}' does not reference an existing 'services' entity.`,
		"+_transform: false\nconsumers: [{username: u, basicauth_credentials: [{username: u, password: p}]}]": `consumers.1.basicauth_credentials.1.password must be a hash (SHA-1 in hexadecimal), as _transform is false`,
		`+_info: {select_tags: [x]}`:                                                                          `_info.select_tags are not the tags that were given beside the document`,
	} {
		var tags []string
		if strings.Contains(text, "select_tags") {
			tags = []string{"y"}
		}
		if rest, ok := strings.CutPrefix(text, "+"); ok {
			text = "_format_version: '3.0'\n" + rest
		}
		_, err := declare(t, w, text, false, tags...)
		if got := status.Convert(err).Message(); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", text, got, want)
		}
	}
	if got, err := declare(t, w, `_format_version: "3.0"`+there, true); err != nil || len(got) > 0 {
		t.Errorf("afterwards it would %v, %v", got, err)
	}
}

// A document may change more than what one statement of a store takes.
func TestLongDeclarations(t *testing.T) {
	t.Parallel()
	for kind, url := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, url(t), t.TempDir())
			doc := "_format_version: '3.0'\nconsumers:\n"
			const n = 2500
			for i := range n {
				doc += fmt.Sprintf("- username: u%d\n", i)
			}
			if got, err := declare(t, w, doc, false); err != nil || len(got) != n {
				t.Fatalf("it did %d changes, %v", len(got), err)
			}
			if got := len(w.plane.state(t)); got != n {
				t.Errorf("the data plane has %d", got)
			}
		})
	}
}
