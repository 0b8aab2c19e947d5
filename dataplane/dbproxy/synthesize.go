package dbproxy

import "github.com/backplane/backplane/dataplane/dbproxy/wire"

// Reply gives an answer of the proxy's own, as the packets of it. Filters and
// routers that do not ask a server answer so.
func Reply(r *Request, to Answer, packets ...[]byte) error {
	if to == nil {
		return nil
	}
	var reply wire.Reply
	reply.Start(r.Command, r.session.caps)
	for _, p := range packets {
		if reply.Done() {
			return nil
		}
		kind, err := reply.Feed(p, len(p))
		if err != nil {
			return err
		}
		if err := to.Packet(kind, p, &reply); err != nil {
			return err
		}
	}
	return nil
}

// Refuse answers with an error.
func Refuse(r *Request, to Answer, e *wire.ServerError) error {
	if r.streamed {
		if err := r.session.client.DiscardPacket(); err != nil {
			return err
		}
		r.streamed = false
	}
	return Reply(r, to, e.Append(nil))
}

// Acknowledge answers that all went well.
func Acknowledge(r *Request, to Answer) error {
	ok := wire.OK{Status: r.session.status}
	return Reply(r, to, ok.Append(nil, r.session.caps, false))
}
