package apidoc

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Info is what the merged document says of itself.
type Info struct {
	Title, Version, Description string
	// Servers are the addresses that it is served at; "/" if there is none.
	Servers []string
}

// Source is a service whose operations are merged.
type Source struct {
	// Name is the first segment of the paths.
	Name string
	// Document is what the service says of itself.
	Document *Document
	// Auth is the plugin that protects the operations which ask for it: jwt,
	// key-auth or basic-auth.
	Auth string
}

// Merge makes one document of the operations that services opt in. They are as
// their documents have them, but for paths, which begin with the service's
// name, tags, which are that name alone, and ids and components, which are
// prefixed with it. What cannot be shown is left out, and told as a fault.
//
// The document is of OpenAPI 3.0 if all sources are, else of 3.1, and always
// valid.
func Merge(info Info, sources []Source) (doc []byte, faults []string, err error) {
	doc, of, err := new(Merger).Merge(info, sources)
	for _, name := range slices.Sorted(maps.Keys(of)) {
		for _, fault := range of[name] {
			faults = append(faults, name+": "+fault)
		}
	}
	return doc, faults, err
}

// Merger merges again and again: what did not change since the last time is not
// built anew. The zero Merger is ready, and many may use it at once.
type Merger struct {
	mu    sync.Mutex
	built map[fragmentKey]*fragment
}

// fragmentKey is all that a fragment depends on.
type fragmentKey struct {
	sum   [sha256.Size]byte
	space space
}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Merge is as the function, with the faults by the names of the services.
func (m *Merger) Merge(info Info, sources []Source) (doc []byte, faults map[string][]string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sources = slices.SortedFunc(slices.Values(sources), func(a, b Source) int { return cmp.Compare(a.Name, b.Name) })
	j := &merge{taken: map[string]bool{}, schemes: map[string]bool{}, faults: map[string][]string{}}
	exposed := make([][]Operation, len(sources))
	for i, s := range sources {
		switch {
		case s.Document == nil:
			return nil, nil, fmt.Errorf("service %q has no document", s.Name)
		case !sourceName.MatchString(s.Name):
			return nil, nil, fmt.Errorf("%q cannot be the name of a service", s.Name)
		case i > 0 && s.Name == sources[i-1].Name:
			return nil, nil, fmt.Errorf("there are two services named %q", s.Name)
		case s.Auth != "" && schemes[s.Auth] == nil:
			return nil, nil, fmt.Errorf("%q is no plugin that authenticates: jwt, key-auth and basic-auth are", s.Auth)
		}
		exposed[i], _ = s.Document.Operations()
		if len(exposed[i]) > 0 && s.Document.minor > 0 {
			j.minor = 1
		}
	}
	m.buildAll(j.minor, sources, exposed)
	built := map[fragmentKey]*fragment{}
	for i, s := range sources {
		if len(exposed[i]) > 0 {
			m.addTo(j, s, exposed[i], built)
		}
	}
	m.built = built
	return j.write(info), j.faults, nil
}

// key is all that a source's part of a document of OpenAPI 3.y depends on.
func (s Source) key(prefix string, minor int) fragmentKey {
	return fragmentKey{s.Document.sum, space{prefix: "/" + s.Name, name: prefix, tag: s.Name, scheme: s.Auth, minor: minor}}
}

// buildAll builds what is not built yet, as much at once as there are
// processors.
func (m *Merger) buildAll(minor int, sources []Source, exposed [][]Operation) {
	type job struct {
		key     fragmentKey
		doc     *Document
		exposed []Operation
		out     *fragment
	}
	var jobs []*job
	for i, s := range sources {
		if key := s.key(s.Name+"_", minor); len(exposed[i]) > 0 && m.built[key] == nil {
			jobs = append(jobs, &job{key: key, doc: s.Document, exposed: exposed[i]})
		}
	}
	var wg sync.WaitGroup
	next := make(chan *job)
	for range min(len(jobs), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for j := range next {
				j.out = safely(j.doc, j.key.space, j.exposed)
			}
		})
	}
	for _, j := range jobs {
		next <- j
	}
	close(next)
	wg.Wait()
	if m.built == nil {
		m.built = map[fragmentKey]*fragment{}
	}
	for _, j := range jobs {
		m.built[j.key] = j.out
	}
}

// merge is a merged document in the making.
type merge struct {
	minor     int
	fragments []encoded
	tags      []any
	taken     map[string]bool
	schemes   map[string]bool
	faults    map[string][]string
}

// addTo adds a source. Only names such as "a" with a component "b_c" and "a_b"
// with "c" can be the same with their prefixes; then the prefix is another.
func (m *Merger) addTo(j *merge, s Source, exposed []Operation, built map[fragmentKey]*fragment) {
	for n := 1; ; n++ {
		prefix := s.Name + "_"
		if n > 1 {
			prefix = fmt.Sprintf("%s_%d_", s.Name, n)
		}
		key := s.key(prefix, j.minor)
		f := m.built[key]
		if f == nil {
			f = safely(s.Document, key.space, exposed)
		}
		names := f.names()
		if slices.ContainsFunc(names, func(name string) bool { return j.taken[name] }) {
			continue
		}
		for _, name := range names {
			j.taken[name] = true
		}
		built[key] = f
		if len(f.faults) > 0 {
			j.faults[s.Name] = f.faults
		}
		j.add(s, f, exposed)
		return
	}
}

// safely keeps a document that nobody thought of from breaking the others.
func safely(d *Document, s space, exposed []Operation) (f *fragment) {
	defer func() {
		if r := recover(); r != nil {
			f = &fragment{paths: newObject(), faults: []string{fmt.Sprintf("it is not in the merged document: %v", r)}}
		}
	}()
	return validFragment(d, s, exposed)
}

func (j *merge) add(s Source, f *fragment, exposed []Operation) {
	j.fragments = append(j.fragments, f.json)
	if len(f.operations) == 0 {
		return
	}
	tag := objectOf("name", s.Name)
	if title := strings.TrimSpace(s.Document.Title + " " + s.Document.Version); title != "" {
		tag.set("description", title)
	}
	j.tags = append(j.tags, tag)
	if s.Auth != "" && slices.ContainsFunc(exposed, func(o Operation) bool { return o.Protected }) {
		j.schemes[s.Auth] = true
	}
}

func (j *merge) write(info Info) []byte {
	l := layout{minor: j.minor, tags: j.tags, answers: len(j.tags) > 0}
	l.info = objectOf("title", cmp.Or(info.Title, "Gateway"))
	if info.Description != "" {
		l.info.set("description", info.Description)
	}
	l.info.set("version", cmp.Or(info.Version, "1"))
	servers := info.Servers
	if len(servers) == 0 {
		servers = []string{"/"}
	}
	for _, url := range servers {
		l.servers = append(l.servers, objectOf("url", url))
	}
	l.schemes = newObject()
	for _, name := range slices.Sorted(maps.Keys(j.schemes)) {
		l.schemes.set(name, schemes[name])
	}
	return l.write(j.fragments...)
}

// names are those that other fragments may not have.
func (f *fragment) names() []string {
	var names []string
	for _, c := range f.components {
		names = append(names, c.section+" "+c.name)
	}
	for _, p := range f.operations {
		if o, ok := p.out.(*object); ok && o.has("operationId") {
			names = append(names, "operation "+o.text("operationId"))
		}
	}
	return names
}
