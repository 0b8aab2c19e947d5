package param

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var every = Specs{
	{Name: "bool", Type: TypeBool},
	{Name: "int", Type: TypeInt, Min: -5, Max: 5},
	{Name: "count", Type: TypeCount, Default: int64(7)},
	{Name: "size", Type: TypeSize},
	{Name: "seconds", Type: TypeDuration, Default: 3 * time.Second, Aliases: []string{"old_seconds"}},
	{Name: "millis", Type: TypeDuration, Unit: time.Millisecond},
	{Name: "off", Type: TypeDuration, Negative: true, Fine: true},
	{Name: "text", Type: TypeString},
	{Name: "secret", Type: TypePassword},
	{Name: "host", Type: TypeHost},
	{Name: "regex", Type: TypeRegex},
	{Name: "word", Type: TypeEnum, Enum: []string{"one", "two"}, EnumAliases: map[string]string{"first": "one"}},
	{Name: "words", Type: TypeString, EnumAliases: map[string]string{"old": "New"}},
	{Name: "throttling", Type: TypeThrottling},
	{Name: "mask", Type: TypeEnumMask, Enum: []string{"a", "b", "c"}},
	{Name: "list", Type: TypeStringList},
	{Name: "old", Type: TypeString, Ignored: true},
}

func TestValuesAreReadAndShown(t *testing.T) {
	for name, want := range map[string]string{
		`bool true`: `true`, `bool "off"`: `false`, `bool 1`: `true`, `bool ""`: `bool must be true or false`, `bool null`: `false`,
		`int "-3"`: `-3`, `int 6`: `int must be between -5 and 5`, `int ""`: `int must be a whole number`, `count 1.5`: `count must be a whole number`,
		`count -1`: `count must not be negative`, `size "64Ki"`: `65536`, `size "2k"`: `2000`, `size "1x"`: `size must be a size: a number, also with k, M, G, T, Ki, Mi, Gi or Ti after it`,
		`size "9999999999Ti"`: `size must be a size: a number, also with k, M, G, T, Ki, Mi, Gi or Ti after it`,
		`seconds "1234ms"`:    `"1000ms"`, `seconds 4`: `"4000ms"`, `seconds "2MIN"`: `"120000ms"`, `old_seconds "1h"`: `"3600000ms"`, `millis 5`: `"5ms"`, `millis "5x"`: `millis must be a duration: a number with h, m, s or ms after it`,
		`off -1`: `"-1000ms"`, `off 2`: `"2000ms"`, `off "1234ms"`: `"1234ms"`, `seconds -1`: `seconds must not be negative`, `seconds "99999999999h"`: `seconds is too long`,
		`text 12`: `"12"`, `text true`: `"true"`, `text ""`: `null`, `text {}`: `text must be a string`, `secret "x"`: `"*****"`, `secret ""`: `null`,
		`host "::1"`: `"::1"`, `host "a-b.c"`: `"a-b.c"`, `host "/tmp/x"`: `host must be a host name or an IP address`, `regex "a+"`: `"/a+/"`, `regex "/a+/"`: `"/a+/"`,
		`word "TWO"`: `"two"`, `word "First"`: `"one"`, `word "three"`: `word must be one of one, two`, `mask "c,a"`: `"a,c"`, `mask ["b"]`: `"b"`, `mask "a,d"`: `mask may have a, b, c, not "d"`,
		`words "a, OLD"`: `"a,New"`, `throttling "1, 2s,3"`: `{"count":1,"suppress":3,"window":2000}`, `throttling {"count":"4","window":5,"suppress":"1m"}`: `{"count":4,"suppress":60000,"window":5}`,
		`throttling {"count":4}`: `throttling must be an object with count, window and suppress, or a text with these three`, `throttling "1,2"`: `throttling must be an object with count, window and suppress, or a text with these three`,
		`throttling {"count":1,"window":2,"suppress":3,"more":4}`: `throttling must be an object with count, window and suppress, or a text with these three`, `throttling 7`: `throttling must be an object with count, window and suppress, or a text with these three`,
		`list "x, y"`: `["x","y"]`, `list [1]`: `["1"]`, `nothing 1`: `nothing is not a parameter here`, ` 1`: ` is not a parameter here`,
	} {
		t.Run(name, func(t *testing.T) {
			key, value, _ := strings.Cut(name, " ")
			var given map[string]any
			d := json.NewDecoder(strings.NewReader(fmt.Sprintf("{%q: %s}", key, value)))
			d.UseNumber()
			if err := d.Decode(&given); err != nil {
				t.Fatal(err)
			}
			set, faults := Parse(every, given)
			if len(faults) > 0 {
				if faults.Error() != want {
					t.Errorf("%s, want %s", faults, want)
				}
				return
			}
			spec, _ := every.Find(key)
			got, err := json.Marshal(set.Report()[spec.Name])
			if err != nil || string(got) != want {
				t.Errorf("shown as %s (%v), want %s", got, err, want)
			}
			again, faults := Parse(every, set.Plain())
			if len(faults) > 0 || fmt.Sprint(again.Report()) != fmt.Sprint(set.Report()) {
				t.Errorf("read again it is %v (%v)", again.Report(), faults)
			}
		})
	}
}

func TestMandatoryParametersAreMissed(t *testing.T) {
	_, faults := Parse(Specs{{Name: "user", Type: TypeString, Mandatory: true}}, map[string]any{"x": 1})
	if got := faults.Error(); got != "user must be given; x is not a parameter here" {
		t.Error(got)
	}
}

func TestDefaultsCountWhenNothingIsGiven(t *testing.T) {
	set, _ := Parse(every, map[string]any{"seconds": nil})
	if set.Duration("seconds") != 3*time.Second || set.Int("count") != 7 || set.Has("seconds") || set.String("text") != "" {
		t.Error(set.Report())
	}
}
