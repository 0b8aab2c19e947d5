package rwsplit

import (
	"strconv"
	"strings"
)

// gtid is the newest transaction of a replication domain.
type gtid struct {
	domain   uint32
	server   uint32
	sequence uint64
}

// parseGTIDs reads a position in replication: domain-server-sequence for each
// domain, separated by commas ("Global Transaction ID", MariaDB Knowledge
// Base). ok is false for anything else.
func parseGTIDs(text string) (list []gtid, ok bool) {
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text, ",") {
		fields := strings.Split(strings.TrimSpace(part), "-")
		if len(fields) != 3 {
			return nil, false
		}
		domain, err1 := strconv.ParseUint(fields[0], 10, 32)
		server, err2 := strconv.ParseUint(fields[1], 10, 32)
		sequence, err3 := strconv.ParseUint(fields[2], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, false
		}
		list = append(list, gtid{uint32(domain), uint32(server), sequence})
	}
	return list, true
}

// covers tells whether a server that is at a position has all of another.
func covers(at, wanted []gtid) bool {
	for _, w := range wanted {
		found := false
		for _, a := range at {
			found = found || a.domain == w.domain && a.sequence >= w.sequence
		}
		if !found {
			return false
		}
	}
	return true
}

// target is a position that reads must find.
type target struct {
	text string
	list []gtid
}

func newTarget(text string) (target, bool) {
	list, ok := parseGTIDs(text)
	return target{text, list}, ok
}

// coverage remembers whether a server's position, as it was told last, has all
// of the target.
type coverage struct {
	at, wanted string
	covers     bool
}

// has tells whether the position has all of the target.
func (c *coverage) has(at string, t *target) bool {
	if t.text == "" {
		return true
	}
	if c.at != at || c.wanted != t.text {
		list, ok := parseGTIDs(at)
		*c = coverage{at, t.text, ok && covers(list, t.list)}
	}
	return c.covers
}
