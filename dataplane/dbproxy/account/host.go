package account

import (
	"cmp"
	"net/netip"
	"strings"
)

// hostPattern is the host part of an account or grant, ready to be compared.
type hostPattern struct {
	text     string // lower case
	any      bool   // %
	literal  bool   // neither wildcards nor a network
	network  bool
	base     netip.Addr
	mask     uint32
	nameable bool // a host name can match, not just an address
	named    bool // the name of one host
	rank     hostRank
}

// hostRank orders hosts: the most specific one has the smallest.
type hostRank struct {
	class    int // 0 without wildcards, then with _ alone, then with %
	shortest int // negative: how long the shortest text is that matches, with %
	many     int // runs of %
	single   int // _
	first    int // where the first wildcard is
}

func (r hostRank) compare(o hostRank) int {
	return cmp.Or(
		cmp.Compare(r.class, o.class),
		cmp.Compare(r.shortest, o.shortest),
		cmp.Compare(r.many, o.many),
		cmp.Compare(r.single, o.single),
		cmp.Compare(r.first, o.first),
	)
}

func compileHost(host string, server Product) hostPattern {
	if host == "" {
		host = "%" // MariaDB reads it so; in MySQL it means the same but comes last
	}
	h := hostPattern{text: strings.ToLower(host)}
	h.any = strings.Trim(h.text, "%") == ""
	if address, mask, ok := parseNetwork(h.text, server); ok {
		h.network, h.base, h.mask = true, address, mask
	}
	h.rank = rankHost(h.text, server)
	h.literal = h.rank.class == 0 && !h.network
	h.named = h.literal && !strings.Contains(h.text, ":") && strings.Trim(h.text, "0123456789./") != ""
	h.nameable = !h.any && !strings.ContainsAny(h.text, ":/") && !startsNumeric(h.text)
	return h
}

// parseNetwork reads base/netmask, which servers know for IPv4 alone (MariaDB
// Knowledge Base, "CREATE USER": Host Name Component), and base/length, which
// only MySQL knows (MySQL Reference Manual, "Specifying Account Names").
func parseNetwork(text string, server Product) (netip.Addr, uint32, bool) {
	left, right, found := strings.Cut(text, "/")
	if !found {
		return netip.Addr{}, 0, false
	}
	if address, err := netip.ParseAddr(right); err == nil && address.Is4() {
		base, err := netip.ParseAddr(left)
		mask := bits4(address)
		return base, mask, err == nil && base.Is4() && mask != 0
	}
	if server != MySQL {
		return netip.Addr{}, 0, false
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !prefix.Addr().Is4() {
		return netip.Addr{}, 0, false
	}
	return prefix.Addr(), ^uint32(0) << (32 - prefix.Bits()), true
}

func bits4(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// rankHost follows what the servers do. MariaDB sorts wildcards by how little
// they leave open; MySQL only by where the first of them is, and tells
// addresses, networks and netmasks apart (MySQL Reference Manual, "Access
// Control, Stage 1: Connection Verification").
func rankHost(text string, server Product) hostRank {
	r := hostRank{first: -1}
	length, inMany := 0, false
	for i := 0; i < len(text); i++ {
		many, single := text[i] == '%', text[i] == '_'
		if r.first < 0 && (many || single) {
			r.first = length
		}
		if many && !inMany {
			r.many++
		}
		if single {
			r.single++
		}
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		if !many {
			length++
		}
		inMany = many
	}
	if server == MySQL {
		return rankMySQL(text, r)
	}
	if r.many > 0 {
		r.class, r.shortest = 2, -length
	} else if r.single > 0 {
		r.class = 1
	}
	return r
}

func rankMySQL(text string, r hostRank) hostRank {
	switch _, mask, network := strings.Cut(text, "/"); {
	case r.first >= 0:
		return hostRank{class: 3, first: -r.first}
	case network && strings.Contains(mask, "."):
		return hostRank{class: 2}
	case network:
		return hostRank{class: 1}
	}
	return hostRank{}
}

// startsNumeric tells whether a name starts with digits and a dot. Servers
// never use such names of hosts, which would pass for addresses.
func startsNumeric(name string) bool {
	digits := 0
	for digits < len(name) && name[digits] >= '0' && name[digits] <= '9' {
		digits++
	}
	return digits > 0 && digits < len(name) && name[digits] == '.'
}

// from is where a client comes from.
type from struct {
	addr    netip.Addr // zero over a Unix socket
	ip      string
	local   bool
	unnamed bool          // names do not count
	resolve func() string // nil once it was called
	name    string
}

// comingFrom reduces a client's address and says what its name is.
func comingFrom(client netip.Addr, hostname func() string, skipNames bool) *from {
	client = client.Unmap().WithZone("")
	f := &from{addr: client, unnamed: skipNames, local: !client.IsValid() || client.IsLoopback()}
	if !client.IsValid() {
		f.name, f.unnamed = "localhost", false
		return f
	}
	f.ip = client.String()
	switch {
	case skipNames:
	case f.ip == "127.0.0.1" || f.ip == "::1":
		f.name = "localhost"
	default:
		f.resolve = hostname
	}
	return f
}

// hostname asks for the name at most once, and only when it matters.
func (f *from) hostname() string {
	if f.resolve != nil {
		name := strings.ToLower(strings.TrimSuffix(f.resolve(), "."))
		f.resolve = nil
		if !startsNumeric(name) {
			f.name = name
		}
	}
	return f.name
}

// matches compares as the server does: address or name, either suffices.
func (h *hostPattern) matches(f *from) bool {
	if h.any {
		return true
	}
	if h.network {
		return f.addr.Is4() && bits4(f.addr)&h.mask == bits4(h.base)
	}
	if h.named && f.unnamed {
		return false // as skip_name_resolve makes a server ignore such accounts
	}
	if f.ip != "" && like(h.text, f.ip) {
		return true
	}
	if !h.nameable {
		return false
	}
	name := f.hostname()
	return name != "" && like(h.text, name)
}
