package sqlclass

import "iter"

// AppendCanonical appends the statement to dst with ? for every constant, one
// space for every gap, and no comments but those to be executed. It ends with
// a ? where the text cannot be read further, so that no constant shows. The
// canonical form of a canonical form is itself.
func AppendCanonical(dst, sql []byte, mode Mode) []byte {
	l := newLexer(sql, mode)
	l.marks = true
	var last token
	for first := true; ; first = false {
		t := l.next()
		if t.kind == kEOF {
			return dst
		}
		// Two minus signs could become a comment.
		if !first && (t.gap || t.is('-') && last.is('-')) {
			dst = append(dst, ' ')
		}
		switch t.kind {
		case kError:
			dst = append(dst, '?')
			if l.inside {
				dst = append(dst, "*/"...)
			}
			return dst
		case kString, kNumber:
			dst = append(dst, '?')
		default:
			dst = append(dst, sql[t.start:t.end]...)
		}
		last = t
	}
}

// Canonical is AppendCanonical as a string.
func Canonical(sql []byte, mode Mode) string {
	return string(AppendCanonical(make([]byte, 0, min(len(sql), 4096)), sql, mode))
}

// Statements yields the statements that semicolons separate, without them.
// Those of a compound statement count as separate ones, too.
func Statements(sql []byte, mode Mode) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		l := newLexer(sql, mode)
		start, empty := 0, true
		for {
			t := l.next()
			if !t.ends() {
				empty = false
				continue
			}
			end := int(t.start)
			if t.kind != kOp {
				end = len(sql)
			}
			if (!empty || t.kind == kError) && !yield(sql[start:end]) || t.kind != kOp {
				return
			}
			start, empty = end+1, true
		}
	}
}
