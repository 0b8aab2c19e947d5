package apidoc

import (
	"slices"
	"strings"
)

// validFragment builds the operations of a document such that what comes out is
// valid: what cannot be mended is left out.
func validFragment(d *Document, s space, operations []Operation) *fragment {
	t := &trial{index: newIndex(d), space: s, left: maxEffort}
	mended := repairs{}
	const rounds = 6
	for n := 0; n < rounds && t.left > 0; n++ {
		f, problems := t.try(operations, mended)
		if len(problems) == 0 {
			return f
		}
		if !mended.learn(f, problems) {
			break
		}
	}
	// What it is was not told: the operations are added by halves.
	t.mended = mended
	t.best, _ = t.try(nil, nil)
	t.add(nil, operations)
	t.best.faults = append(t.best.faults, t.faults...)
	return t.best
}

// trial looks for the operations that make a valid document.
type trial struct {
	index  *index
	space  space
	mended repairs
	best   *fragment
	faults []string
	// left is how much effort it may make yet.
	left int
}

// maxEffort is how much is read for one document. One of 10 MB, the largest
// known, takes some 60 MB to read, and is tried more than once only if it is
// not valid. tryEffort is what a try takes at least.
const (
	maxEffort = 1 << 30
	tryEffort = 1 << 22
)

func (t *trial) try(operations []Operation, mended repairs) (*fragment, []problem) {
	f := build(t.index, t.space, operations, mended)
	f.dropValues(t.space.minor)
	l := layout{minor: t.space.minor, info: objectOf("title", "-", "version", "-"), answers: t.space.tag != "", probe: true}
	if t.space.scheme != "" {
		l.schemes = objectOf(t.space.scheme, schemes[t.space.scheme])
	}
	f.json = f.encode()
	t.left -= max(f.json.effort, tryEffort)
	if f.json.effort > maxEffort {
		return f, []problem{{text: "it nests too deep for its size"}}
	}
	return f, validate(t.space.minor, l.write(f.json))
}

// add adds those of more to kept that leave the document valid.
func (t *trial) add(kept, more []Operation) []Operation {
	why := "there is too much in the document that is not valid"
	if t.left > 0 {
		all := slices.Concat(kept, more)
		f, problems := t.try(all, t.mended)
		if len(problems) == 0 {
			t.best = f
			return all
		}
		why = problems[0].text
		if len(more) > 1 {
			half := len(more) / 2
			kept = t.add(kept, more[:half])
			return t.add(kept, more[half:])
		}
	}
	for _, o := range more {
		t.faults = append(t.faults, notShown(o, shorten(oneLine(why))))
	}
	return kept
}

// learn notes what is to be done about problems; it tells whether that is
// anything new. A schema gives way to one that allows anything. Without
// anything else operations cannot be.
func (r repairs) learn(f *fragment, problems []problem) bool {
	users := f.users()
	learned := false
	note := func(p *part, what repair) {
		if (r[p.key()] == repair{}) {
			r[p.key()] = what
			learned = true
		}
	}
	for _, problem := range problems {
		why := shorten(oneLine(problem.text))
		for _, c := range f.components {
			if c.section != problem.section || c.name != problem.name {
				continue
			}
			if c.kind == kindSchema && r[c.key()].replace == "" {
				note(c, repair{replace: why})
				continue
			}
			for _, o := range users.of(c) {
				note(o, repair{drop: c.shown() + ": " + why})
			}
		}
		if problem.section != "paths" {
			continue
		}
		for _, o := range f.operations {
			method, _, _ := strings.Cut(o.name, " ")
			if o.path == problem.name && (problem.method == "" || problem.method == method) {
				note(o, repair{drop: why})
			}
		}
	}
	return learned
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
