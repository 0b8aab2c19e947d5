package mariadbmon

// none stands for no server.
const none = -1

// edge says that a server replicates from another one.
type edge struct {
	from, to int // master and replica
	link     *link
}

// topology is which servers replicate from which.
type topology struct {
	servers  []*observed
	masters  [][]edge // of each server, those that it replicates from
	replicas [][]edge // of each server, those that replicate from it
	outside  [][]*link
	rings    []int // of each server, the number of its ring, 0 for none
}

// newTopology finds the links between the servers. Those that are stopped are
// left out.
func newTopology(servers []*observed, uniqueHosts bool) *topology {
	n := len(servers)
	t := &topology{servers: servers, masters: make([][]edge, n), replicas: make([][]edge, n), outside: make([][]*link, n)}
	for to, s := range servers {
		for i := range s.links {
			l := &s.links[i]
			from := find(servers, l, uniqueHosts)
			switch {
			case !l.active() || from == to:
			case from == none:
				t.outside[to] = append(t.outside[to], l)
			default:
				e := edge{from, to, l}
				t.masters[to] = append(t.masters[to], e)
				t.replicas[from] = append(t.replicas[from], e)
			}
		}
	}
	t.rings = t.findRings()
	return t
}

// find is the server that a link points at.
func find(servers []*observed, l *link, uniqueHosts bool) int {
	for i, s := range servers {
		if s.leads(l, uniqueHosts) {
			return i
		}
	}
	return none
}

// below tells for each server whether it replicates from one, directly or not.
// Servers that are down are passed on the way only if down is true.
func (t *topology) below(from int, down bool) []bool {
	seen := make([]bool, len(t.servers))
	queue := []int{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range t.replicas[at] {
			if !seen[e.to] && (down || t.servers[e.to].up) {
				seen[e.to] = true
				queue = append(queue, e.to)
			}
		}
	}
	return seen
}

// findRings numbers the sets of servers that replicate from one another.
func (t *topology) findRings() []int {
	rings := make([]int, len(t.servers))
	reach := make([][]bool, len(t.servers))
	for i := range t.servers {
		reach[i] = t.below(i, true)
	}
	count := 0
	for i := range t.servers {
		if rings[i] != 0 || !reach[i][i] {
			continue
		}
		count++
		for j := range t.servers {
			if j == i || reach[i][j] && reach[j][i] {
				rings[j] = count
			}
		}
	}
	return rings
}

// follows tells whether a server replicates from one that is watched, other
// than those of its ring. For a member of a ring that means that any member
// does.
func (t *topology) follows(server int) bool {
	for i := range t.servers {
		if i != server && (t.rings[server] == 0 || t.rings[i] != t.rings[server]) {
			continue
		}
		for _, e := range t.masters[i] {
			if t.rings[server] == 0 || t.rings[e.from] != t.rings[server] {
				return true
			}
		}
	}
	return false
}

// count is how many running servers replicate from one through running ones.
func (t *topology) count(from int) int {
	n := 0
	for i, below := range t.below(from, false) {
		if below && i != from && t.servers[i].up {
			n++
		}
	}
	return n
}

// hasRunning tells whether a running server replicates from one, also through
// servers that are down.
func (t *topology) hasRunning(from int) bool {
	for i, below := range t.below(from, true) {
		if below && i != from && t.servers[i].up {
			return true
		}
	}
	return false
}
