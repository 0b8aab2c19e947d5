package apidoc

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrNotJSON is what Parse's errors wrap when there is no JSON at all.
var ErrNotJSON = errors.New("the document is not JSON")

// Document is an OpenAPI document. It does not change, so that many may use it
// at once.
type Document struct {
	// Title and Version are what it says of the service; either may be empty.
	Title, Version string
	// OpenAPI is the version of the format, such as "3.1.0".
	OpenAPI string

	root *object
	// minor is the y of OpenAPI 3.y.
	minor int
	// sum tells documents apart.
	sum [sha256.Size]byte
}

// Parse reads a document of OpenAPI 3.0, 3.1 or 3.2 in JSON. How large it may be
// is the caller's to limit. Only what makes all of it useless is an error; what
// is wrong with single operations is told by Operations.
func Parse(raw []byte) (*Document, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	v, err := decode(raw)
	if errors.Is(err, errTooDeep) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w%s: %w", ErrNotJSON, looksLike(raw), err)
	}
	root, ok := v.(*object)
	if !ok {
		return nil, errors.New("the document is JSON, but not an object: an OpenAPI document begins with {\"openapi\": \"3.1.0\"")
	}
	version, err := versionOf(root)
	if err != nil {
		return nil, err
	}
	info := root.object("info")
	return &Document{
		Title: info.text("title"), Version: info.text("version"), OpenAPI: version,
		root: root, minor: int(version[2] - '0'), sum: sha256.Sum256(raw),
	}, nil
}

// looksLike guesses what is served instead of JSON.
func looksLike(raw []byte) string {
	switch text := bytes.TrimSpace(raw); {
	case len(text) == 0:
		return " but empty"
	case text[0] == '<':
		return " but looks like HTML or XML"
	case bytes.HasPrefix(text, []byte("openapi:")), bytes.HasPrefix(text, []byte("---")), bytes.HasPrefix(text, []byte("swagger:")):
		return " but looks like YAML: serve it as JSON"
	}
	return ""
}

var supported = regexp.MustCompile(`^3\.[0-2](\.[0-9]+)?(-[0-9A-Za-z.-]+)?$`)

func versionOf(root *object) (string, error) {
	v, there := root.values["openapi"]
	version, ok := v.(string)
	switch {
	case root.has("swagger"):
		return "", errors.New("the document is of Swagger 2.0: OpenAPI 3.0 or 3.1 is needed")
	case !there:
		return "", errors.New("the document is JSON, but not an OpenAPI document: it has no member \"openapi\" with its version")
	case !ok:
		return "", errors.New("the member \"openapi\" of the document must be a string such as \"3.1.0\"")
	case !supported.MatchString(version):
		return "", fmt.Errorf("OpenAPI %q is not supported: 3.0, 3.1 and 3.2 are", shorten(version))
	}
	return version, nil
}

// shorten keeps what a document says from filling a message.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
