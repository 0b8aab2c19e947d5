package apidoc

import (
	"crypto/sha256"
	"slices"
)

// prints tell whether operations are the same with all that they need.
type prints struct {
	operations map[string]*part
	components map[string]*part
	own        map[*part][sha256.Size]byte
	// common are the parameters of paths.
	common map[string]any
}

func newPrints(f *fragment) *prints {
	p := &prints{
		operations: map[string]*part{}, components: map[string]*part{},
		own: map[*part][sha256.Size]byte{}, common: map[string]any{},
	}
	for _, o := range f.operations {
		p.operations[o.name] = o
		p.own[o] = sha256.Sum256(encode(o.out))
	}
	for _, c := range f.components {
		p.components["#/components/"+c.section+"/"+c.name] = c
		p.own[c] = sha256.Sum256(encode(c.out))
	}
	for _, path := range f.paths.keys {
		p.common[path] = f.paths.object(path).get("parameters")
	}
	return p
}

// of is the print of an operation; there is none of one that is not valid.
func (p *prints) of(o Operation) (print [sha256.Size]byte, ok bool) {
	start, ok := p.operations[o.Method+" "+o.Path]
	if !ok {
		return print, false
	}
	seen := map[*part]bool{start: true}
	next := []*part{start}
	var names []string
	for i := 0; i < len(next); i++ {
		for _, c := range next[i].needs {
			if !seen[c] {
				seen[c] = true
				next = append(next, c)
				names = append(names, "#/components/"+c.section+"/"+c.name)
			}
		}
	}
	slices.Sort(names)
	h := sha256.New()
	own := p.own[start]
	h.Write(own[:])
	h.Write(encode(p.common[o.Template.String()]))
	for _, name := range names {
		own := p.own[p.components[name]]
		h.Write([]byte(name))
		h.Write(own[:])
	}
	return [sha256.Size]byte(h.Sum(nil)), true
}
