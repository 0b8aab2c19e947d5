package rest

import "strings"

// DatabaseCollections are what GET /api/ leads to.
func DatabaseCollections() []string {
	return []string{"database", "credential", "project", "plan", "environment", "engine", "engine_type", "team", "task", "snapshot"}
}

// collections is the root of the API: where its collections are.
func collections(self, address string) object {
	out := object{links(self)}
	for _, name := range DatabaseCollections() {
		out = append(out, member{name, address + "/api/" + name + "/"})
	}
	return out
}

// describe is the answer to OPTIONS: what is at a path, and in which formats.
func describe(self, path string) object {
	return object{
		links(self), {"name", nameOf(path)}, {"renders", []string{"application/json"}},
		{"parses", []string{"application/json", formType, multipartType}},
	}
}

// nameOf names what is at a path: `Engine Type List`, `Engine Type Instance`,
// `Reset Password`.
func nameOf(path string) string {
	parts := split(path)[1:]
	if len(parts) == 0 {
		return "Api Root"
	}
	words := strings.Fields(strings.ReplaceAll(parts[len(parts)-1], "_", " "))
	switch len(parts) {
	case 1:
		words = append(words, "List")
	case 2:
		if isNumber(parts[1]) {
			words = append(strings.Fields(strings.ReplaceAll(parts[0], "_", " ")), "Instance")
		}
	}
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
