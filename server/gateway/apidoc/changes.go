package apidoc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"
)

// Level is how much a change matters to clients.
type Level string

// Clients that relied on what was before fail after a breaking change, some may
// after one with a warning, and none does for the rest.
const (
	LevelInfo     Level = "info"
	LevelWarning  Level = "warning"
	LevelBreaking Level = "breaking"
)

// Change is something that is not as it was.
type Change struct {
	Level Level
	// Code is what kind of change it is, such as api-removed-without-deprecation.
	Code string
	// Method and Path are those of the operation; both may be empty.
	Method, Path string
	// Text tells it in a sentence.
	Text string
}

// Codes of changes that are found here; all others are oasdiff's.
const (
	CodeProtected   = "operation-protected"
	CodeUnprotected = "operation-unprotected"
	CodeChanged     = "operation-changed"
)

// maxChanges is how many changes are told.
const maxChanges = 5000

// Changes compares the operations that two documents opt in. Of operations
// that cannot be compared, as they are not valid or branch too much, it tells
// that they changed.
func Changes(before, after *Document) (changes []Change, err error) {
	defer func() {
		if r := recover(); r != nil {
			changes, err = nil, fmt.Errorf("compare OpenAPI documents: %v", r)
		}
	}()
	if before.sum == after.sum {
		return nil, nil
	}
	c := newComparison(before, after)
	c.pair()
	if len(c.before.paths.keys) > 0 || len(c.after.paths.keys) > 0 {
		if err := c.compare(); err != nil {
			return nil, fmt.Errorf("compare OpenAPI documents: %w", err)
		}
	}
	slices.SortStableFunc(c.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	c.changes = slices.Compact(c.changes)
	return c.changes[:min(len(c.changes), maxChanges)], nil
}

// comparison is two documents that are being compared.
type comparison struct {
	before, after *side
	changes       []Change
	// left is how much effort may be made yet, in all.
	left int
}

// side is one of the documents, and what was made of its operations.
type side struct {
	exposed []Operation
	prints  *prints
	// paths are the path items of the operations that oasdiff is to compare, in
	// the order of paths; alone are the shapes of those that one side lacks.
	paths *object
	alone map[string]bool
}

// How many objects are looked at for an operation, and for all, each as often
// as it is deep.
const (
	effortPerOperation  = 200_000
	effortPerComparison = 1_500_000
)

func newComparison(before, after *Document) *comparison {
	// Of different versions the older is brought into the form of the newer.
	s := space{minor: min(max(before.minor, after.minor), 1)}
	return &comparison{before: newSide(before, s), after: newSide(after, s), left: effortPerComparison}
}

func newSide(d *Document, s space) *side {
	exposed, _ := d.Operations()
	return &side{exposed: exposed, prints: newPrints(validFragment(d, s, exposed)), paths: newObject(), alone: map[string]bool{}}
}

func shapeOf(o Operation) string { return o.Method + " " + o.Template.shape() }

// pair puts the operations of both sides together, and finds those that are
// worth a closer look.
func (c *comparison) pair() {
	old := map[string]Operation{}
	for _, o := range c.before.exposed {
		old[shapeOf(o)] = o
	}
	stay := map[string]bool{}
	for _, now := range c.after.exposed {
		if was, there := old[shapeOf(now)]; there {
			stay[shapeOf(now)] = true
			c.both(was, now)
		} else {
			c.after.choose(now, bare(now))
			c.after.alone[now.Template.shape()] = true
		}
	}
	for _, o := range c.before.exposed {
		if !stay[shapeOf(o)] {
			c.before.choose(o, bare(o))
			c.before.alone[o.Template.shape()] = true
		}
	}
	// That its path stays tells an operation that comes or goes from one whose
	// path does, too.
	for _, now := range c.after.exposed {
		shape := now.Template.shape()
		if stay[shapeOf(now)] && (c.before.alone[shape] || c.after.alone[shape]) && !c.after.has(now) {
			c.before.choose(old[shapeOf(now)], bare(now))
			c.after.choose(now, bare(now))
		}
	}
}

// both looks at an operation that was and is there.
func (c *comparison) both(was, now Operation) {
	if was.Protected != now.Protected {
		change := Change{Level: LevelBreaking, Code: CodeProtected, Text: "callers have to prove who they are now"}
		if was.Protected {
			change = Change{Level: LevelInfo, Code: CodeUnprotected, Text: "callers need not prove who they are any more"}
		}
		c.add(now, change)
	}
	printWas, readableWas := c.before.prints.of(was)
	printNow, readableNow := c.after.prints.of(now)
	switch {
	case !readableWas && !readableNow:
		if canonical(was.op) != canonical(now.op) {
			c.changed(now, "what it takes or answers has changed; it cannot be told how, as its description is not valid")
		}
		return
	case readableWas != readableNow:
		c.changed(now, "its description has changed; it cannot be told how, as one of both is not valid")
		return
	case printWas == printNow:
		return
	}
	before, simpleBefore := c.unfold(c.before.prints, was)
	after, simpleAfter := c.unfold(c.after.prints, now)
	if !simpleBefore || !simpleAfter {
		c.changed(now, "what it takes or answers has changed; its schemas branch too much to tell how")
		return
	}
	c.before.choose(was, before)
	c.after.choose(now, after)
}

func (c *comparison) changed(o Operation, text string) {
	c.add(o, Change{Level: LevelWarning, Code: CodeChanged, Text: text})
}

func (c *comparison) add(o Operation, change Change) {
	change.Method, change.Path = o.Method, o.Path
	c.changes = append(c.changes, change)
}

// bare is an operation of which only matters that it is there.
func bare(o Operation) *object {
	out := objectOf("responses", objectOf("default", objectOf("description", "")))
	for _, key := range []string{"deprecated", "x-sunset", "x-stability-level"} {
		switch v := o.op.values[key].(type) {
		case bool, string:
			out.set(key, v)
		}
	}
	return out
}

// choose has an operation compared.
func (s *side) choose(o Operation, op *object) {
	item := s.paths.object(o.Template.String())
	if item == nil {
		item = newObject()
		s.paths.set(o.Template.String(), item)
	}
	item.set(strings.ToLower(o.Method), op)
}

func (s *side) has(o Operation) bool {
	return s.paths.object(o.Template.String()).has(strings.ToLower(o.Method))
}

// compare has oasdiff compare the chosen operations.
func (c *comparison) compare() error {
	before, err := c.before.load()
	if err != nil {
		return err
	}
	after, err := c.after.load()
	if err != nil {
		return err
	}
	config := diff.NewConfig(diff.WithExcludeElements(diff.GetExcludeDiffOptions()))
	d, sources, err := diff.GetWithOperationsSourcesMap(config, before, after)
	if err != nil {
		return err
	}
	localize := checker.NewDefaultLocalizer()
	for _, found := range checker.CheckBackwardCompatibilityUntilLevel(checker.NewConfig(checker.GetAllChecks()), d, sources, checker.INFO) {
		level := LevelInfo
		switch found.GetLevel() {
		case checker.ERR:
			level = LevelBreaking
		case checker.WARN:
			level = LevelWarning
		}
		c.changes = append(c.changes, Change{
			Level: level, Code: found.GetId(), Method: found.GetOperation(), Path: found.GetPath(),
			Text: shorten(oneLine(found.GetUncolorizedText(localize))),
		})
	}
	return nil
}

// load makes a document of the chosen operations.
func (s *side) load() (*load.SpecInfo, error) {
	doc, err := openapi3.NewLoader().LoadFromData(encode(objectOf(
		"openapi", versions[1], "info", objectOf("title", "-", "version", "-"), "paths", s.paths)))
	return &load.SpecInfo{Spec: doc}, err
}
