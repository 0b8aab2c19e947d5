package route

// finder looks for the best rule of an index that fits a request.
type finder[V any] struct {
	in     *Input
	method uint16
	best   *rule[V]
	// fold is where a value is put into lower case.
	fold [128]byte
}

func (x *index[V]) find(in *Input) *rule[V] {
	f := finder[V]{in: in, method: methodBit(in.Method)}
	if x.exact != nil || x.back != nil || x.front != nil {
		f.hosts(x)
	}
	f.paths(x.anyHost)
	if x.segments != nil {
		if segment, ok := firstSegment(in.Path); ok {
			f.paths(x.segments.get(segment))
		}
	}
	return f.best
}

// hosts looks at the rules that have hosts.
func (f *finder[V]) hosts(x *index[V]) {
	name, port := splitHost(f.in.Host)
	if port == 0 {
		port = f.in.Port
	}
	// Rules have values folded while a name is gone through step by step: it
	// has memory of its own.
	var own [128]byte
	folded := append(own[:0], f.lower(name)...)
	if p := get(x.exact, folded); p != nil {
		f.ports(p, port)
	}
	for n, rest := next(x.back, folded); n != nil; n, rest = next(after(n, rest)) {
		f.ports(n.value, port)
	}
	if x.front == nil {
		return
	}
	for i, j := 0, len(folded)-1; i < j; i, j = i+1, j-1 {
		folded[i], folded[j] = folded[j], folded[i]
	}
	for n, rest := next(x.front, folded); n != nil; n, rest = next(after(n, rest)) {
		f.ports(n.value, port)
	}
}

func (f *finder[V]) ports(p *ports[V], port int) {
	for i := range p.others {
		if r := &p.others[i]; r.port == port {
			f.paths(r.paths)
		}
	}
	f.paths(p.any)
}

// paths looks at the rules whose paths the request's begins with.
func (f *finder[V]) paths(root *node[bucket[V]]) {
	for n, rest := next(root, f.in.Path); n != nil; n, rest = next(after(n, rest)) {
		f.bucket(n.value)
	}
}

func (f *finder[V]) bucket(b *bucket[V]) {
	// Most buckets have one rule.
	done := b.best == nil || f.try(b.best)
	if b.more == nil {
		return
	}
	if !done {
		for _, r := range b.more.rules[1:] {
			if f.try(r) {
				break
			}
		}
	}
	for i := range b.more.facets {
		f.facet(&b.more.facets[i])
	}
}

// try takes a rule if it fits and is better than what was found. It tells
// whether those behind it need not be tried any more.
func (f *finder[V]) try(r *rule[V]) bool {
	if f.best != nil && r.rest.order.compare(&f.best.rest.order) >= 0 {
		return true
	}
	if r.fit(f.in, f.method) {
		f.best = r
		return true
	}
	return false
}

func (f *finder[V]) facet(by *facet[V]) {
	if by.name != "" {
		if f.in.Header == nil {
			return
		}
		for v, at := f.in.Header.Next(by.name, 0); at >= 0; v, at = f.in.Header.Next(by.name, at) {
			if b := get(by.values, f.lower(v)); b != nil {
				f.bucket(b)
			}
		}
		return
	}
	b := by.clear
	if f.in.TLS {
		b = get(by.values, f.lower(f.in.SNI))
	}
	if b != nil {
		f.bucket(b)
	}
}

// lower is a value in lower case, until the next call.
func (f *finder[V]) lower(v string) []byte {
	b := f.fold[:0]
	for i := range len(v) {
		b = append(b, lowerByte(v[i]))
	}
	return b
}
