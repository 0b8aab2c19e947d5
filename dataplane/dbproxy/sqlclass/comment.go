package sqlclass

import "bytes"

// conditions are the executable comments of which it cannot be told whether
// the server runs their content.
type conditions struct {
	without bool // leave the content out
	met     bool // there was one
	mixed   bool // there were some with different versions
	version int  // of the first
}

// run tells whether a server runs the content of an executable comment.
type runs uint8

const (
	runsMaybe runs = iota
	runsAlways
	runsNever
)

// skip moves over white space and comments, into and out of executable
// comments.
func (l *lexer) skip() bool {
	for l.pos < len(l.sql) && isSpace(l.sql[l.pos]) {
		l.pos++
	}
	l.space = l.pos
	for l.pos < len(l.sql) {
		c := l.sql[l.pos]
		switch {
		case isSpace(c):
			l.pos++
		case c == '#':
			if !l.line(1) {
				return false
			}
		case c == '-' && l.at(1) == '-' && (l.at(2) <= ' ' || l.at(2) == 0x7f):
			if !l.line(2) {
				return false
			}
		case c == '/' && l.at(1) == '*':
			if l.marks && l.marker() > 0 {
				return true
			}
			if !l.block() {
				return false
			}
		case c == '*' && l.at(1) == '/' && l.inside:
			if l.marks {
				return true
			}
			l.pos += 2
			l.inside = false
		default:
			return true
		}
	}
	return true
}

func (l *lexer) keep(start, end int) {
	if !l.seen {
		l.comment, l.seen = Span{int32(start), int32(end)}, true
	}
}

// line moves over a comment that ends with its line. A NUL would end it, too.
func (l *lexer) line(marker int) bool {
	start, end := l.pos+marker, len(l.sql)
	if n := bytes.IndexByte(l.sql[l.pos:], '\n'); n >= 0 {
		end = l.pos + n
	}
	l.keep(min(start, end), end)
	l.pos = min(end+1, len(l.sql))
	return bytes.IndexByte(l.sql[min(start, end):end], 0) < 0
}

// marker is how many bytes open the executable comment that starts here,
// without its version; 0 if it is another comment.
func (l *lexer) marker() int {
	switch {
	case l.at(2) == '!':
		return 3
	case l.at(2) == 'M' && l.at(3) == '!':
		return 4
	}
	return 0
}

// block moves over /* … */, or into it if it is to be executed.
func (l *lexer) block() bool {
	if l.marker() > 0 {
		return l.executable()
	}
	start := l.pos + 2
	n := bytes.Index(l.sql[start:], []byte("*/"))
	if n < 0 {
		return false
	}
	if l.at(2) != '+' { // a hint to the optimizer
		l.keep(start, start+n)
	}
	l.pos = start + n + 2
	return true
}

// open moves over what opens an executable comment, and gives its version, 0
// for none.
func (l *lexer) open() (version int, ok bool) {
	marker, digits := l.marker(), 0
	for digits < 6 && isDigit(l.at(marker+digits)) {
		version = version*10 + int(l.at(marker+digits)-'0')
		digits++
	}
	switch {
	case l.inside:
		return 0, false
	case digits < 5:
		version, digits = 0, 0
	case digits == 6 && char[l.at(marker+6)]:
		// Servers that know versions of five digits only see another word.
		return 0, false
	}
	l.pos += marker + digits
	return version, true
}

// executable moves into /*! … */ or /*M! … */, or over it.
func (l *lexer) executable() bool {
	mariadb := l.at(2) == 'M'
	version, ok := l.open()
	if !ok {
		return false
	}
	switch l.mode.runs(version, mariadb) {
	case runsNever:
		return l.leave()
	case runsMaybe:
		if mariadb {
			version = -version - 1
		}
		l.mixed = l.mixed || l.met && l.version != version
		l.met, l.version = true, version
		if l.without {
			return l.leave()
		}
	}
	l.inside = true
	return true
}

// mark reads what opens or closes an executable comment.
func (l *lexer) mark(t *token) bool {
	if l.inside && l.at(0) == '*' {
		t.kind = kClose
		l.pos += 2
		l.inside = false
		return true
	}
	t.kind = kOpen
	_, ok := l.open()
	l.inside = l.inside || ok
	return ok
}

// leave moves over the content of an executable comment, in which one level of
// comments is allowed.
func (l *lexer) leave() bool {
	for ; l.pos < len(l.sql); l.pos++ {
		switch c := l.sql[l.pos]; {
		case c == '*' && l.at(1) == '/':
			l.pos += 2
			return true
		case c == '/' && l.at(1) == '*':
			n := bytes.Index(l.sql[l.pos+2:], []byte("*/"))
			if n < 0 {
				return false
			}
			l.pos += n + 3
		}
	}
	return false
}

// runs tells whether servers of the mode run the content of an executable
// comment with a version, 0 for none. MariaDB leaves out what is meant for
// MySQL 5.7 and later; MySQL takes /*M! for a plain comment.
func (m Mode) runs(version int, mariadb bool) runs {
	isMariaDB := m.has(MariaDB | MariaDB11)
	switch {
	case mariadb && m.has(MySQL):
		return runsNever
	case mariadb && !isMariaDB:
		return runsMaybe
	case version < 50600:
		return runsAlways
	case isMariaDB && version >= 50700 && version <= 99999 && !mariadb:
		return runsNever
	case isMariaDB && version <= 100600:
		return runsAlways
	case m.has(MySQL) && version <= 80000:
		return runsAlways
	}
	return runsMaybe
}
