package firewall

import (
	"fmt"
	"strings"
	"testing"
)

const every = `# a comment
rule r1 match wildcard
  # another
rule r2 deny columns name 'first name' salary at_times 08:00:00-12:00:00 22:00:00-06:00:00 on_queries select|INSERT
rule r3 MATCH function sum < columns a b
rule r4 allow not_function
rule r5 match not_function length columns ssn
rule r6 match uses_function a
rule r7 match regex 'a\'b\d "x"' on_queries delete | update at_times 00:00:00-23:59:59
rule r8 match limit_queries 10 5 60
rule r9 match no_where_clause
users %@% alice 'bob'@'10.0.%', "eve"@localhost match any rules r1, r2 r3
users bob@% match strict_all rules r4,
users bob@% match all rules r5
`

func TestRulesAreParsed(t *testing.T) {
	set, err := parseRules(every)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range set.rules {
		got = append(got, fmt.Sprint(r.name, r.kind, r.columns, r.functions, r.times, len(r.queries)))
	}
	for _, u := range set.users {
		got = append(got, fmt.Sprint(u.clients, u.mode, len(u.rules)))
	}
	want := []string{
		"r1 wildcard [] [] [] 0", "r2 columns [name first name salary] [] [{28800 43200} {79200 21600}] 2", "r3 function [a b] [sum <] [] 0",
		"r4 not_function [] [] [] 0", "r5 not_function [ssn] [length] [] 0", "r6 uses_function [a] [] [] 0", "r7 regex [] [] [{0 86399}] 2",
		"r8 limit_queries [] [] [] 0", "r9 no_where_clause [] [] [] 0",
		"['%'@'%' 'alice'@'%' 'bob'@'10.0.%' 'eve'@'localhost'] 0 3", "['bob'@'%'] 2 1", "['bob'@'%'] 1 1",
	}
	for i, w := range want {
		if i >= len(got) || strings.ReplaceAll(got[i], " ", "") != strings.ReplaceAll(w, " ", "") {
			t.Errorf("%s, not %s", got[min(i, len(got)-1)], w)
		}
	}
	if found, err := set.rules[6].regex.Match([]byte(`A'B7 "X"`)); !found || err != nil {
		t.Error("the quotes in a regular expression", err)
	}
}

func TestFaultsInRulesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                    "needs",
		"rule a match wildcard":                               "needs",
		"users a match any rules b":                           "no rule",
		"hello":                                               "must begin",
		"rule":                                                "name",
		"rule a wildcard":                                     `"match"`,
		"rule a match":                                        "what to look for",
		"rule a match columns":                                "no column",
		"rule a match columns on_queries use":                 "no column",
		"rule a match function":                               "no function",
		"rule a match function f columns":                     "no column",
		"rule a match uses_function":                          "no column",
		"rule a match regex":                                  "quotes",
		"rule a match regex x":                                "quotes",
		"rule a match regex ''":                               "empty",
		"rule a match regex '('":                              "regular expression",
		"rule a match regex 'x":                               "not closed",
		"rule a match regex 'x'y":                             "follows",
		"rule a match limit_queries 1 2":                      "three numbers",
		"rule a match limit_queries 1 0 2":                    "three numbers",
		"rule a match wildcard wildcard":                      "out of place",
		"rule a match wildcard at_times":                      "needs times",
		"rule a match wildcard at_times 8-9":                  "must be times",
		"rule a match wildcard on_queries":                    "kinds",
		"rule a match wildcard on_queries x":                  "must be one of",
		"rule a match wildcard\nrule a match wildcard":        "line 2: a rule of that name",
		"rule a match wildcard\nusers match any rules a":      "users must",
		"rule a match wildcard\nusers u any rules a":          "users must",
		"rule a match wildcard\nusers u match rules a":        "strict_all",
		"rule a match wildcard\nusers u match any a":          `"rules" is missing`,
		"rule a match wildcard\nusers u match any rules":      "no rule is named",
		"rule a match wildcard\nusers @x match any rules a":   "client",
		"rule a match wildcard on_queries use on_queries use": "out of place",
	} {
		if _, err := parseRules(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add(every)
	f.Add("rule a match regex \"\\\"\"\nusers 'a'@'b' match any rules a")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := parseRules(text)
		if err != nil {
			return
		}
		for _, u := range set.users {
			if len(u.clients) == 0 || len(u.rules) == 0 {
				t.Errorf("%q has users without rules", text)
			}
		}
		for _, r := range set.rules {
			if r.kind == "" || r.kind == kindRegex && r.regex == nil || r.kind == kindLimit && r.limit == nil {
				t.Errorf("%q has a rule for nothing", text)
			}
		}
	})
}
