package dbproxy

import (
	"strconv"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// welcome sends the OK that ends the login. Clients that follow changes of
// their session are told of variables with it (connection_metadata).
func (s *Session) welcome() error {
	ok := wire.OK{Status: s.status}
	if s.caps.Has(wire.CapSessionTrack) {
		ok.State = s.metadata(s.listener.config.Load().login.metadata)
	}
	return s.send(ok.Append(nil, s.caps, false))
}

func (s *Session) metadata(list []metadata) (state wire.SessionState) {
	add := func(name, value string) {
		state = state.AppendChange(wire.Change{Type: wire.StateSystemVariable, Name: []byte(name), Value: []byte(value)})
	}
	servers := s.service.Servers()
	for _, m := range list {
		if m.auto {
			value, known := globalVariable(servers, m.name)
			if !known {
				continue
			}
			m.value = value
		}
		add(m.name, m.value)
	}
	add("threads_connected", strconv.FormatInt(s.service.Sessions(), 10))
	add("connection_id", strconv.FormatUint(uint64(s.id), 10))
	return state
}
