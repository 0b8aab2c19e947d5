package account

// like tells whether text matches a pattern in which % stands for any bytes, _
// for one byte and \ takes the meaning of the byte after it. Servers compare
// the names in grants byte by byte too, also those in UTF-8.
func like(pattern, text string) bool {
	p, t := 0, 0
	// Where to go on when the bytes after the last % turn out not to match: one
	// byte further in text each time.
	resumePattern, resumeText := -1, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '%' {
			p++
			resumePattern, resumeText = p, t
			continue
		}
		if width := matchOne(pattern[p:], text[t]); width > 0 {
			p += width
			t++
			continue
		}
		if resumePattern < 0 {
			return false
		}
		resumeText++
		p, t = resumePattern, resumeText
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

// matchOne returns how long the first element of pattern is when it stands for
// b, else 0. A \ at the end stands for itself.
func matchOne(pattern string, b byte) int {
	switch {
	case pattern == "":
		return 0
	case pattern[0] == '\\' && len(pattern) > 1:
		if pattern[1] == b {
			return 2
		}
		return 0
	case pattern[0] == '_' || pattern[0] == b:
		return 1
	}
	return 0
}

// unescape returns a name without the escapes of a pattern.
func unescape(name string) string {
	out := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		out = append(out, name[i])
	}
	return string(out)
}
