package dbproxy

import (
	"sync"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// maxPasswords bounds how many passwords a service remembers.
const maxPasswords = 4096

// passwords remembers those that clients have proved, so that they need not
// send them again, as a MySQL server does. It keeps the password besides its
// hash, because a server that does not remember it will ask for it.
type passwords struct {
	mu    sync.RWMutex
	known map[account.Name]provedPassword
}

type provedPassword struct {
	stored   string // of the account: with another one the password has changed
	cached   wire.SHA2Cached
	password wire.Password
}

// find returns the password of an account that a token proves.
func (p *passwords) find(name account.Name, stored string, scramble, token []byte) (wire.Password, bool) {
	p.mu.RLock()
	e, ok := p.known[name]
	p.mu.RUnlock()
	if !ok || e.stored != stored || len(scramble) != wire.ScrambleSize {
		return "", false
	}
	if _, ok := e.cached.Verify(scramble, token); !ok {
		return "", false
	}
	return e.password, true
}

// add remembers a password, in the place of another one when there are too
// many.
func (p *passwords) add(name account.Name, stored string, password wire.Password) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[account.Name]provedPassword{}
	}
	if _, there := p.known[name]; !there && len(p.known) >= maxPasswords {
		for other := range p.known {
			delete(p.known, other)
			break
		}
	}
	p.known[name] = provedPassword{stored: stored, cached: wire.HashSHA2(string(password)).Cached(), password: password}
}
