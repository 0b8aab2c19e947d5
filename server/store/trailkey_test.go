package store

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/backplane/backplane/ent"
)

func TestTrailKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	key := NewTrailKey(7)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", key, "value", *key)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", key, "value", *key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		fmt.Fprintf(&out, verb+"\n"+verb+"\n", key, *key)
	}
	if _, err := ParseTrailKey(key.key[:]); err != nil {
		fmt.Fprintln(&out, err)
	}
	text := out.String()
	for _, form := range []string{string(key.key[:]), hex.EncodeToString(key.key[:8]), fmt.Sprint(key.key[:4])[1:10], fmt.Sprintf("%q", key.key[:8])} {
		if strings.Contains(text, form) {
			t.Errorf("the key is in %q", text)
		}
	}
	if !strings.Contains(text, "from record 7") {
		t.Errorf("printed %q", text)
	}
	again, err := ParseTrailKey(key.Bytes())
	if err != nil || again.from != 7 || !bytes.Equal(again.key[:], key.key[:]) {
		t.Errorf("read back: %v, %v", again, err)
	}
}

// TestNoTwoRecordsHaveOneMAC: text moved from one field to the next, and an end
// that looks like a record, are something else.
func TestNoTwoRecordsHaveOneMAC(t *testing.T) {
	t.Parallel()
	key := NewTrailKey(1)
	seen := map[string]string{}
	add := func(what, mac string) {
		if other, ok := seen[mac]; ok {
			t.Errorf("%s has the MAC of %s", what, other)
		}
		seen[mac] = what
	}
	for what, r := range map[string]ent.AuditRecord{
		"empty":     {ID: 1},
		"later":     {ID: 1, At: 1},
		"next":      {ID: 2},
		"left":      {ID: 1, Actor: "ab", TokenID: "c"},
		"right":     {ID: 1, Actor: "a", TokenID: "bc"},
		"zero byte": {ID: 1, Actor: "\x00"},
		"not UTF-8": {ID: 1, Actor: "\xff"},
		"replaced":  {ID: 1, Actor: "\ufffd"},
		"changes":   {ID: 1, Changes: "x"},
		"previous":  {ID: 1, PreviousHash: "x"},
	} {
		mac, err := key.hashOf(&r)
		if err != nil {
			t.Fatal(err)
		}
		add(what, mac)
	}
	add("end", key.macOf(end{1, ""}))
	add("end with a hash", key.macOf(end{1, "x"}))
	add("end under another key", NewTrailKey(1).macOf(end{1, ""}))
}
