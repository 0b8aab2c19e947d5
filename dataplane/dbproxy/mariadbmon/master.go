package mariadbmon

// past is what was decided before.
type past struct {
	master    int  // none for none
	follows   bool // whether it replicated from a watched server
	ring      bool // whether it was in a ring
	downTicks int  // for how many ticks it has been down, this one included
	// elsewhere is the server that another monitor, which acts, has as master;
	// none when there is none. It counts if others is true.
	elsewhere int
	others    bool
}

// candidate tells whether a server can be master.
func (t *topology) candidate(i int) bool {
	s := t.servers[i]
	return s.usable() && !s.readOnly && !t.follows(i)
}

// best is the candidate with the most replicas, the first of those.
func (t *topology) best() int {
	best, most := none, -1
	for i := range t.servers {
		if !t.candidate(i) {
			continue
		}
		if n := t.count(i); n > most {
			best, most = i, n
		}
	}
	return best
}

// unfit tells why the master of before cannot stay; "" when it can.
func (t *topology) unfit(p past, failcount int) string {
	s := t.servers[p.master]
	switch {
	case s.up && s.readOnly:
		return "it is read-only"
	case !s.up && !s.maintenance && p.downTicks > failcount && !t.hasRunning(p.master):
		return "it is down and has no running replicas"
	case s.up && !p.follows && t.follows(p.master):
		return "it replicates from another server"
	case s.up && p.ring && t.rings[p.master] == 0:
		return "it left its ring"
	}
	return ""
}

// choose is the server that is the master, and why it is another one than
// before. A choice stays as long as it can.
func (t *topology) choose(p past, failcount int) (master int, why string) {
	if p.others && p.elsewhere != none {
		return p.elsewhere, "the monitor that acts has it"
	}
	if p.master == none {
		return t.best(), "it is the best one"
	}
	why = t.unfit(p, failcount)
	if why == "" {
		return p.master, ""
	}
	if best := t.best(); best != none {
		return best, t.servers[p.master].name + ": " + why
	}
	return p.master, "" // there is none to take its place
}
