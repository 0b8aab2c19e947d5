package ftp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/backplane/backplane/connectors"
)

// pin is a host key that the configuration trusts: a whole key or only its
// fingerprint.
type pin struct {
	key         ssh.PublicKey
	fingerprint string
}

func (p pin) matches(key ssh.PublicKey) bool {
	if p.key == nil {
		return p.fingerprint == ssh.FingerprintSHA256(key)
	}
	return bytes.Equal(p.key.Marshal(), key.Marshal())
}

// parsePins reads the field host_key: per line a known_hosts entry, a bare
// "type base64" or a fingerprint. The names in an entry do not matter, because
// the field belongs to one service.
func parsePins(s string) ([]pin, error) {
	const want = "must be lines of known_hosts, or fingerprints such as SHA256:… with 43 characters"
	var pins []pin
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if sum, ok := strings.CutPrefix(line, "SHA256:"); ok {
			raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(sum, "="))
			if err != nil || len(raw) != 32 {
				return nil, errors.New(want)
			}
			pins = append(pins, pin{fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(raw)})
			continue
		}
		key, err := parseHostKey(line)
		if err != nil {
			return nil, errors.New(want)
		}
		pins = append(pins, pin{key: key})
	}
	if len(pins) == 0 {
		return nil, errors.New(want)
	}
	return pins, nil
}

func parseHostKey(line string) (ssh.PublicKey, error) {
	marker, _, key, _, _, err := ssh.ParseKnownHosts([]byte(line))
	if err == nil && marker != "" {
		return nil, errors.New("markers are not supported")
	}
	if err != nil {
		key, _, _, _, err = ssh.ParseAuthorizedKey([]byte(line))
	}
	return key, err
}

// hostKeys decides about the key that the server presents.
type hostKeys struct {
	policy    string
	pins      []pin
	presented ssh.PublicKey
}

// algorithms are what to ask the server for: the pinned kinds, because it
// would otherwise present the key of another kind. Without such a pin the
// order is that of OpenSSH's client, whose fingerprints people compare.
func (h *hostKeys) algorithms() []string {
	all := []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
	var pinned []string
	for _, p := range h.pins {
		if p.key == nil {
			return all
		}
		pinned = append(pinned, p.key.Type())
	}
	if len(pinned) == 0 || h.policy == policyInsecure {
		return all
	}
	return slices.DeleteFunc(all, func(algorithm string) bool {
		if algorithm == ssh.KeyAlgoRSASHA512 || algorithm == ssh.KeyAlgoRSASHA256 {
			algorithm = ssh.KeyAlgoRSA
		}
		return !slices.Contains(pinned, algorithm)
	})
}

// check runs before anything secret is sent.
func (h *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	h.presented = key
	switch {
	case h.policy == policyInsecure:
		return nil
	case slices.ContainsFunc(h.pins, func(p pin) bool { return p.matches(key) }):
		return nil
	case len(h.pins) > 0:
		return &connectors.Failure{Code: connectors.HostKeyMismatch, Detail: describe(key),
			Hint: "If the server's key was changed on purpose, store the new one in host_key. Otherwise someone may be in between."}
	case h.policy == policyAcceptNew:
		return nil
	}
	return &connectors.Failure{Code: connectors.HostKeyUnknown, Detail: describe(key),
		Hint: "Compare the fingerprint with the server's, then store it in host_key."}
}

// report tells what a good test found out about the host key.
func (h *hostKeys) report(p *connectors.Probe, host string) {
	switch {
	case h.presented == nil:
	case h.policy == policyInsecure:
		p.Warn("hostkey_unverified", "The server's host key was not checked: "+describe(h.presented))
	case h.policy == policyAcceptNew && len(h.pins) == 0:
		line := knownhosts.Line([]string{host}, h.presented)
		p.Note(func(r *connectors.Report) { r.Learned = map[string]string{"host_key": line} })
	}
}

func describe(key ssh.PublicKey) string {
	return fmt.Sprintf("the server presents %s %s", key.Type(), ssh.FingerprintSHA256(key))
}
