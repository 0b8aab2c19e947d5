package auth

import (
	"strings"
	"testing"
)

// The decoy must be checked like any other hash, or its speed would tell which
// users exist.
func TestDecoyIsCheckedLikeAHash(t *testing.T) {
	decoy, real := decoyHash(), HashPassword("p")
	params := func(hash string) string {
		return hash[:strings.LastIndexByte(hash[:strings.LastIndexByte(hash, '$')], '$')]
	}
	if params(decoy) != params(real) || len(decoy) != len(real) {
		t.Errorf("the decoy %q does not look like %q", decoy, real)
	}
	if ok, err := checkPassword("p", decoy); ok || err != nil {
		t.Errorf("checking the decoy says %v, %v", ok, err)
	}
	if decoyHash() == decoy {
		t.Error("two decoys are equal")
	}
}
