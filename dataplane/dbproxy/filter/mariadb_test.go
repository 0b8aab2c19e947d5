package filter

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// finds asks a server, which has PCRE2, whether a pattern is found in a text.
// Of binary strings it takes the bytes.
func finds(t *testing.T, db *sql.DB, pattern, text string) (found, ok bool) {
	t.Helper()
	var answer sql.NullBool
	err := db.QueryRow(fmt.Sprintf("SELECT x'%x' REGEXP x'%x'", text, pattern)).Scan(&answer)
	return answer.Bool, err == nil && answer.Valid
}

func admin(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", strings.TrimPrefix(servers(t)[0].AdminURL("mysql"), "mysql://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestPatternsAreThoseOfPCRE2(t *testing.T) {
	db := admin(t)
	for _, tt := range patterns {
		found, ok := finds(t, db, tt.pattern, tt.text[1:])
		if !ok || found != (tt.text[0] == '+') {
			t.Errorf("%s in %q: %v, understood %v", tt.pattern, tt.text[1:], found, ok)
		}
	}
}

// atoms and quantifiers are what random patterns are made of.
var (
	atoms       = strings.Fields(`a b c A \xe9 . ^ $ \b \d \w \s \D \W \S \h \v \R \N [ab] [^ab] [a-c] []a] [^]] [[:alpha:]] [[:^digit:]] [\w-] [\d.] [-a] \. \Qa.\E (?i) (?-i) (?s) (?m) (?x) | ) ( (?: (?> (?= (?! (a) (b|c) \1 \2 \g1 (?<n>a) \k<n> (?i:a) \A \z \Z \x41 \101 \0 \n # { } ] -`)
	quantifiers = strings.Fields(`* + ? *? +? ?? *+ ++ ?+ {1} {2,} {0,2} {1,2}? {2}+ {,2} {a}`)
)

func TestRandomPatternsAreThoseOfPCRE2(t *testing.T) {
	db := admin(t)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	texts := strings.Split("a b c ab abc aab ABC a.b a\nb 1 a1 \xe9 A-] \r\n aaaa", " ")
	understood := 0
	for range 3000 {
		pattern := ""
		for range 1 + random.IntN(5) {
			pattern += pick(atoms)
			if random.IntN(3) == 0 {
				pattern += pick(quantifiers)
			}
		}
		text := pick(texts) + pick(texts)
		x, err := CompileRegexp(pattern, 0)
		want, ok := finds(t, db, pattern, text)
		if ok != (err == nil) {
			t.Errorf("%s: PCRE2 understands it %v, here %v", pattern, ok, err)
			continue
		}
		if !ok {
			continue
		}
		understood++
		if got, err := x.Match([]byte(text)); got != want || err != nil {
			t.Errorf("%s in %q: %v, %v; %s", pattern, text, got, err, x.engine)
		}
	}
	if understood < 1000 {
		t.Errorf("only %d patterns were understood", understood)
	}
}
