// Package answer has the answers of plugins that are JSON whatever the client
// accepts.
package answer

import (
	"encoding/json"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// ContentType is the type of JSON answers.
const ContentType = "application/json; charset=utf-8"

// Message is the body {"message": …}.
func Message(message string) []byte {
	return JSON(struct {
		Message string `json:"message"`
	}{message})
}

// JSON is a value as a body. It must be one that can be written as JSON.
func JSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Send answers with a body of JSON. A client of gRPC, which cannot read that,
// is told the message.
func Send(x *httpproxy.Exchange, status int, message string, body []byte) {
	if IsGRPC(x) {
		x.Refuse(status, message)
		return
	}
	x.RefuseWith(status, message, ContentType, body)
}

// IsGRPC tells whether the request is one of gRPC.
func IsGRPC(x *httpproxy.Exchange) bool {
	return x.Request.ProtoMajor == 2 && strings.HasPrefix(x.Request.Header.Get("Content-Type"), "application/grpc")
}
