package httpproxy

import "github.com/backplane/backplane/dataplane/httpproxy/header"

// Header is the fields of a message in their order.
type Header = header.Header

// Field is a field of a header.
type Field = header.Field
