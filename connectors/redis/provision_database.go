package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/connectors"
)

// page is how many keys the server looks at in one step, which it does while
// all others wait.
const page = "1000"

// HasDatabase reports whether the name is in the registry, or somebody keeps
// keys of that prefix: they would be in the hands of whoever got the database.
func (s *server) HasDatabase(ctx context.Context, name string) (bool, error) {
	registered, err := s.registered(ctx, name)
	if registered || err != nil {
		return registered, s.failure(err)
	}
	used, err := s.anyKey(ctx, name)
	return used, s.failure(err)
}

func (s *server) registered(ctx context.Context, name string) (bool, error) {
	v, err := s.client.do(ctx, "HEXISTS", registry, name)
	return v.int() == 1, err
}

func (s *server) anyKey(ctx context.Context, name string) (bool, error) {
	used := false
	err := s.scan(ctx, name, func([]string) (bool, error) {
		used = true
		return false, nil
	})
	return used, err
}

// scan goes through the keys of a database, and so through all of the server,
// while each is true.
func (s *server) scan(ctx context.Context, name string, each func(keys []string) (bool, error)) error {
	for cursor := "0"; ; {
		v, err := s.client.do(ctx, "SCAN", cursor, "MATCH", pattern(name), "COUNT", page)
		if err != nil {
			return err
		}
		if len(v.list) != 2 {
			return errProtocol
		}
		if keys := v.list[1].texts(); len(keys) > 0 {
			if more, err := each(keys); err != nil || !more {
				return err
			}
		}
		if cursor = v.list[0].text; cursor == "0" {
			return nil
		}
	}
}

// CreateDatabase enters the name in the registry. Keys of that prefix which are
// there already are somebody's.
func (s *server) CreateDatabase(ctx context.Context, name string) error {
	if err := checkDatabase(name); err != nil {
		return err
	}
	registered, err := s.registered(ctx, name)
	if registered || err != nil {
		return s.failure(err)
	}
	used, err := s.anyKey(ctx, name)
	if err != nil {
		return s.failure(err)
	}
	if used {
		return &connectors.Failure{
			Code: connectors.Internal, Phrase: fmt.Sprintf("Database %q exists already", name),
			Detail: "there are keys that begin with " + strconv.Quote(prefix(name)), Err: connectors.ErrExists,
		}
	}
	_, err = s.client.do(ctx, "HSETNX", registry, name, time.Now().UTC().Format(time.RFC3339))
	return s.failure(err)
}

// DropDatabase switches the database's users off, so that nothing is written
// while its keys go, and takes the name out of the registry last.
func (s *server) DropDatabase(ctx context.Context, name string) error {
	if err := checkDatabase(name); err != nil {
		return err
	}
	registered, err := s.registered(ctx, name)
	if err != nil || !registered {
		return s.failure(err) // keys of a name that nobody registered are not ours to remove
	}
	if err := s.switchOff(ctx, name); err != nil {
		return s.failure(err)
	}
	if err := s.empty(ctx, name); err != nil {
		return s.failure(err)
	}
	_, err = s.client.do(ctx, "HDEL", registry, name)
	return s.failure(err)
}

func (s *server) switchOff(ctx context.Context, name string) error {
	v, err := s.client.do(ctx, "ACL", "LIST")
	if err != nil {
		return err
	}
	var commands [][]string
	for _, line := range v.texts() {
		words := strings.Split(line, " ") // user NAME RULE…
		if len(words) > 2 && slices.Contains(words[2:], "~"+pattern(name)) && s.checkOthers(words[1]) == nil {
			commands = append(commands, []string{"ACL", "SETUSER", words[1], "off"}, []string{"CLIENT", "KILL", "USER", words[1]})
		}
	}
	if len(commands) == 0 {
		return nil
	}
	answers, err := s.client.all(ctx, commands...)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if err := a.err(); err != nil && !strings.Contains(a.text, "No such user") {
			return err
		}
	}
	return s.persist(ctx)
}

// empty removes all keys of a database.
func (s *server) empty(ctx context.Context, name string) error {
	return s.scan(ctx, name, func(keys []string) (bool, error) {
		_, err := s.client.do(ctx, append([]string{"UNLINK"}, keys...)...)
		return err == nil, err
	})
}

// Size adds up what the server says of each key. Of a value with many elements
// it looks at five, so that large ones do not hold it up.
func (s *server) Size(ctx context.Context, name string) (int64, bool, error) {
	exists, err := s.registered(ctx, name)
	if err != nil {
		return 0, false, s.failure(err)
	}
	var total int64
	err = s.scan(ctx, name, func(keys []string) (bool, error) {
		exists = true
		sizes, err := s.sizes(ctx, keys)
		for _, n := range sizes {
			total += n
		}
		return err == nil, err
	})
	return total, exists, s.failure(err)
}

func (s *server) sizes(ctx context.Context, keys []string) ([]int64, error) {
	commands := make([][]string, len(keys))
	for i, k := range keys {
		commands[i] = []string{"MEMORY", "USAGE", k}
	}
	answers, err := s.client.all(ctx, commands...)
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(keys))
	for i, a := range answers {
		if err := a.err(); err != nil {
			return nil, err
		}
		out[i] = a.int() // 0 for a key that is gone meanwhile
	}
	return out, nil
}
