package kongclients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kong/go-database-reconciler/pkg/diff"
	"github.com/kong/go-database-reconciler/pkg/dump"
	"github.com/kong/go-database-reconciler/pkg/file"
	"github.com/kong/go-database-reconciler/pkg/state"
	"github.com/kong/go-database-reconciler/pkg/utils"
	"github.com/kong/go-kong/kong"
)

// declared is a configuration with one of everything. CERT and KEY stand for a
// certificate.
const declared = `
_format_version: "3.0"
services:
- name: plain
  url: http://plain.test/some_api
  tags: [a, "b c"]
  routes:
  - name: by-path
    paths: [/plain, "~/re/(?<id>[0-9]+)$"]
    methods: [GET, POST]
    headers: {x-version: [v1, v2]}
    plugins:
    - name: rate-limiting
      config: {minute: 5, policy: local}
  - name: by-host
    hosts: [a.test, "*.b.test"]
    protocols: [https]
    https_redirect_status_code: 301
    snis: [a.test]
  plugins:
  - name: cors
    config: {origins: ["http://a.test"], credentials: true}
  - name: request-transformer
    config: {add: {headers: ["x-a:1"]}, replace: {uri: /x}}
- name: secure
  host: balanced.test
  protocol: https
  port: 8443
  retries: 0
  tls_verify: false
  client_certificate: 4e3ad2e4-0bc4-4638-8e34-c84a417ba39b
routes:
- name: of-nothing
  paths: [/nothing]
upstreams:
- name: balanced.test
  algorithm: consistent-hashing
  hash_on: header
  hash_on_header: x-user
  hash_fallback: ip
  healthchecks:
    active: {healthy: {interval: 5, successes: 1}, unhealthy: {interval: 5, http_failures: 2}}
  targets:
  - {target: "10.0.0.1:80", weight: 50}
  - {target: "10.0.0.2:8000", weight: 0, tags: [x]}
certificates:
- id: 4e3ad2e4-0bc4-4638-8e34-c84a417ba39b
  cert: CERT
  key: KEY
  snis:
  - name: a.test
  - name: "*.b.test"
ca_certificates:
- id: 6f8e5d11-0f77-4bf0-9a2e-2b6f0a7b3c55
  cert: CERT
consumers:
- username: alice
  custom_id: "1"
  tags: [a]
  keyauth_credentials: [{key: secret-of-alice}]
  basicauth_credentials: [{username: alice, password: p}]
  jwt_secrets: [{key: issuer, secret: hush, algorithm: HS256}]
  acls: [{group: admins}, {group: users}]
  plugins:
  - name: request-termination
    config: {status_code: 403, message: denied}
plugins:
- name: key-auth
  enabled: false
  config: {key_names: [apikey, x-key]}
- name: correlation-id
- name: prometheus
  config: {per_consumer: true}
- name: file-log
  config: {path: /dev/null}
- name: http-log
  config: {http_endpoint: "http://log.test/", headers: {x-a: b}}
`

// desired reads a configuration as its file.
func desired(t *testing.T, text string) *file.Content {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kong.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	content, err := file.GetContentFromFiles([]string{path}, false)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// apply makes what there is what is declared, or only tells the difference: how
// much is created, updated and deleted.
func apply(t *testing.T, c *kong.Client, text string, config dump.Config, dry bool) string {
	t.Helper()
	ctx := t.Context()
	raw, err := dump.Get(ctx, c, config)
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	current, err := state.Get(raw)
	if err != nil {
		t.Fatal(err)
	}
	root, err := c.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	version, err := utils.ParseKongVersion(kong.VersionFromInfo(root))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := file.Get(ctx, desired(t, text), file.RenderConfig{CurrentState: current, KongVersion: version}, config, c)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	target, err := state.Get(rendered)
	if err != nil {
		t.Fatal(err)
	}
	var changes []any
	tell := func(a ...any) { changes = append(changes, fmt.Sprint(a...)) }
	syncer, err := diff.NewSyncer(diff.SyncerOpts{
		CurrentState: current, TargetState: target, KongClient: c, SilenceWarnings: true, NoMaskValues: true,
		CreatePrintln: func(...any) {}, UpdatePrintln: tell, DeletePrintln: func(...any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	stats, errs, _ := syncer.Solve(ctx, 10, dry, false)
	for _, err := range errs {
		t.Errorf("apply: %v", err)
	}
	if len(changes) > 0 {
		t.Logf("updates: %v", changes)
	}
	return fmt.Sprintf("%d %d %d", stats.CreateOps.Count(), stats.UpdateOps.Count(), stats.DeleteOps.Count())
}

// TestDeclared brings a configuration about, finds that there is no difference
// then, changes it and takes all of it away.
func TestDeclared(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	certificate, key := pair(t)
	block := func(text string) string {
		return "|\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
	}
	text := strings.NewReplacer("CERT", block(*certificate), "KEY", block(*key)).Replace(declared)
	all := dump.Config{}

	if got := apply(t, c, text, all, true); got != "27 0 0" {
		t.Errorf("to be created, updated and deleted: %s", got)
	}
	if got := apply(t, c, text, all, false); got != "27 0 0" {
		t.Errorf("created, updated and deleted: %s", got)
	}
	for range 2 {
		if got := apply(t, c, text, all, false); got != "0 0 0" {
			t.Errorf("created, updated and deleted when nothing is to be: %s", got)
		}
	}
	changed := strings.NewReplacer("minute: 5", "minute: 6", "retries: 0", "retries: 1", "weight: 50", "weight: 51", "- {group: users}", "", ", {group: users}", "", "- name: prometheus", "- name: bot-detection", "{per_consumer: true}", "{allow: [x]}").Replace(text)
	if got := apply(t, c, changed, all, false); got != "1 3 2" {
		t.Errorf("created, updated and deleted by a change: %s", got)
	}
	if got := apply(t, c, `_format_version: "3.0"`, all, false); got != "0 0 26" {
		t.Errorf("created, updated and deleted at the end: %s", got)
	}
	if got := apply(t, c, `_format_version: "3.0"`, all, true); got != "0 0 0" {
		t.Errorf("what is left: %s", got)
	}
}

// TestSelected: two configurations beside each other, each of its own tag.
func TestSelected(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	text := func(name, tag string) string {
		return fmt.Sprintf("_format_version: \"3.0\"\n_info: {select_tags: [%s]}\nservices:\n- {name: %s, host: h.test, routes: [{name: %s, paths: [/%s]}]}\n", tag, name, name, name)
	}
	for _, name := range []string{"a", "b", "a", "b"} {
		apply(t, c, text(name, "tag-"+name), dump.Config{SelectorTags: []string{"tag-" + name}}, false)
	}
	all, err := c.Routes.ListAll(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("there are %v, %v", all, err)
	}
}
