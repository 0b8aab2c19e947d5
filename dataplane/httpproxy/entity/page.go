package entity

// Page is something that the gateway answers by itself where no route is
// matched: GET and HEAD of one path, exactly.
type Page struct {
	Path        string // normalized, such as /openapi.json
	ContentType string
	Body        []byte
	ETag        string            // with its quotes; "" for none
	Header      map[string]string // further fields of the response
}
