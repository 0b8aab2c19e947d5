package balance

import (
	"strconv"

	"github.com/google/uuid"
)

// ring has a member for each point. The same members make the same ring in any
// process.
type ring struct{ points []uint32 } // indexes of members

const (
	minPoints   = 1000
	perMember   = 160
	noMember    = ^uint32(0)
	constantKey = ""
)

func newRing(members []member, slots int) *ring {
	points := make([]uint32, max(slots, minPoints))
	for i := range points {
		points[i] = noMember
	}
	total := 0
	for _, m := range members {
		total += m.weight
	}
	if total == 0 {
		return nil
	}
	entries, most := entriesOf(members, total, len(points))
	// Members take turns, so that in a ring that is almost full none has less
	// than its share.
	for n := range most {
		for i, m := range members {
			if n < entries[i] {
				place(points, uint32(i), m.text, n)
			}
		}
	}
	// Each point without an entry has that of the next one which has.
	last := noMember
	for range 2 {
		for i := len(points) - 1; i >= 0; i-- {
			if points[i] == noMember {
				points[i] = last
			}
			last = points[i]
		}
	}
	return &ring{points}
}

// entriesOf is how many entries each member has, and the most that one has.
func entriesOf(members []member, total, points int) (entries []int, most int) {
	all := len(members) * perMember
	entries = make([]int, len(members))
	for i, m := range members {
		entries[i] = max(m.weight*min(all, points)/total, 1)
		most = max(most, entries[i])
	}
	return entries, most
}

// place puts a member's entry where its hash says, or where another one says if
// that is taken. The first entry of a member finds a place if there is any.
func place(points []uint32, member uint32, name string, n int) {
	const tries = 16
	for try := range tries {
		key := name + " " + strconv.Itoa(n)
		if try > 0 {
			key += " " + strconv.Itoa(try)
		}
		at := int(hash(key) % uint64(len(points)))
		if points[at] == noMember {
			points[at] = member
			return
		}
		if n > 0 || try < tries-1 {
			continue
		}
		for i := range points {
			if at := (at + i) % len(points); points[at] == noMember {
				points[at] = member
				return
			}
		}
	}
}

// hash is FNV-1a with the bits mixed once more, since what differs at the end
// alone must not be close together.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// hashed is the member of the request's hash, or the next after it that is
// available and was not tried.
func (s *state) hashed(in *Input) *member {
	points := s.ring.points
	from := hash(s.hashKey(in)) % uint64(len(points))
	var again *member
	for i := range uint64(len(points)) {
		m := &s.members[points[(from+i)%uint64(len(points))]]
		if s.checks && !m.health.ok() {
			continue
		}
		if !in.hasTried(m.address) {
			return m
		}
		if again == nil {
			again = m
		}
		if len(in.tried) >= len(s.available) {
			break
		}
	}
	return again
}

// hashKey is what the request is hashed by.
func (s *state) hashKey(in *Input) string {
	u := s.upstream
	name := ""
	switch u.HashOn {
	case "header":
		name = u.HashOnHeader
	case "query_arg":
		name = u.HashOnQueryArg
	case "uri_capture":
		name = u.HashOnURICapture
	}
	if key := s.hashValue(in, u.HashOn, name); key != "" {
		return key
	}
	switch u.HashFallback {
	case "header":
		name = u.HashFallbackHeader
	case "query_arg":
		name = u.HashFallbackQueryArg
	case "uri_capture":
		name = u.HashFallbackURICapture
	}
	if key := s.hashValue(in, u.HashFallback, name); key != "" {
		return key
	}
	return constantKey
}

func (s *state) hashValue(in *Input, source, name string) string {
	switch source {
	case "", "none":
		return ""
	case "cookie":
		return s.cookie(in)
	}
	if in.Request == nil {
		return ""
	}
	return in.Request.HashValue(source, name)
}

// cookie is the value of the upstream's cookie, made up if there is none.
func (s *state) cookie(in *Input) string {
	u := s.upstream
	if in.Cookie != "" {
		return in.Cookie
	}
	if in.Request != nil {
		if v := in.Request.HashValue("cookie", u.HashOnCookie); v != "" {
			return v
		}
	}
	in.Cookie = uuid.NewString()
	path := u.HashOnCookiePath
	if path == "" {
		path = "/"
	}
	in.SetCookie = u.HashOnCookie + "=" + in.Cookie + "; Path=" + path + "; HttpOnly"
	return in.Cookie
}
