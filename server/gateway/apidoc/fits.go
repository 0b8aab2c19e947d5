package apidoc

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// verdict is whether a value fits a schema. What readers disagree about, or
// what would take too long to find out, is unsure.
type verdict int8

const (
	no verdict = iota - 1
	unsure
	yes
)

func (v verdict) not() verdict { return -v }

// when is yes or no.
func when(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}

// direction is where a value travels.
type direction int8

const (
	nowhere direction = iota
	request
	response
)

// fitter checks values against the schemas of a fragment. Its effort is
// bounded: schemas that branch into themselves would take for ever.
type fitter struct {
	minor     int
	schemas   map[string]any
	patterns  map[string]*regexp.Regexp
	direction direction
	// left is how many more schemas may be looked at for this value, and total
	// for all.
	left, total int
}

const (
	stepsPerValue = 20_000
	stepsInAll    = 4_000_000
	// stepBytes is how much text is compared in a step.
	stepBytes = 64
)

// fits starts anew with a value.
func (f *fitter) fits(v, schema any, d direction) bool {
	f.direction, f.left = d, stepsPerValue
	return f.check(v, schema) == yes
}

func (f *fitter) check(v, schema any) verdict {
	steps := 1
	switch v := v.(type) {
	case string:
		steps += len(v) / stepBytes
	case json.Number:
		steps += len(v) / stepBytes
	}
	f.left -= steps
	f.total -= steps
	if f.left < 0 || f.total < 0 {
		return unsure
	}
	if allowed, ok := schema.(bool); ok {
		return when(allowed)
	}
	s, ok := schema.(*object)
	if !ok {
		return unsure
	}
	if ref, there := s.values["$ref"].(string); there {
		target, known := f.schemas[ref]
		if !known {
			return unsure
		}
		if f.minor == 0 || len(s.keys) == 1 {
			return f.check(v, target)
		}
		return min(f.check(v, target), f.keywords(v, s))
	}
	return f.keywords(v, s)
}

func (f *fitter) keywords(v any, s *object) verdict {
	if len(s.keys) == 0 && v != nil {
		return yes
	}
	for _, key := range s.keys {
		if key == "unevaluatedItems" || key == "unevaluatedProperties" {
			return unsure
		}
	}
	if v == nil {
		return f.null(s)
	}
	result := yes
	for _, check := range []func(any, *object) verdict{f.kind, f.enumeration, f.composition, f.condition} {
		if result = min(result, check(v, s)); result == no {
			return no
		}
	}
	switch v := v.(type) {
	case json.Number:
		result = min(result, f.number(v, s))
	case string:
		result = min(result, f.text(v, s))
	case []any:
		result = min(result, f.array(v, s))
	case *object:
		result = min(result, f.object(v, s))
	}
	return result
}

// null has rules of its own: in OpenAPI 3.0 it fits only where it is said so.
func (f *fitter) null(s *object) verdict {
	composed := s.has("allOf") || s.has("anyOf") || s.has("oneOf")
	if f.minor == 0 {
		if s.get("nullable") == true {
			return when(!s.has("enum") || slices.Contains(s.list("enum"), nil))
		}
		if !composed || s.has("not") {
			return no
		}
		return f.composition(nil, s)
	}
	result := min(f.composition(nil, s), f.enumeration(nil, s), f.kind(nil, s), f.condition(nil, s))
	if result == yes && !s.has("type") && !composed {
		return unsure
	}
	return result
}

// composition checks what other schemas say.
func (f *fitter) composition(v any, s *object) verdict {
	result := yes
	if s.has("not") {
		// Not all readers see that what is not anything is nothing.
		result = max(f.check(v, s.get("not")).not(), unsure)
	}
	for _, part := range s.list("allOf") {
		if result = min(result, f.check(v, part)); result == no {
			return no
		}
	}
	if l := s.list("anyOf"); len(l) > 0 {
		result = min(result, f.oneOfMany(v, s, l, false))
	}
	if l := s.list("oneOf"); len(l) > 0 {
		result = min(result, f.oneOfMany(v, s, l, true))
	}
	return result
}

// condition checks what holds if something else does.
func (f *fitter) condition(v any, s *object) verdict {
	if !s.has("if") {
		return yes
	}
	branch := func(key string) verdict {
		if !s.has(key) {
			return yes
		}
		return f.check(v, s.get(key))
	}
	switch f.check(v, s.get("if")) {
	case yes:
		return branch("then")
	case no:
		return branch("else")
	}
	return min(branch("then"), branch("else"), unsure)
}

// oneOfMany checks alternatives: by themselves, and as the discriminator tells,
// which some readers heed and others do not.
func (f *fitter) oneOfMany(v any, s *object, alternatives []any, exactly bool) verdict {
	verdicts := make([]verdict, len(alternatives))
	for i, a := range alternatives {
		verdicts[i] = f.check(v, a)
	}
	result := alternative(verdicts, exactly)
	o, isObject := v.(*object)
	d := s.object("discriminator")
	if d == nil || !isObject {
		return result
	}
	value, ok := o.values[d.text("propertyName")].(string)
	if !ok {
		return min(result, unsure)
	}
	mapping := d.object("mapping")
	if len(mapping.names()) == 0 {
		return result
	}
	ref, known := mapping.values[value].(string)
	chosen := []verdict{}
	for i, a := range alternatives {
		if a, _ := a.(*object); known && a.text("$ref") == ref {
			chosen = append(chosen, verdicts[i])
		}
	}
	if told := alternative(chosen, exactly); told != result {
		return min(told, result, unsure)
	}
	return result
}

func alternative(verdicts []verdict, exactly bool) verdict {
	fit, doubt := 0, false
	for _, v := range verdicts {
		if v == yes {
			fit++
		}
		doubt = doubt || v == unsure
	}
	switch {
	case fit > 1 && exactly:
		return no
	case fit > 0 && !(exactly && doubt):
		return yes
	case doubt:
		return unsure
	}
	return no
}

func (f *fitter) enumeration(v any, s *object) verdict {
	l := s.list("enum")
	want, there := s.values["const"]
	if !there && len(l) == 0 {
		return yes
	}
	is := canonical(v)
	if f.left -= len(is)/stepBytes + len(l); f.left < 0 {
		return unsure
	}
	if there && is != canonical(want) {
		return no
	}
	for _, e := range l {
		other := canonical(e)
		if other == is {
			return yes
		}
		if f.left -= len(other) / stepBytes; f.left < 0 {
			return unsure
		}
	}
	return when(len(l) == 0)
}

// kind checks the type.
func (f *fitter) kind(v any, s *object) verdict {
	var types []any
	switch t := s.get("type").(type) {
	case nil:
		return yes
	case string:
		types = []any{t}
	case []any:
		types = t
	}
	is := "null"
	switch v := v.(type) {
	case bool:
		is = "boolean"
	case string:
		is = "string"
	case []any:
		is = "array"
	case *object:
		is = "object"
	case json.Number:
		is = "number"
		if n, err := v.Float64(); err == nil && n == math.Trunc(n) && slices.Contains(types, any("integer")) {
			is = "integer"
		}
	}
	return when(slices.Contains(types, any(is)))
}

func (f *fitter) number(v json.Number, s *object) verdict {
	n, err := v.Float64()
	if err != nil {
		return no
	}
	limit := func(key string) (float64, bool) {
		l, ok := s.values[key].(json.Number)
		f, _ := l.Float64()
		return f, ok
	}
	if l, ok := limit("minimum"); ok && (n < l || n == l && s.get("exclusiveMinimum") == true) {
		return no
	}
	if l, ok := limit("maximum"); ok && (n > l || n == l && s.get("exclusiveMaximum") == true) {
		return no
	}
	if l, ok := limit("exclusiveMinimum"); ok && n <= l {
		return no
	}
	if l, ok := limit("exclusiveMaximum"); ok && n >= l {
		return no
	}
	switch s.text("format") {
	case "int32":
		if n < math.MinInt32 || n > math.MaxInt32 {
			return no
		}
	case "int64":
		// Readers that take numbers for floating point see another one.
		if math.Abs(n) >= 1<<62 {
			return unsure
		}
	}
	if of, ok := s.values["multipleOf"].(json.Number); ok {
		return multiple(v, of)
	}
	return yes
}

// multiple tells whether a number is one of another. Readers that count with
// floating point see it differently for fractions, so only whole ones are sure.
func multiple(v, of json.Number) verdict {
	a, okA := new(big.Int).SetString(v.String(), 10)
	b, okB := new(big.Int).SetString(of.String(), 10)
	if !okA || !okB || b.Sign() == 0 || a.BitLen() > 53 || b.BitLen() > 53 {
		return unsure
	}
	return when(new(big.Int).Rem(a, b).Sign() == 0)
}

func (f *fitter) text(v string, s *object) verdict {
	length := utf8.RuneCountInString(v)
	if !within(length, s, "minLength", "maxLength") {
		return no
	}
	if pattern := s.text("pattern"); pattern != "" {
		re := f.pattern(pattern)
		if re == nil {
			return unsure
		}
		if !re.MatchString(v) {
			return no
		}
	}
	// What readers know of formats is more than others do.
	if format, there := openapi3.SchemaStringFormats[s.text("format")]; there && format.Validate(v) != nil {
		return no
	}
	return yes
}

// pattern compiles an expression once.
func (f *fitter) pattern(pattern string) *regexp.Regexp {
	re, there := f.patterns[pattern]
	if !there {
		if size := patternSize(pattern); size > 0 {
			f.left -= size / stepBytes
			re, _ = compilePattern(pattern)
		}
		f.patterns[pattern] = re
	}
	return re
}

func (f *fitter) array(v []any, s *object) verdict {
	if !within(len(v), s, "minItems", "maxItems") {
		return no
	}
	if s.get("uniqueItems") == true {
		seen := map[string]bool{}
		for _, e := range v {
			is := canonical(e)
			if f.left -= 1 + len(is)/stepBytes; f.left < 0 {
				return unsure
			}
			if seen[is] {
				return no
			}
			seen[is] = true
		}
	}
	result := yes
	tuple := s.list("prefixItems")
	for i, e := range v {
		if i < len(tuple) {
			result = min(result, f.check(e, tuple[i]))
		} else if s.has("items") {
			result = min(result, f.check(e, s.get("items")))
		}
		if result == no {
			return no
		}
	}
	return min(result, f.contains(v, s))
}

// contains checks how many elements fit a schema.
func (f *fitter) contains(v []any, s *object) verdict {
	if !s.has("contains") {
		return yes
	}
	fit := 0
	for _, e := range v {
		switch f.check(e, s.get("contains")) {
		case yes:
			fit++
		case unsure:
			return unsure
		}
	}
	if fit == 0 && !s.has("minContains") {
		return no
	}
	return when(within(fit, s, "minContains", "maxContains"))
}

// dependencies checks what an object has to be for what it has.
func (f *fitter) dependencies(v, s *object) verdict {
	result := yes
	schemas := s.object("dependentSchemas")
	for _, name := range schemas.names() {
		if v.has(name) {
			result = min(result, f.check(v, schemas.values[name]))
		}
	}
	required := s.object("dependentRequired")
	for _, name := range required.names() {
		for _, other := range required.list(name) {
			if other, _ := other.(string); v.has(name) && !v.has(other) {
				return no
			}
		}
	}
	return result
}

func (f *fitter) object(v, s *object) verdict {
	if !within(len(v.keys), s, "minProperties", "maxProperties") {
		return no
	}
	properties, patterns := s.object("properties"), s.object("patternProperties")
	for _, name := range s.list("required") {
		name, _ := name.(string)
		if !v.has(name) && !(f.minor == 0 && f.direction != nowhere && f.oneWay(properties.get(name))) {
			return no
		}
	}
	result := f.dependencies(v, s)
	for _, name := range v.keys {
		e := v.values[name]
		known := false
		if p, there := properties.get(name), properties.has(name); there {
			known = true
			if f.oneWay(p) && e != nil {
				return unsure
			}
			result = min(result, f.check(e, p))
		}
		f.left -= len(patterns.names())
		for _, pattern := range patterns.names() {
			re := f.pattern(pattern)
			if re == nil || f.left < 0 {
				return unsure
			}
			if re.MatchString(name) {
				known = true
				result = min(result, f.check(e, patterns.values[pattern]))
			}
		}
		if !known && s.has("additionalProperties") {
			result = min(result, f.check(e, s.get("additionalProperties")))
		}
		if s.has("propertyNames") {
			result = min(result, f.check(name, s.get("propertyNames")))
		}
		if result == no {
			return no
		}
	}
	return result
}

// oneWay tells of a property that is not sent in the direction of the value.
func (f *fitter) oneWay(property any) bool {
	for range maxHops {
		o, _ := property.(*object)
		if f.direction == request && o.get("readOnly") == true || f.direction == response && o.get("writeOnly") == true {
			return true
		}
		ref, there := o.get("$ref").(string)
		if !there {
			return false
		}
		property = f.schemas[ref]
	}
	return false
}

// within checks a count against two limits.
func within(n int, s *object, least, most string) bool {
	limit := func(key string) (int64, bool) {
		l, ok := s.values[key].(json.Number)
		i, err := l.Int64()
		return i, ok && err == nil
	}
	if l, ok := limit(least); ok && int64(n) < l {
		return false
	}
	if l, ok := limit(most); ok && int64(n) > l {
		return false
	}
	return true
}

// The expressions of a document together may have a size, and one alone: that of
// a usual one is about its length.
const maxPatterns, maxPattern = 1 << 20, 1 << 14

// patternSize is about how large an expression is when it is compiled, what is
// repeated written out; 0 for one that cannot be used.
func patternSize(pattern string) int {
	tree, err := syntax.Parse(codePoint.ReplaceAllString(pattern, `\x{$1}`), syntax.Perl)
	if err != nil {
		return 0
	}
	var size func(re *syntax.Regexp) int
	size = func(re *syntax.Regexp) int {
		n := 1 + len(re.Rune)
		for _, sub := range re.Sub {
			if n += size(sub); n > maxPattern {
				return n
			}
		}
		if re.Op == syntax.OpRepeat {
			n *= max(re.Min, re.Max, 1)
		}
		return n
	}
	if n := size(tree); n <= maxPattern {
		return n
	}
	return 0
}

var codePoint = regexp.MustCompile(`\\u([0-9A-F]{4})`)

// compilePattern reads an ECMAScript expression as far as Go's are alike.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile(codePoint.ReplaceAllString(pattern, `\x{$1}`))
}

// canonical is the same text for equal values.
func canonical(v any) string {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			b, _ := json.Marshal(f)
			return string(b)
		}
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = canonical(e)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case *object:
		keys := slices.Sorted(slices.Values(v.keys))
		parts := make([]string, len(keys))
		for i, key := range keys {
			parts[i] = string(encode(key)) + ":" + canonical(v.values[key])
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return string(encode(v))
}
