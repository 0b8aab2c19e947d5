package apidoc

import (
	"cmp"
	"fmt"
	"slices"

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
	if len(c.before.chosen) > 0 || len(c.after.chosen) > 0 {
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
	// steps is how many schemas may be followed yet, in all.
	steps int
}

// side is one of the documents, and what was made of its operations.
type side struct {
	doc      *Document
	space    space
	exposed  []Operation
	fragment *fragment
	prints   *prints
	// chosen are the operations that are compared in detail.
	chosen []Operation
}

const (
	stepsPerOperation = 20_000
	stepsOfComparison = 400_000
)

func newComparison(before, after *Document) *comparison {
	// Of different versions the older is brought into the form of the newer.
	s := space{minor: min(max(before.minor, after.minor), 1)}
	return &comparison{before: newSide(before, s), after: newSide(after, s), steps: stepsOfComparison}
}

func newSide(d *Document, s space) *side {
	exposed, _ := d.Operations()
	f := validFragment(d, s, exposed)
	return &side{doc: d, space: s, exposed: exposed, fragment: f, prints: newPrints(f)}
}

// pair puts the operations of both sides together, and finds those that are
// worth a closer look.
func (c *comparison) pair() {
	old := map[string]Operation{}
	for _, o := range c.before.exposed {
		old[o.Method+" "+o.Template.shape()] = o
	}
	for _, now := range c.after.exposed {
		shape := now.Method + " " + now.Template.shape()
		was, there := old[shape]
		if !there {
			c.after.choose(now)
			continue
		}
		delete(old, shape)
		c.both(was, now)
	}
	for _, o := range c.before.exposed {
		if _, gone := old[o.Method+" "+o.Template.shape()]; gone {
			c.before.choose(o)
		}
	}
	c.keepPaths()
}

// keepPaths adds what tells an operation that comes or goes from a path that
// does: an operation of the path that both sides have.
func (c *comparison) keepPaths() {
	chosen := map[string]bool{}
	alone := map[string]bool{}
	for _, s := range []*side{c.before, c.after} {
		for _, o := range s.chosen {
			shape := o.Template.shape()
			alone[shape] = alone[shape] || o.item != nil && len(o.item.keys) == 0
			chosen[o.Method+" "+shape] = true
		}
	}
	stay := map[string]Operation{}
	for _, o := range c.before.exposed {
		stay[o.Method+" "+o.Template.shape()] = o
	}
	for _, now := range c.after.exposed {
		shape := now.Template.shape()
		was, both := stay[now.Method+" "+shape]
		if both && alone[shape] && !chosen[now.Method+" "+shape] {
			now.op = was.op
			c.before.choose(was)
			c.after.choose(now)
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
	case readableWas != readableNow:
		c.changed(now, "its description has changed; it cannot be told how, as one of both is not valid")
	case printWas == printNow:
	case !c.before.countable(was, c) || !c.after.countable(now, c):
		c.changed(now, "what it takes or answers has changed; its schemas branch too much to tell how")
	default:
		c.before.chosen = append(c.before.chosen, was)
		c.after.chosen = append(c.after.chosen, now)
	}
}

func (c *comparison) changed(o Operation, text string) {
	c.add(o, Change{Level: LevelWarning, Code: CodeChanged, Text: text})
}

func (c *comparison) add(o Operation, change Change) {
	change.Method, change.Path = o.Method, o.Path
	c.changes = append(c.changes, change)
}

// choose takes an operation that is there on one side alone: what it needs is
// of no interest.
func (s *side) choose(o Operation) {
	bare := objectOf("responses", objectOf("default", objectOf("description", "")))
	for _, key := range []string{"deprecated", "x-sunset", "x-stability-level"} {
		if v, there := o.op.values[key]; there {
			bare.set(key, v)
		}
	}
	o.op, o.item = bare, newObject()
	s.chosen = append(s.chosen, o)
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
	f := validFragment(s.doc, s.space, s.chosen)
	l := layout{minor: s.space.minor, info: objectOf("title", "-", "version", "-")}
	doc, err := openapi3.NewLoader().LoadFromData(l.write(f.json))
	if err != nil {
		return nil, err
	}
	// References are followed by now, and what is not used is of no interest.
	doc.Components = nil
	return &load.SpecInfo{Spec: doc}, nil
}
