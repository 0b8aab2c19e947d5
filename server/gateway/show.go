package gateway

import (
	"google.golang.org/protobuf/proto"
)

// message is a message M.
type message[M any] interface {
	*M
	proto.Message
}

// show is an entity as its message, or the error.
func show[M any, P message[M]](o *object, err error) (P, error) {
	if err != nil {
		return nil, err
	}
	var m P = new(M)
	return m, fill(m.ProtoReflect(), o.doc)
}

// showAll is a page of entities as their messages.
func showAll[M any, P message[M]](p page) ([]P, error) {
	out := make([]P, len(p.objects))
	for i, o := range p.objects {
		m, err := show[M, P](o, nil)
		if err != nil {
			return nil, err
		}
		out[i] = m
	}
	return out, nil
}
