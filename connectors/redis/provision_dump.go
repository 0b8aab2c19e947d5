package redis

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/internal/frames"
)

const (
	dumpFormat = "backplane-redis-1"
	recordKind = 'r'
	// batch is how many bytes of values are on their way at a time.
	batch = 1 << 20
)

// Dump writes every key without the prefix, with its time to live and what the
// server's DUMP says of its value. Keys that change meanwhile are written as
// they were at some moment: Redis has no snapshot of a part of its keys.
func (s *server) Dump(ctx context.Context, database string, w io.Writer) error {
	registered, err := s.registered(ctx, database)
	if err != nil {
		return s.failure(err)
	}
	if !registered {
		return missing(database)
	}
	err = frames.WriteUntil(ctx, w, func(w io.Writer) error {
		out, err := frames.NewWriter(w, dumpFormat)
		if err != nil {
			return err
		}
		if err := s.dumpKeys(ctx, database, out); err != nil {
			return err
		}
		return out.Close()
	})
	return s.streamFailure(err)
}

func (s *server) dumpKeys(ctx context.Context, database string, out *frames.Writer) error {
	var buf bytes.Buffer
	return s.scan(ctx, database, func(keys []string) (bool, error) {
		sizes, err := s.sizes(ctx, keys)
		if err != nil {
			return false, err
		}
		for len(keys) > 0 {
			n, sum := 1, sizes[0]
			for n < len(keys) && sum+sizes[n] <= batch {
				sum += sizes[n]
				n++
			}
			if err := s.dumpBatch(ctx, database, keys[:n], &buf, out); err != nil {
				return false, err
			}
			keys, sizes = keys[n:], sizes[n:]
		}
		return true, nil
	})
}

func (s *server) dumpBatch(ctx context.Context, database string, keys []string, buf *bytes.Buffer, out *frames.Writer) error {
	var refused error
	err := s.client.use(ctx, func(w *wire) error {
		for _, k := range keys {
			w.send("PTTL", k)
			w.send("DUMP", k)
		}
		if err := w.w.Flush(); err != nil {
			return err
		}
		for _, k := range keys {
			ttl, err := w.value(0)
			if err != nil {
				return err
			}
			kind, line, err := w.head()
			if err != nil {
				return err
			}
			if kind != '$' {
				refused = &replyError{line}
				continue
			}
			buf.Reset()
			null, err := w.bulk(line, buf)
			if err != nil {
				return err
			}
			if null || refused != nil {
				continue // gone meanwhile
			}
			if err := out.Frame(recordKind, record{strings.TrimPrefix(k, prefix(database)), max(ttl.int(), 0)}.head(), buf.Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, refused)
}

// record is what a frame says of a key, before its value.
type record struct {
	key string
	ttl int64 // milliseconds; 0 for ever
}

func (r record) head() []byte {
	out := binary.AppendUvarint(nil, uint64(r.ttl))
	out = binary.AppendUvarint(out, uint64(len(r.key)))
	return append(out, r.key...)
}

// parseRecord takes a frame apart.
func parseRecord(payload []byte) (r record, content []byte, err error) {
	damaged := fmt.Errorf("%w: a record of a key in it is wrong", frames.ErrDamaged)
	ttl, n := binary.Uvarint(payload)
	if n <= 0 || int64(ttl) < 0 {
		return r, nil, damaged
	}
	payload = payload[n:]
	size, n := binary.Uvarint(payload)
	if n <= 0 || size > uint64(len(payload)-n) {
		return r, nil, damaged
	}
	payload = payload[n:]
	return record{string(payload[:size]), int64(ttl)}, payload[size:], nil
}

// Load removes what an earlier try left and restores every key of the dump
// below the database's prefix.
func (s *server) Load(ctx context.Context, database string, r io.Reader) error {
	registered, err := s.registered(ctx, database)
	if err != nil {
		return s.failure(err)
	}
	if !registered {
		return missing(database)
	}
	err = frames.ReadUntil(ctx, r, func(r io.Reader) error {
		in, err := frames.NewReader(r, dumpFormat)
		if err != nil {
			return err
		}
		if err := s.empty(ctx, database); err != nil {
			return err
		}
		for {
			more, err := s.loadBatch(ctx, database, in)
			if err != nil || !more {
				return err
			}
		}
	})
	return s.streamFailure(err)
}

// loadBatch restores keys until it has sent some, and tells whether there may
// be more.
func (s *server) loadBatch(ctx context.Context, database string, in *frames.Reader) (more bool, err error) {
	const most = 512 // answers that the server can say before they are read
	var refused error
	err = s.client.use(ctx, func(w *wire) error {
		sent, size := 0, 0
		more = true
		for more && sent < most && size < batch {
			kind, payload, err := in.Next()
			if errors.Is(err, io.EOF) {
				more = false
				break
			}
			if err != nil {
				return err
			}
			if kind != recordKind {
				return fmt.Errorf("%w: there is a frame of the kind %d in it", frames.ErrDamaged, kind)
			}
			r, content, err := parseRecord(payload)
			if err != nil {
				return err
			}
			w.begin(5)
			for _, arg := range []string{"RESTORE", prefix(database) + r.key, strconv.FormatInt(r.ttl, 10)} {
				w.bytes([]byte(arg))
			}
			w.bytes(content)
			w.bytes([]byte("REPLACE"))
			sent, size = sent+1, size+len(content)
		}
		if err := w.w.Flush(); err != nil {
			return err
		}
		for range sent {
			v, err := w.value(0)
			if err != nil {
				return err
			}
			if v.err() != nil && refused == nil {
				refused = v.err()
			}
		}
		return nil
	})
	return more, errors.Join(err, refused)
}

// streamFailure explains what ended a dump or load. What the caller's reader or
// writer said is passed on.
func (s *server) streamFailure(err error) error {
	var (
		refused *replyError
		stream  *frames.StreamError
	)
	switch {
	case errors.As(err, &stream):
		return err
	case errors.Is(err, frames.ErrDamaged):
		return &connectors.Failure{Code: connectors.Internal, Phrase: "The dump cannot be read", Detail: err.Error(), Err: err}
	case errors.As(err, &refused) && (strings.Contains(refused.text, "DUMP payload") || strings.Contains(refused.text, "Bad data format")):
		return &connectors.Failure{
			Code: connectors.Internal, Phrase: "The server cannot read the dump", Detail: refused.text,
			Hint: "It was made on a later version, perhaps.", Err: refused,
		}
	}
	return s.failure(err)
}
