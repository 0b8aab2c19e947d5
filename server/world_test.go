package server_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/servertest"
)

// world makes what requests name, and makes it again once it is used up.
type world struct {
	*servertest.Server
	made  map[string]string // by word and project
	count int
}

var wordShape = regexp.MustCompile(`\$[a-z]+`)

// fill replaces the words of a request, in the project of its resource.
func (w *world) fill(t *testing.T, request, project string) string {
	t.Helper()
	return wordShape.ReplaceAllStringFunc(request, func(word string) string {
		switch word {
		case "$project":
			return project
		case "$new":
			w.count++
			return fmt.Sprintf("%s-%d", strings.ToLower(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]), w.count)
		}
		key := word + " " + project
		if w.made[key] == "" {
			w.count++
			w.made[key] = w.make(t, word, project, fmt.Sprintf("%s-%s-%d", strings.ToLower(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]), project, w.count))
		}
		return w.made[key]
	})
}

func (w *world) make(t *testing.T, word, project, name string) string {
	t.Helper()
	switch word {
	case "$service":
		return w.Create(t, sqlite(name, "project", project))["id"].(string)
	case "$user":
		w.AddUser(t, name)
		return name
	case "$token":
		id, _ := w.AddToken(t, servertest.Basic(auth.AdminUser, servertest.Password), name)
		return id
	case "$empty":
		w.AddProject(t, name)
		return name
	}
	t.Fatalf("what is %s?", word)
	return ""
}

// used forgets what a call that succeeded may have used up.
func (w *world) used(project, outcome string) {
	if outcome != "200" {
		return
	}
	for key := range w.made {
		if strings.HasSuffix(key, " "+project) {
			delete(w.made, key)
		}
	}
}
