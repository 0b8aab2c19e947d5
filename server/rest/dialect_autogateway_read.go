package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// registrationNames are those of a query or a form that register a service. ip is
// a domain that needs no scheme.
var registrationNames = []string{"domain", "ip", "name_service", "port", "document_path", "auth", "validate_requests", "validate_responses"}

// registration is what a request says of a service: the body if it is JSON, else
// a form or the query. What is not set has not been said.
func (c *autoCall) registration(whole bool) *gatewayv1.UpdateRegistrationRequest {
	req := &gatewayv1.UpdateRegistrationRequest{}
	c.sent, c.place = req, wholeBody
	values, ok := c.values()
	if !ok {
		return req
	}
	req.Domain, req.NameService = c.text(values, "domain"), c.text(values, "name_service")
	req.Port = c.port(values)
	req.DocumentPath, req.Auth = c.text(values, "document_path"), c.text(values, "auth")
	req.ValidateRequests, req.ValidateResponses = c.truth(values, "validate_requests"), c.truth(values, "validate_responses")
	for _, name := range []string{"domain", "name_service"} {
		if _, there := values[name]; whole && !there {
			c.fault(name, required)
		}
	}
	return req
}

// values are those of the request by their names; false if there are none, which
// is a fault then.
func (c *autoCall) values() (map[string]any, bool) {
	data, err := c.body()
	if err != nil {
		c.unreadable = err
		return nil, false
	}
	kind := mediaType(c.r)
	if len(data) > 0 && (isJSON(kind) || looksLikeJSON(data)) {
		return c.object(data)
	}
	if len(data) > 0 && (kind == formType || kind == multipartType) {
		pairs, err := pairsOf(c.r.Header.Get("Content-Type"), data)
		if err != nil {
			c.unreadable = errs.New(errs.BadRequest, detailUnreadable)
			return nil, false
		}
		values := map[string]any{}
		for _, p := range pairs {
			values[p.Key] = p.Value
		}
		if out := known(values); len(out) > 0 {
			return out, true
		}
	}
	values := map[string]any{}
	for name, all := range c.query {
		values[name] = strings.ToValidUTF8(all[len(all)-1], "\uFFFD")
	}
	if out := known(values); len(out) > 0 {
		c.place = "query"
		return out, true
	}
	if len(data) > 0 {
		c.fault(wholeBody, notADict)
	} else {
		c.fault(wholeBody, required)
	}
	return nil, false
}

// body reads the body.
func (c *autoCall) body() ([]byte, error) {
	c.x.deadline(time.Now().Add(bodyTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, MaxBody))
	if err != nil {
		return nil, readError(err) // and what is left of the body may take no longer either
	}
	c.x.deadline(time.Time{})
	return data, nil
}

// object reads a body of JSON.
func (c *autoCall) object(data []byte) (map[string]any, bool) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !utf8.Valid(data) {
		c.unreadable = errs.New(errs.BadRequest, detailUnreadable)
		return nil, false
	}
	var v any
	if err := decodeNumbers(data, &v); err != nil {
		wrong, ok := whereJSON(string(data))
		if !ok {
			c.unreadable = errs.New(errs.BadRequest, detailUnreadable)
			return nil, false
		}
		c.faults = append(c.faults, wrongField{wholeBody, verdict{wrong.Error(), "value_error.jsondecode", wrong}, wrong.Pos})
		return nil, false
	}
	switch v := v.(type) {
	case map[string]any:
		return v, true
	case nil:
		c.fault(wholeBody, required)
	default:
		c.fault(wholeBody, notADict)
	}
	return nil, false
}

// decodeNumbers decodes JSON, and leaves numbers as they are written.
func decodeNumbers(data []byte, v *any) error {
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil { // which a decoder would read less strictly
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(v)
}

func isJSON(kind string) bool {
	return kind == jsonType || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
}

func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// known are the values that register a service.
func known(values map[string]any) map[string]any {
	out := map[string]any{}
	for _, name := range registrationNames {
		if v, ok := values[name]; ok {
			out[name] = v
		}
	}
	if ip, ok := out["ip"].(string); ok && out["domain"] == nil {
		out["domain"] = domainOf(ip)
	}
	return out
}

// domainOf is an address, or a name, as a domain.
func domainOf(ip string) string {
	if strings.Contains(ip, "://") {
		return ip
	}
	if addr, err := netip.ParseAddr(ip); err == nil && addr.Is6() {
		ip = "[" + ip + "]"
	}
	return "http://" + ip
}

// value is one that was sent. Null is no value of any field.
func (c *autoCall) value(values map[string]any, name string) (any, bool) {
	v, there := values[name]
	if there && v == nil {
		c.fault(name, notNone)
	}
	return v, v != nil
}

// text is a value that is one. Numbers are, as they are written.
func (c *autoCall) text(values map[string]any, name string) *string {
	v, there := c.value(values, name)
	if !there {
		return nil
	}
	switch v := v.(type) {
	case string:
		return &v
	case json.Number:
		return proto.String(v.String())
	}
	c.fault(name, notAString)
	return nil
}

func (c *autoCall) port(values map[string]any) *int32 {
	v, there := c.value(values, "port")
	if !there {
		return nil
	}
	n, ok := integerOf(v)
	switch {
	case !ok:
		c.fault("port", notAnInteger)
	case n < 1:
		c.fault("port", tooSmall(1))
	case n > math.MaxUint16:
		c.fault("port", tooLarge(math.MaxUint16))
	default:
		return proto.Int32(int32(n))
	}
	return nil
}

// The words that stand for true and false.
var (
	trueWords  = []string{"1", "on", "t", "true", "y", "yes"}
	falseWords = []string{"0", "off", "f", "false", "n", "no"}
)

func (c *autoCall) truth(values map[string]any, name string) *bool {
	v, there := c.value(values, name)
	if !there {
		return nil
	}
	word := ""
	switch v := v.(type) {
	case bool:
		return &v
	case string:
		word = strings.ToLower(v)
	case json.Number:
		word = v.String()
	}
	is := slices.Contains(trueWords, word)
	if !is && !slices.Contains(falseWords, word) {
		c.fault(name, notABoolean)
		return nil
	}
	return &is
}

// integerOf is a value as an integer: a number without a fraction, or text that
// Python reads as one. What does not fit is the largest or the smallest one.
func integerOf(v any) (int64, bool) {
	text, isText := v.(string)
	if n, ok := v.(json.Number); ok {
		text = n.String()
	} else if !isText {
		return 0, false
	}
	if n, ok := pythonInteger(text); ok {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if isText || err != nil || f != math.Trunc(f) {
		return 0, false
	}
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64, true
	case f <= math.MinInt64:
		return math.MinInt64, true
	}
	return int64(f), true
}

// pythonInteger reads text as int() of Python does: with space around it, a sign,
// and single underscores between digits.
func pythonInteger(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 {
		return 0, false
	}
	plain := true
	for i := range len(digits) {
		switch c := digits[i]; {
		case c >= '0' && c <= '9':
		case c == '_' && i > 0 && i < len(digits)-1 && digits[i-1] != '_':
		default:
			plain = false
		}
	}
	if digits == "" || !plain {
		return 0, false
	}
	n, _ := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64) //nolint:errcheck // of what is out of range it is the bound
	return n, true
}
