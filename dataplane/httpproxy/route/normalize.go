package route

import "github.com/backplane/backplane/dataplane/httpproxy/urlpath"

// Normalize brings the path of a target into the form in which it is matched:
// see urlpath.Normalize.
func Normalize(raw string) (path string, ok bool) { return urlpath.Normalize(raw) }

// Escape makes of a path in normal form what may be sent: see urlpath.Escape.
func Escape(path string) string { return urlpath.Escape(path) }
