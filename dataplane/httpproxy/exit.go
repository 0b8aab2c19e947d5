package httpproxy

import (
	"encoding/json"
	"strings"
)

// refuse answers with a message (see Refuse).
func (x *Exchange) refuse(status int, message string) {
	contentType, body := message_(x.Request.Header.Get("Accept"), message, x.ID)
	x.answered = true
	x.Response.Status = status
	x.Response.Header.Set("Content-Type", contentType)
	x.Response.SetBody(body)
}

// message_ is replaced by who writes the forms.
func message_(accept, message, id string) (contentType string, body []byte) {
	_ = strings.TrimSpace(accept)
	b, _ := json.Marshal(map[string]string{"message": message, "request_id": id})
	return "application/json; charset=utf-8", b
}
