package jsonschema

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// number is a number of JSON, read as exactly as int64 and float64 are.
type number struct {
	text    json.Number
	i       int64
	f       float64
	whole   bool // i is exact
	integer bool // it has no fraction
}

func readNumber(text json.Number) number {
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return number{text, i, float64(i), true, true}
	}
	f, _ := strconv.ParseFloat(string(text), 64) // what is out of range is infinite
	n := number{text: text, f: f, integer: f == math.Trunc(f)}
	if n.integer && math.Abs(f) >= 1<<51 && strings.ContainsAny(string(text), ".eE") {
		// The fraction may be beyond what a float64 has room for.
		if d, scale, ok := decimal(string(text)); ok {
			n.integer = d.Rem(d, power(scale)).Sign() == 0
		}
	}
	if n.integer && math.Abs(f) < 1<<63 {
		n.i, n.whole = int64(f), true
	}
	return n
}

func (n number) compare(o *number) int {
	switch {
	case n.whole && o.whole:
		switch {
		case n.i < o.i:
			return -1
		case n.i > o.i:
			return 1
		}
		return 0
	case n.f < o.f:
		return -1
	case n.f > o.f:
		return 1
	}
	return 0
}

// typeOf is the type of a number.
func (n number) typeOf() Types {
	if n.integer {
		return Integer
	}
	return Number
}

// isMultiple tells whether a number is a multiple of another one, exactly if
// neither has an exponent that makes it long.
func (n number) isMultiple(of *number) bool {
	if n.whole && of.whole {
		return of.i == 0 || n.i%of.i == 0
	}
	a, scaleA, okA := decimal(string(n.text))
	b, scaleB, okB := decimal(string(of.text))
	if !okA || !okB || b.Sign() == 0 {
		q := n.f / of.f
		return q == math.Trunc(q) // what is infinite has no fraction that is known
	}
	scale := max(scaleA, scaleB)
	a.Mul(a, power(scale-scaleA))
	b.Mul(b, power(scale-scaleB))
	return a.Rem(a, b).Sign() == 0
}

// maxDigits bounds what is computed with exactly.
const maxDigits = 400

// decimal is a number as an integer with a scale: 1.25 is 125 and 2.
func decimal(text string) (n *big.Int, scale int, ok bool) {
	mantissa, exponent, has := strings.Cut(strings.ToLower(text), "e")
	if has {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -maxDigits || e > maxDigits {
			return nil, 0, false
		}
		scale = -e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if len(whole)+len(fraction) > maxDigits {
		return nil, 0, false
	}
	scale += len(fraction)
	n, ok = new(big.Int).SetString(whole+fraction, 10)
	if ok && scale < 0 {
		n.Mul(n, power(-scale))
		scale = 0
	}
	return n, scale, ok
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (r *numberRules) check(e *evaluation, text json.Number) bool {
	n, ok := readNumber(text), true
	for _, rule := range [...]struct {
		keyword string
		limit   *number
		broken  func(compared int) bool
	}{
		{"minimum", r.min, func(c int) bool { return c < 0 }},
		{"exclusiveMinimum", r.above, func(c int) bool { return c <= 0 }},
		{"maximum", r.max, func(c int) bool { return c > 0 }},
		{"exclusiveMaximum", r.below, func(c int) bool { return c >= 0 }},
	} {
		if rule.limit != nil && rule.broken(n.compare(rule.limit)) {
			e.fault(rule.keyword, rule.limit.text)
			ok = false
		}
	}
	if r.multipleOf != nil && !n.isMultiple(r.multipleOf) {
		e.fault("multipleOf", r.multipleOf.text)
		ok = false
	}
	if r.formatted != "" && n.integer && (!n.whole || n.i < r.least || n.i > r.most) && !e.lenient {
		e.fault("format", r.formatted)
		ok = false
	}
	return ok
}
