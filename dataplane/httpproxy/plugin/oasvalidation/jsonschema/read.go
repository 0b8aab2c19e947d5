package jsonschema

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Read makes a value of a text that is of no type, such as a parameter: the
// first that fits of what the schema may want it to be. If none does it is the
// first that could be made, which Check tells the faults of. The schema may be
// nil.
func Read(text string, s *Schema, o Options) any {
	if s == nil {
		return text
	}
	kinds := s.kinds & (Null | Boolean | Integer | Number | String)
	var first any
	for _, kind := range [...]Types{Integer | Number, Boolean, Null, String} {
		as, ok := readText(text, kinds&kind, o.Lenient)
		if !ok {
			continue
		}
		if kinds&^kind == 0 {
			return as
		}
		if s.Fits(as, o) {
			return as
		}
		if first == nil {
			first = as
		}
	}
	if first != nil {
		return first
	}
	return text
}

// readText reads a text as one of some types.
func readText(text string, as Types, lenient bool) (any, bool) {
	if as&(Integer|Number) != 0 {
		if n, ok := decimalText(text, as.Has(Number)); ok {
			return n, true
		}
	}
	if as.Has(Boolean) {
		word := text
		if lenient {
			word = strings.ToLower(text)
		}
		switch word {
		case "true":
			return true, true
		case "false":
			return false, true
		case "1", "on", "t", "y", "yes":
			return true, lenient
		case "0", "off", "f", "n", "no":
			return false, lenient
		}
	}
	if as.Has(Null) && (text == "" || text == "null") {
		return nil, true
	}
	return text, as.Has(String)
}

// decimalText reads a number in decimal digits. Zeros and a sign in front are
// taken away, as JSON has none.
func decimalText(text string, fraction bool) (json.Number, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return "", false
	}
	for len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		digits = digits[1:]
	}
	for i := range len(digits) {
		c := digits[i]
		if (c < '0' || c > '9') && (!fraction || !strings.ContainsRune(".eE+-", rune(c))) {
			return "", false
		}
	}
	if fraction {
		if _, err := strconv.ParseFloat(digits, 64); err != nil {
			return "", false
		}
		digits = strings.TrimSuffix(digits, ".")
	}
	if negative {
		digits = "-" + digits
	}
	return json.Number(digits), true
}
