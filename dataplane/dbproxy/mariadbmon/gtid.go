package mariadbmon

import (
	"fmt"
	"strconv"
	"strings"
)

// gtid is the number of a transaction: in each domain the sequence grows.
type gtid struct {
	domain, server uint32
	sequence       uint64
}

func (g gtid) String() string { return fmt.Sprintf("%d-%d-%d", g.domain, g.server, g.sequence) }

// position is a point in replication: the last transaction of each domain.
type position []gtid

// parsePosition reads domain-server-sequence,…. What cannot be read is left
// out: the position of a server that says something else is not known.
func parsePosition(text string) position {
	var p position
	for part := range strings.SplitSeq(text, ",") {
		fields := strings.Split(strings.TrimSpace(part), "-")
		if len(fields) != 3 {
			continue
		}
		domain, err1 := strconv.ParseUint(fields[0], 10, 32)
		server, err2 := strconv.ParseUint(fields[1], 10, 32)
		sequence, err3 := strconv.ParseUint(fields[2], 10, 64)
		if err1 == nil && err2 == nil && err3 == nil {
			p = append(p, gtid{uint32(domain), uint32(server), sequence})
		}
	}
	return p
}

func (p position) String() string {
	words := make([]string, len(p))
	for i, g := range p {
		words[i] = g.String()
	}
	return strings.Join(words, ",")
}

// in is the last transaction of a domain.
func (p position) in(domain uint32) (gtid, bool) {
	for _, g := range p {
		if g.domain == domain {
			return g, true
		}
	}
	return gtid{}, false
}

// sequence is how far p is in a domain; 0 when it has none of it.
func (p position) sequence(domain uint32) uint64 {
	g, _ := p.in(domain)
	return g.sequence
}

// within tells whether whoever is at other has all that one at p has, as far as
// the numbers tell.
func (p position) within(other position) bool {
	for _, g := range p {
		o, ok := other.in(g.domain)
		if g.sequence == 0 {
			continue
		}
		if !ok || o.sequence < g.sequence || o.sequence == g.sequence && o.server != g.server {
			return false
		}
	}
	return true
}
