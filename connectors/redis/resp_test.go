package redis

import (
	"bufio"
	"errors"
	"strings"
	"testing"
)

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{
		"+PONG\r\n", "-NOAUTH Authentication required.\r\n", ":12\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*-1\r\n",
		"*2\r\n+a\r\n*1\r\n:1\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "$5\r\nabc", "HTTP/1.1 400\r\n", "+\n", "$3\r\nabcde",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := read(s)
		if err == nil && len(r.text) > maxBulk {
			t.Errorf("a reply of %d bytes", len(r.text))
		}
	})
}

func TestReadReply(t *testing.T) {
	for in, want := range map[string]reply{
		"+PONG\r\n":             {'+', "PONG"},
		"$4\r\na\r\nb\r\n":      {'$', "a\r\nb"},
		"$-1\r\n":               {'$', ""},
		"*1\r\n$1\r\nx\r\n":     {'*', ""},
		"-NOPERM no access\r\n": {'-', "NOPERM no access"},
	} {
		if got, err := read(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"SSH-2.0\r\n", "+no CR\n", "$2\r\nabcd", "$x\r\n", "*99999\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n"} {
		if got, err := read(in); !errors.Is(err, errProtocol) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func read(s string) (reply, error) {
	return readReply(bufio.NewReaderSize(strings.NewReader(s), maxLine), 0)
}
