package jsonschema

import (
	"cmp"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// number is a number of JSON. It is compared and divided exactly, whatever its
// length and exponent, in time that grows with its text alone.
type number struct {
	text    json.Number
	i       int64
	f       float64 // about what it is
	whole   bool    // i is exact
	integer bool    // it has no fraction
}

func readNumber(text json.Number) number {
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return number{text, i, float64(i), true, true}
	}
	f, _ := strconv.ParseFloat(string(text), 64) // what is out of range is infinite
	n := number{text: text, f: f}
	d := decimalOf(string(text))
	n.integer = d.exponent >= 0
	if d.digits == "" {
		n.whole = true
	} else if n.integer && len(d.digits)+d.exponent <= maxInt64Digits {
		i, err := strconv.ParseInt(d.sign()+d.digits+strings.Repeat("0", d.exponent), 10, 64)
		n.i, n.whole = i, err == nil
	}
	return n
}

// maxInt64Digits is how many digits an int64 can have.
const maxInt64Digits = 19

func (n number) compare(o *number) int {
	if n.whole && o.whole {
		return cmp.Compare(n.i, o.i)
	}
	return decimalOf(string(n.text)).compare(decimalOf(string(o.text)))
}

// typeOf is the type of a number.
func (n number) typeOf() Types {
	if n.integer {
		return Integer
	}
	return Number
}

// isMultiple tells whether a number is a multiple of another one, which is
// greater than 0.
func (n number) isMultiple(of *number) bool {
	if n.whole && of.whole {
		return n.i%of.i == 0
	}
	a, b := decimalOf(string(n.text)), decimalOf(string(of.text))
	if a.digits == "" {
		return true
	}
	// A number that does not end in zero is no multiple of one that does.
	shift := int64(a.exponent) - int64(b.exponent)
	if shift < 0 {
		return false
	}
	divisor, ok := new(big.Int).SetString(b.digits, 10)
	if !ok {
		return false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(shift), divisor)
	rest := remainder(a.digits, divisor)
	return rest.Mod(rest.Mul(rest, power), divisor).Sign() == 0
}

// remainder divides what digits stand for, some at once.
func remainder(digits string, divisor *big.Int) *big.Int {
	const most = 18
	rest, part := new(big.Int), new(big.Int)
	for digits != "" {
		n := min(len(digits), most)
		value, _ := strconv.ParseInt(digits[:n], 10, 64)
		scale := int64(math.Pow10(n)) // exact, up to 10^22
		rest.Mul(rest, part.SetInt64(scale))
		rest.Add(rest, part.SetInt64(value))
		rest.Mod(rest, divisor)
		digits = digits[n:]
	}
	return rest
}

// decimal is a number as digits, without zeros at either end, and a power of
// ten: 1250 is 125 and 1. Zero has no digits. There is one for each number.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// maxExponent bounds exponents: beyond it numbers are so large, or so small, that
// no other number is anywhere near.
const maxExponent = 1 << 40

func decimalOf(text string) decimal {
	mantissa, power, _ := strings.Cut(text, "e")
	if power == "" {
		mantissa, power, _ = strings.Cut(text, "E")
	}
	e, _ := strconv.ParseInt(power, 10, 64) // what is out of range is the last in it
	d := decimal{exponent: int(min(max(e, -maxExponent), maxExponent))}
	mantissa, d.negative = strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(digits, "0")
	d.exponent += len(digits) - len(d.digits)
	if d.digits == "" {
		return decimal{}
	}
	return d
}

func (d decimal) sign() string {
	if d.negative {
		return "-"
	}
	return ""
}

func (d decimal) signum() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func (d decimal) compare(o decimal) int {
	if c := cmp.Compare(d.signum(), o.signum()); c != 0 || d.digits == "" {
		return c
	}
	c := cmp.Or(cmp.Compare(d.exponent+len(d.digits), o.exponent+len(o.digits)), strings.Compare(d.digits, o.digits))
	if d.negative {
		return -c
	}
	return c
}

// appendKey appends what is the same for equal numbers alone.
func (n number) appendKey(b []byte) []byte {
	b = append(b, '#')
	if n.whole {
		return strconv.AppendInt(b, n.i, 10)
	}
	d := decimalOf(string(n.text))
	b = append(append(b, d.sign()...), d.digits...)
	return strconv.AppendInt(append(b, 'e'), int64(d.exponent), 10)
}

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
