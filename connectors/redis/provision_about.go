package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// version is the first two numbers of a server's.
type version struct{ major, minor int }

func (v version) atLeast(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}

func parseVersion(text string) version {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return version{}
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return version{}
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil {
		return version{}
	}
	return version{major, minor}
}

// info asks for what the server says of itself.
func (s *server) info(ctx context.Context) (map[string]string, error) {
	facts := session{info: map[string]string{}}
	for _, section := range []string{"server", "replication"} {
		v, err := s.client.do(ctx, "INFO", section)
		if err != nil {
			return nil, err
		}
		facts.parseInfo(v.text)
	}
	s.version = parseVersion(facts.info["redis_version"])
	return facts.info, nil
}

// About asks for the version, and tries every kind of command that databases
// are made with on names that are nobody's.
func (s *server) About(ctx context.Context) (connectors.ServerFacts, error) {
	info, err := s.info(ctx)
	if isRefusal(err) {
		return connectors.ServerFacts{Lacks: []string{"the right to INFO"}}, nil
	}
	if err != nil {
		return connectors.ServerFacts{}, s.failure(err)
	}
	facts := connectors.ServerFacts{Version: info["redis_version"], Lacks: unfit(info)}
	if len(facts.Lacks) > 0 {
		return facts, nil
	}
	facts.Lacks, err = s.lacks(ctx)
	return facts, s.failure(err)
}

// unfit says why no databases can be made on a server of this kind.
func unfit(info map[string]string) []string {
	text := info["redis_version"]
	switch v := parseVersion(text); {
	case info["redis_mode"] == "sentinel":
		return []string{"data: this is a Sentinel; give host and port of the server that it watches"}
	case info["redis_mode"] == "cluster":
		return []string{"a single server: databases on a Redis Cluster are not supported"}
	case !v.atLeast(6, 0):
		return []string{fmt.Sprintf("Redis 6 or later, which has users with rights of their own; this is %s", text)}
	case info["role"] == "slave":
		return []string{"the right to write: this is a replica; give host and port of its primary"}
	}
	return nil
}

// probes change and show nothing: what they name does not exist.
func probes() [][]string {
	const nobody, nothing = "backplane-nobody", "backplane:nothing"
	return [][]string{
		{"ACL", "GETUSER", nobody}, {"ACL", "DELUSER", nobody}, {"ACL", "USERS"}, {"ACL", "LIST"},
		{"CLIENT", "KILL", "USER", nobody}, {"COMMAND", "COUNT"},
		{"SCAN", "0", "COUNT", "1"}, {"HDEL", registry, ""}, {"HKEYS", nothing}, {"UNLINK", nothing, "nothing"},
		{"MEMORY", "USAGE", nothing}, {"PTTL", nothing}, {"DUMP", nothing}, {"RESTORE", nothing, "0", "", "REPLACE"},
	}
}

func (s *server) lacks(ctx context.Context) ([]string, error) {
	answers, err := s.client.all(ctx, probes()...)
	if err != nil {
		return nil, err
	}
	var lacks []string
	for i, a := range answers {
		refused := &replyError{a.text}
		if a.kind != '-' || !refused.hasCode("NOPERM") && !strings.Contains(a.text, "unknown command") {
			continue
		}
		what := probes()[i][0]
		if what == "ACL" || what == "CLIENT" {
			what += " " + probes()[i][1]
		}
		lacks = append(lacks, "the right to "+what)
	}
	return lacks, nil
}
