package httpproxy

// Refusal is the message that the request is refused with, by a plugin or by
// the gateway; "" if it is not refused, or its refusal was put in other words
// already. A client of gRPC, which is told in its own way, is not meant.
func (x *Exchange) Refusal() string { return x.refusal }

// Reword puts a refusal in another form. The fields of its header stay.
func (x *Exchange) Reword(status int, contentType string, body []byte) {
	x.refusal = ""
	x.Response.Status = status
	x.Response.Header.Set("Content-Type", contentType)
	x.Response.SetBody(body)
}

// RefuseWith is Refuse with a body in the place of the message.
func (x *Exchange) RefuseWith(status int, message, contentType string, body []byte) {
	x.Exit(status, contentType, body)
	x.refusal = message
}

// reword calls the Reworders of a request that is refused.
func (x *Exchange) reword() {
	for _, i := range x.used {
		if x.refusal == "" {
			return
		}
		if w, ok := i.plugin.(Reworder); ok {
			x.call(i, "reword", func(x *Exchange) error { w.RewordRefusal(x); return nil })
		}
	}
}
