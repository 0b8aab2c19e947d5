package apidoc

import (
	"fmt"
	"slices"
	"strings"
)

// Flags of the tags in which a service opts operations in.
const (
	flagExpose  = "x-auto-generate-in-api-gateway"
	flagProtect = "x-enable-auth-in-api-gateway"
)

// methods are the members of a path item that are operations; query came with
// OpenAPI 3.2.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

// Operation is one that a service opted in.
type Operation struct {
	// Method is in upper case, and Path as the document has it.
	Method, Path string
	// OperationID is what the document calls it; it may be empty, or the same as
	// that of others.
	OperationID string
	// Protected operations are only for who is known.
	Protected bool
	// Template is the path, taken apart.
	Template Template

	// item and op are where it stands in the document: the path item, with what
	// it refers to put in its place, and the operation.
	item, op *object
}

// Operations are those that the document's tags opt in, in the document's
// order, and what is wrong with others, a sentence each.
func (d *Document) Operations() (exposed []Operation, faults []string) {
	exposed, _, faults = d.operations()
	return exposed, faults
}

// Others are all operations that are not opted in.
func (d *Document) Others() []Operation {
	_, others, _ := d.operations()
	return others
}

func (d *Document) operations() (exposed, others []Operation, faults []string) {
	r := &reader{doc: d, shapes: map[string]string{}}
	r.readTags()
	switch paths := d.root.get("paths").(type) {
	case *object:
		for _, path := range paths.keys {
			if !strings.HasPrefix(path, "x-") {
				r.readPath(path, paths.values[path])
			}
		}
	case nil:
		if d.minor == 0 {
			r.fault("the document has no paths")
		}
	default:
		r.fault("\"paths\" is not an object")
	}
	return r.exposed, r.others, r.faults
}

// reader reads the operations of a document.
type reader struct {
	doc             *Document
	tags            map[string]*object
	shapes          map[string]string
	exposed, others []Operation
	full            bool
	faults          []string
}

func (r *reader) fault(format string, args ...any) {
	r.faults = addFault(r.faults, format, args...)
}

// maxFaults is how many faults of a document are told, and maxOperations how
// many operations are read of it.
const (
	maxFaults     = 1000
	maxOperations = 10_000
)

func addFault(faults []string, format string, args ...any) []string {
	switch len(faults) {
	case maxFaults:
		return faults
	case maxFaults - 1:
		return append(faults, "there are more faults than these")
	}
	return append(faults, fmt.Sprintf(format, args...))
}

// readTags collects the tags that the document declares; the first of a name
// counts.
func (r *reader) readTags() {
	r.tags = map[string]*object{}
	v := r.doc.root.get("tags")
	list, ok := v.([]any)
	if v != nil && !ok {
		r.fault("the top level \"tags\" is not a list, so that no operation is opted in")
	}
	for i, v := range list {
		tag, ok := v.(*object)
		name, named := tag.get("name").(string)
		if !ok || !named {
			r.fault("the top level tag number %d is not an object with a name", i+1)
			continue
		}
		if _, there := r.tags[name]; !there {
			r.tags[name] = tag
		}
	}
}

func (r *reader) readPath(path string, v any) {
	shown := shorten(path)
	template, err := parseTemplate(path)
	if err != nil {
		r.fault("%s: %v", shown, err)
		return
	}
	item, err := r.doc.pathItem(v)
	if err != nil {
		r.fault("%s: %v", shown, err)
		for _, method := range methods {
			r.other(Operation{Method: strings.ToUpper(method), Path: path, Template: template})
		}
		return
	}
	for _, key := range item.keys {
		if key == "additionalOperations" && r.doc.minor >= 2 {
			more := item.object(key)
			for _, method := range more.names() {
				r.readOperation(method, path, template, item, more.values[method])
			}
		} else if slices.Contains(methods, key) && (key != "query" || r.doc.minor >= 2) {
			r.readOperation(strings.ToUpper(key), path, template, item, item.values[key])
		}
	}
}

func (r *reader) readOperation(method, path string, template Template, item *object, v any) {
	where := shorten(method + " " + path)
	if !isMethod(method) {
		r.fault("%s: the method is not one word of capital letters", where)
		return
	}
	op, ok := v.(*object)
	if !ok {
		r.fault("%s: the operation is not an object", where)
		r.other(Operation{Method: method, Path: path, Template: template, item: item})
		return
	}
	tag, err := r.decides(op)
	if err != nil {
		r.fault("%s: %v", where, err)
		r.other(Operation{Method: method, Path: path, Template: template, item: item, op: op})
		return
	}
	o := Operation{
		Method: method, Path: path, OperationID: op.text("operationId"),
		Protected: isTrue(tag.get(flagProtect)), Template: template, item: item, op: op,
	}
	if !isTrue(tag.get(flagExpose)) {
		r.other(o)
		return
	}
	if !r.room() {
		return
	}
	shape := method + " " + template.shape()
	if other, there := r.shapes[shape]; there {
		r.fault("%s: %s differs from it in the names of parameters alone, and comes first", where, shorten(other))
		return
	}
	r.shapes[shape] = method + " " + path
	r.exposed = append(r.exposed, o)
}

// other notes an operation that is not opted in. One that cannot be read is none,
// but the service may have it all the same.
func (r *reader) other(o Operation) {
	if r.room() {
		r.others = append(r.others, o)
	}
}

// room tells whether there may be one more operation.
func (r *reader) room() bool {
	if len(r.exposed)+len(r.others) < maxOperations {
		return true
	}
	if !r.full {
		r.fault("the document has more than %d operations; the others are not read", maxOperations)
	}
	r.full = true
	return false
}

// decides is the tag that decides on an operation: the first of its tags that
// is declared; nil if none is.
func (r *reader) decides(op *object) (*object, error) {
	v := op.get("tags")
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("its tags are not a list")
	}
	for _, v := range list {
		name, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("one of its tags is not a string")
		}
		if tag, there := r.tags[name]; there {
			return tag, nil
		}
	}
	return nil, nil
}

// isTrue reads a flag.
func isTrue(v any) bool { return v == true || v == "true" }

func isMethod(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return c < 'A' || c > 'Z' }) < 0
}

// pathItem is a path item with those put in its place that it refers to; what
// stands beside a reference comes first.
func (d *Document) pathItem(v any) (*object, error) {
	item, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("the path item is not an object")
	}
	const hops = 16
	for range hops {
		ref, there := item.values["$ref"]
		if !there {
			return item, nil
		}
		text, _ := ref.(string)
		if !strings.HasPrefix(text, "#") {
			return nil, fmt.Errorf("the path item is in another document, %q, which is not read", shorten(text))
		}
		target, _ := d.resolve(text)
		next, ok := target.(*object)
		if !ok {
			return nil, fmt.Errorf("the path item refers to %q, where none is", shorten(text))
		}
		both := newObject()
		for _, key := range next.keys {
			both.set(key, next.values[key])
		}
		for _, key := range item.keys {
			if key != "$ref" {
				both.set(key, item.values[key])
			}
		}
		item = both
	}
	return nil, fmt.Errorf("the path item refers to itself")
}
