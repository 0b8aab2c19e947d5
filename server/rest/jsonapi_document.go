package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ordered are the members of an object as they are, each value as its text;
// false for what is no object.
func ordered(text []byte) (object, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var out object
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, false
		}
		name, _ := key.(string)
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, false
		}
		out = append(out, member{name, value})
	}
	return out, true
}

// raw is the text of a value that ordered has found.
func (m member) raw() json.RawMessage {
	text, _ := m.value.(json.RawMessage)
	return text
}

// array writes the elements of an array.
func array(of []json.RawMessage) json.RawMessage {
	return append(append([]byte{'['}, bytes.Join(rawBytes(of), []byte(","))...), ']')
}

func rawBytes(of []json.RawMessage) [][]byte {
	out := make([][]byte, len(of))
	for i, v := range of {
		out[i] = v
	}
	return out
}

// view is how much of a document a client wants to see (JSON:API 1.0, fetching
// data).
type view struct {
	fields  map[string][]jsonPath // by type of resource
	filters []rowFilter
	size    int // of a page; 0 for one page
	page    int
	query   string // that of the request without page[…]
}

// plain reports whether the document is shown as it is.
func (v *view) plain() bool { return len(v.fields) == 0 && len(v.filters) == 0 && v.size == 0 }

// shape makes the view of a document: rows are filtered, then counted into
// pages, then stripped. What is no document of JSON:API stays as it is.
func (v *view) shape(text []byte) ([]byte, error) {
	if v.plain() {
		return text, nil
	}
	top, ok := ordered(text)
	if !ok {
		return text, nil
	}
	pages := 0
	for i, m := range top {
		if m.key != "data" || len(m.raw()) == 0 {
			continue
		}
		switch m.raw()[0] {
		case '{':
			top[i].value = v.strip(m.raw())
		case '[':
			var rows []json.RawMessage
			if err := json.Unmarshal(m.raw(), &rows); err != nil {
				return nil, fmt.Errorf("rows of a document: %w", err)
			}
			rows, err := v.filter(rows)
			if err != nil {
				return nil, err
			}
			rows, pages = v.cut(rows)
			for j := range rows {
				rows[j] = v.strip(rows[j])
			}
			top[i].value = array(rows)
		}
	}
	if pages > 0 {
		for i, m := range top {
			if m.key == "links" {
				top[i].value = v.paginate(m.raw(), pages)
			}
		}
	}
	return top.append(nil), nil
}

// filter leaves the rows that every filter keeps.
func (v *view) filter(rows []json.RawMessage) ([]json.RawMessage, error) {
	if len(v.filters) == 0 {
		return rows, nil
	}
	kept := rows[:0]
rows:
	for _, row := range rows {
		var value any
		dec := json.NewDecoder(bytes.NewReader(row))
		dec.UseNumber()
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("row of a document: %w", err)
		}
		for _, f := range v.filters {
			if !f.keeps(value) {
				continue rows
			}
		}
		kept = append(kept, row)
	}
	return kept, nil
}

// cut leaves the rows of the page, and tells how many pages there are.
func (v *view) cut(rows []json.RawMessage) ([]json.RawMessage, int) {
	if v.size == 0 {
		return rows, 0
	}
	pages := max(1, (len(rows)+v.size-1)/v.size)
	if v.page >= pages {
		return nil, pages
	}
	from := v.page * v.size
	return rows[from:min(from+v.size, len(rows))], pages
}

// paginate adds the links to other pages.
func (v *view) paginate(links json.RawMessage, pages int) json.RawMessage {
	out, _ := ordered(links)
	base := ""
	for _, l := range out {
		if l.key == "self" {
			json.Unmarshal(l.raw(), &base) //nolint:errcheck // it stays relative
		}
	}
	base, _, _ = strings.Cut(base, "?")
	add := func(name string, page int) {
		query := url.QueryEscape("page[number]") + "=" + strconv.Itoa(page) + "&" + url.QueryEscape("page[size]") + "=" + strconv.Itoa(v.size)
		if v.query != "" {
			query = v.query + "&" + query
		}
		out = append(out, member{name, base + "?" + query})
	}
	add("first", 0)
	add("last", pages-1)
	if v.page < pages-1 {
		add("next", v.page+1)
	}
	if v.page > 0 {
		add("prev", min(v.page-1, pages-1))
	}
	return out.append(nil)
}

// strip leaves of a resource the members that its client has asked for.
func (v *view) strip(resource json.RawMessage) json.RawMessage {
	all, ok := ordered(resource)
	if !ok {
		return resource
	}
	kind := ""
	for _, m := range all {
		if m.key == "type" {
			json.Unmarshal(m.raw(), &kind) //nolint:errcheck // no text is no type
		}
	}
	paths, ok := v.fields[kind]
	if !ok {
		return resource
	}
	kept := all[:0]
	for _, m := range all {
		switch m.key {
		case "id", "type", "links":
			kept = append(kept, m)
		case "attributes", "relationships":
			if some := pick(m.raw(), paths); some != nil {
				kept = append(kept, member{m.key, some})
			}
		}
	}
	return kept.append(nil)
}

// pick leaves of an object what the paths lead to; nil when that is nothing.
// They do not lead into arrays.
func pick(text json.RawMessage, paths []jsonPath) json.RawMessage {
	all, ok := ordered(text)
	if !ok {
		return nil
	}
	kept := all[:0]
	for _, m := range all {
		var below []jsonPath
		whole := false
		for _, p := range paths {
			if p[0].names[0] == m.key {
				below = append(below, p[1:])
				whole = whole || len(p) == 1
			}
		}
		if !whole && len(below) > 0 {
			some := pick(m.raw(), below)
			m.value, whole = some, some != nil
		}
		if whole {
			kept = append(kept, m)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept.append(nil)
}
