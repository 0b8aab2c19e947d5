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
	*estate
	made  map[string]string // by word and project
	count int
}

func newWorld(e *estate) *world { return &world{estate: e, made: map[string]string{}} }

var wordShape = regexp.MustCompile(`\$[a-zA-Z]+`)

// fill replaces the words of a request, in the project of its resource.
func (w *world) fill(t *testing.T, request, project string) string {
	t.Helper()
	return wordShape.ReplaceAllStringFunc(request, func(word string) string {
		switch word {
		case "$project":
			return project
		case "$new":
			w.count++
			return fmt.Sprintf("%s-%d", subtest(t), w.count)
		case "$login":
			w.count++
			return fmt.Sprintf("l%d", w.count)
		}
		key := word + " " + project
		if w.made[key] == "" {
			w.count++
			w.made[key] = w.make(t, word, project, fmt.Sprintf("%s-%s-%d", subtest(t), project, w.count))
		}
		return w.made[key]
	})
}

// subtest is the last part of a test's name.
func subtest(t *testing.T) string {
	return strings.ToLower(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:])
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
	case "$registered":
		return fmt.Sprint(register(t, w.Server, name, 1))
	case "$empty":
		w.AddProject(t, name)
		return name
	}
	if made := w.makeForDatabases(t, word, project, name); made != "" {
		return made
	}
	t.Fatalf("what is %s?", word)
	return ""
}

// makeForDatabases makes what requests about databases name: a number, but for
// the id of a service.
func (w *world) makeForDatabases(t *testing.T, word, project, name string) string {
	t.Helper()
	switch word {
	case "$redis":
		return w.service
	case "$small":
		return tail(w.plan)
	case "$laboratory":
		return tail(w.environment)
	case "$engine":
		return tail(w.engine)
	case "$projectNumber":
		return w.projectNumber(t, project)
	case "$emptyNumber":
		w.AddProject(t, name)
		return w.projectNumber(t, name)
	case "$environment":
		return tail(w.addEnvironment(t, name))
	case "$plan":
		return tail(w.addPlan(t, name))
	case "$database":
		return fmt.Sprint(w.addDatabase(t, project, w.fresh()).GetId())
	case "$quarantined":
		return fmt.Sprint(w.addQuarantined(t, project, w.fresh()).GetId())
	case "$credential":
		return tail(w.addDatabase(t, project, w.fresh()).GetCredentials()[0])
	case "$locked": // a credential of a database in quarantine
		return tail(w.addQuarantined(t, project, w.fresh()).GetCredentials()[0])
	case "$lease":
		return fmt.Sprint(w.addCredential(t, w.addDatabase(t, project, w.fresh()), "leased", "1h").GetId())
	case "$task":
		return fmt.Sprint(w.taskOf(t, w.addDatabase(t, project, w.fresh()).GetId()).GetId())
	case "$snapshot":
		return fmt.Sprint(w.addSnapshot(t, w.addDatabase(t, project, w.fresh()).GetId()).GetId())
	}
	return ""
}

// used forgets what a call that succeeded may have used up. Who only reads
// leaves everything as it is.
func (w *world) used(method, project, outcome string) {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, reads := range []string{"Get", "List", "Watch"} {
		if strings.HasPrefix(name, reads) {
			return
		}
	}
	if outcome != "200" {
		return
	}
	for key := range w.made {
		if strings.HasSuffix(key, " "+project) {
			delete(w.made, key)
		}
	}
}
