// Package docs_test keeps the documentation true: what can be derived from the
// program is generated into it, and what is written by hand is checked.
//
// `make generate`, or go test ./docs -update, brings the generated blocks up to
// date. A block stands between the comments <!-- generated: NAME --> and
// <!-- end -->.
package docs_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated blocks instead of checking them")

// root is the root of the repository, as seen from this folder.
const root = ".."

var block = regexp.MustCompile(`(?s)(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)`)

// blocks are the generated parts of the documentation, by name.
func blocks(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"example":       example(t),
		"settings":      settings(),
		"metrics":       metrics(t),
		"endpoints":     catalogAPI().endpoints(t),
		"operations":    catalogAPI().operations(t),
		"objects":       catalogAPI().objects(t),
		"service types": serviceTypes(t),
		"failure codes": failureCodes(),
		"errors":        errorTable(t),

		"identity endpoints":  identityAPI().endpoints(t),
		"identity operations": identityAPI().operations(t),
		"identity objects":    identityAPI().objects(t),
		"rights":              rights(t),

		"databases endpoints":  databasesAPI().endpoints(t),
		"databases operations": databasesAPI().operations(t),
		"databases objects":    databasesAPI().objects(t),
		"engines":              engineTable(t),

		"proxy calls":      proxyCalls(t),
		"proxy parameters": proxyParameters(),
		"proxy modules":    proxyModules(),
		"proxy metrics":    proxyMetrics(t),
		"proxy example":    proxyExample(t),

		"gateway calls":    gatewayCalls(t),
		"gateway entities": gatewayEntities(),
		"gateway plugins":  gatewayPlugins(),
		"gateway example":  gatewayExample(t),
		"plugin example":   pluginExample(t),
	}
}

func TestGeneratedBlocksAreFresh(t *testing.T) {
	want := blocks(t)
	used := map[string]bool{}
	for _, page := range pages(t) {
		text := read(t, page)
		fresh := block.ReplaceAllStringFunc(text, func(old string) string {
			m := block.FindStringSubmatch(old)
			content, ok := want[m[2]]
			if !ok {
				t.Errorf("%s: no generator is named %q", page, m[2])
				return old
			}
			used[m[2]] = true
			return m[1] + "\n" + content + "\n" + m[3]
		})
		switch {
		case fresh == text:
		case *update:
			if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is stale: run make generate", page)
		}
	}
	for name := range want {
		if !used[name] {
			t.Errorf("no page has the block %q", name)
		}
	}
}

// example is the heart of the program that README.md shows.
func example(t *testing.T) string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "example/main.go"), ") error {\n")
	text, _, found := strings.Cut(text, "\n\n\tfrom := ")
	if !found {
		t.Fatal("docs/example/main.go has changed: tell where its heart ends")
	}
	return "```go\n" + regexp.MustCompile(`(?m)^\t`).ReplaceAllString(text, "") + "\n```\n"
}

// pages are the Markdown files for readers.
func pages(t *testing.T) []string {
	t.Helper()
	top, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			top = append(top, path)
		}
		return err
	})
	if err != nil || len(top) < 5 {
		t.Fatalf("found the pages %v, error %v", top, err)
	}
	return top
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	code    = regexp.MustCompile("(?ms)^```.*?^```")
)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: %s has no such heading", page, m[1])
			}
		}
	}
}

// anchors are the names that a page's headings get, as GitHub makes them.
func anchors(text string) (out []string) {
	plain := regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)
	for _, m := range heading.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		name := plain.ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(strings.TrimSpace(name), " ", "-"))
	}
	return out
}

// Every room, and every package in it, has its line on the architecture page.
func TestArchitectureNamesEveryFolder(t *testing.T) {
	text := read(t, "architecture.md")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == root {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch first, rest, _ := strings.Cut(name, string(filepath.Separator)); {
		case strings.HasPrefix(d.Name(), "."), slices.Contains([]string{"bin", "data", "testdata", "vendor"}, d.Name()):
			return fs.SkipDir
		case slices.Contains([]string{"gen", "ent", "proto", "third_party"}, first) && rest != "" && rest != "schema":
			return fs.SkipDir
		}
		if !strings.Contains(text, "`"+name+"/`") {
			t.Errorf("docs/architecture.md has no line for %s/", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)\(`)
)

// A test that the page on security names as the proof of a claim is there.
func TestProofsExist(t *testing.T) {
	exists := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, "_test.go") {
			for _, m := range testFunc.FindAllStringSubmatch(read(t, path), -1) {
				exists[m[1]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := namedTest.FindAllStringSubmatch(read(t, "security.md"), -1)
	if len(named) == 0 {
		t.Error("docs/security.md names no test")
	}
	for _, m := range named {
		if !exists[m[1]] {
			t.Errorf("docs/security.md names the test %s, which does not exist", m[1])
		}
	}
}

// Every decision is listed in the index.
func TestDecisionsAreListed(t *testing.T) {
	index := read(t, "decisions/README.md")
	records, err := filepath.Glob("decisions/[0-9]*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("found the records %v, error %v", records, err)
	}
	for _, r := range records {
		if !strings.Contains(index, "("+filepath.Base(r)+")") {
			t.Errorf("docs/decisions/README.md does not list %s", r)
		}
		for _, part := range []string{"## Context", "## Decision", "## Consequences"} {
			if !strings.Contains(read(t, r), "\n"+part+"\n") {
				t.Errorf("docs/%s has no part %q", r, part)
			}
		}
	}
}
