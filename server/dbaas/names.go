package dbaas

import (
	"crypto/rand"
	"fmt"
	"html"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mozillazg/go-unidecode"
)

const (
	maxGivenName = 100 // characters of a name as it is given
	maxName      = 63  // bytes of a name in an engine
	maxUser      = 16  // bytes of a login
)

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes of any text what every engine takes as a name:
// [a-z0-9]+(_[a-z0-9]+)*, or nothing at all.
func slug(name string) string {
	name = html.UnescapeString(name)
	name = unidecode.Unidecode(strings.ReplaceAll(name, "'", ""))
	return strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "_"), "_")
}

// checkName turns a given name into one for an engine. The message says what
// is wrong with it.
func checkName(given string) (name, fault string) {
	if n := utf8.RuneCountInString(given); n > maxGivenName {
		return "", fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", maxGivenName, n)
	}
	name = slug(given)
	if name == "" {
		return "", required
	}
	if len(name) > maxName {
		return "", fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", maxName, len(name))
	}
	return name, ""
}

// userFor is the login that a new database begins with.
func userFor(database string) string { return cutUser("u_"+database, maxUser) }

func cutUser(user string, length int) string {
	if len(user) > length {
		user = user[:length]
	}
	return strings.TrimRight(user, "_")
}

// numbered gives a login a number at its end, within what a login may have.
func numbered(user string, n int) string {
	if n == 0 {
		return user
	}
	tail := strconv.Itoa(n)
	return cutUser(user, maxUser-len(tail)) + tail
}

// freeUser is the first of the logins user, user1, user2… that is not taken.
func freeUser(user string, taken func(string) (bool, error)) (string, error) {
	for n := range 10_000 {
		name := numbered(user, n)
		if is, err := taken(name); err != nil || !is {
			return name, err
		}
	}
	return "", fmt.Errorf("no login like %s is free", user)
}

// passwordLetters leave out what people take for one another.
const passwordLetters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

const passwordLength = 10

// newPassword is random; it has a small and a capital letter and a digit.
func newPassword() string {
	for {
		var b [passwordLength]byte
		for i := range b {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(passwordLetters))))
			if err != nil {
				panic(err) // crypto/rand never fails
			}
			b[i] = passwordLetters[n.Int64()]
		}
		s := string(b[:])
		if strings.ContainsAny(s, passwordLetters[:23]) && strings.ContainsAny(s, passwordLetters[23:47]) && strings.ContainsAny(s, passwordLetters[47:]) {
			return s
		}
	}
}
