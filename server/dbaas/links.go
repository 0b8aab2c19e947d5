package dbaas

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
)

// RequestURLKey is the metadata key that tells an RPC the URL of the REST
// request that it answers.
const RequestURLKey = "x-backplane-url"

// WatchingKey is the key of the header with which a watch without an index
// says that it has begun.
const WatchingKey = "x-backplane-watching"

// The collections, as paths name them.
const (
	databases    = "database"
	credentials  = "credential"
	plans        = "plan"
	environments = "environment"
	projects     = "project"
	engines      = "engine"
	engineTypes  = "engine_type"
	teams        = "team"
	tasks        = "task"
	snapshots    = "snapshot"
	differences  = "difference"
)

// requestURL is that of the REST request under way; nil over gRPC.
func requestURL(ctx context.Context) *url.URL {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(RequestURLKey)
	if len(values) == 0 {
		return nil
	}
	u, err := url.Parse(values[0])
	if err != nil {
		return nil
	}
	return u
}

// selfOr is the URL of the REST request under way, or a path over gRPC.
func selfOr(ctx context.Context, path string) string {
	if u := requestURL(ctx); u != nil {
		return u.String()
	}
	return path
}

// linker makes the URLs of an answer. Over gRPC they are paths.
type linker struct{ base string }

func linksOf(ctx context.Context) linker {
	u := requestURL(ctx)
	if u == nil || u.Host == "" {
		return linker{}
	}
	return linker{u.Scheme + "://" + u.Host}
}

func (l linker) to(collection string, id int) string {
	return l.base + path(collection, id)
}

// path is the URL of a resource without its address.
func path(collection string, id int) string {
	return "/api/" + collection + "/" + strconv.Itoa(id) + "/"
}

// The messages about links to other resources.
const (
	required     = "This field is required."
	noMatch      = "Invalid hyperlink - No URL match"
	wrongMatch   = "Invalid hyperlink - Incorrect URL match"
	noSuchObject = "Invalid hyperlink - object does not exist."
)

var collections = map[string]bool{
	databases: true, credentials: true, plans: true, environments: true, projects: true, engines: true,
	engineTypes: true, teams: true, tasks: true, snapshots: true,
}

// relation reads the URL of a resource of a collection, whatever its host, and
// returns its number, or what is wrong with it.
func relation(text, collection string) (id int, fault string) {
	if text == "" {
		return 0, required
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" && !strings.HasPrefix(text, "/") {
		return 0, noMatch
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "api" || !collections[parts[1]] {
		return 0, noMatch
	}
	id, err = strconv.Atoi(parts[2])
	switch {
	case err != nil || id <= 0:
		return 0, noMatch
	case parts[1] != collection:
		return 0, wrongMatch
	}
	return id, ""
}
