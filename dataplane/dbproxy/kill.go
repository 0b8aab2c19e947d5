package dbproxy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// kill answers KILL itself: its numbers are those of the proxy's sessions. It
// is done on the servers, with the rights that the user has there.
func (s *Session) kill(r *Request) (handled bool, err error) {
	if !mayBeKill(r.Head) {
		return false, nil
	}
	class := r.Class()
	if class.Op != sqlclass.OpKill || class.Has(sqlclass.FlagMulti) {
		return false, nil
	}
	text := r.Packet[1:]
	switch class.Kill {
	case sqlclass.KillConnection, sqlclass.KillQuery:
		return true, s.killSessions(r, class.Kill == sqlclass.KillQuery, s.proxy.sessionsWhere(func(other *Session) bool { return uint64(other.id) == class.KillID }),
			strconv.FormatUint(class.KillID, 10))
	case sqlclass.KillUser, sqlclass.KillQueryUser:
		user := string(class.Name.Value(text, s.mode))
		return true, s.killSessions(r, class.Kill == sqlclass.KillQueryUser, s.proxy.sessionsWhere(func(other *Session) bool { return other.User() == user }), user)
	case sqlclass.KillQueryID:
		return true, Refuse(r, &s.toClient, &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "KILL QUERY ID is not supported by the proxy"})
	}
	return false, nil
}

// mayBeKill tells cheaply of most statements that they are no KILL.
func mayBeKill(head []byte) bool {
	for _, c := range head[1:] {
		switch c {
		case ' ', '\t', '\n', '\r', '\f', '\v', ';':
			continue
		case 'k', 'K', '/', '-', '#':
			return true
		}
		return false
	}
	return true
}

func (s *Session) processKill(r *Request) error {
	if len(r.Packet) != 5 {
		return Refuse(r, &s.toClient, &wire.ServerError{Code: wire.ErrCodeUnknownCommand, State: wire.StateCommunication, Message: "Malformed packet"})
	}
	id := binary.LittleEndian.Uint32(r.Packet[1:])
	return s.killSessions(r, false, s.proxy.sessionsWhere(func(other *Session) bool { return other.id == id }), strconv.FormatUint(uint64(id), 10))
}

func (s *Session) killSessions(r *Request, queryOnly bool, victims []*Session, what string) error {
	if len(victims) == 0 {
		return Refuse(r, &s.toClient, &wire.ServerError{Code: wire.ErrCodeNoSuchThread, State: wire.StateGeneral, Message: "Unknown thread id: " + what})
	}
	for _, victim := range victims {
		if err := s.killSession(queryOnly, victim); err != nil {
			if victim == s {
				return err
			}
			return Refuse(r, &s.toClient, refusal(err))
		}
	}
	return Acknowledge(r, &s.toClient)
}

// killSession kills a session's connections on their servers.
func (s *Session) killSession(queryOnly bool, victim *Session) error {
	if victim == s {
		return &wire.ServerError{Code: wire.ErrCodeConnectionKilled, State: wire.StateInterrupted, Message: "Connection was killed"}
	}
	verb := "KILL CONNECTION "
	if queryOnly {
		verb = "KILL QUERY "
	}
	reached := 0
	for _, target := range victim.connections() {
		b, giveBack, err := s.lend(target.server)
		if err != nil {
			return err
		}
		if !slices.Contains(victim.connections(), target) {
			giveBack() // the victim has given it up, maybe to make room
			continue
		}
		err = b.Command(wire.ComQuery, fmt.Appendf(nil, "%s%d", verb, target.id)...)
		giveBack()
		if err != nil {
			return err
		}
		reached++
	}
	switch {
	case queryOnly:
	case reached > 0 || victim.User() == s.User():
		victim.Kill()
	default:
		return &wire.ServerError{Code: 1095, State: wire.StateGeneral, Message: fmt.Sprintf("You are not owner of thread %d", victim.id)}
	}
	return nil
}
