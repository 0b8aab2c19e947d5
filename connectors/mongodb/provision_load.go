package mongodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/backplane/backplane/connectors/internal/frames"
)

// Load removes what an earlier try left and makes the collections of the dump.
func (s *server) Load(ctx context.Context, database string, r io.Reader) error {
	has, err := s.has(ctx, database)
	if err != nil {
		return s.failure(err)
	}
	if !has {
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
		l := &loader{s: s, database: database}
		if err := l.load(ctx, in); err != nil {
			return err
		}
		return s.makeDummy(ctx, database)
	})
	return s.streamFailure(err)
}

// empty removes all collections but the one that makes the database be there,
// of which the documents go.
func (s *server) empty(ctx context.Context, database string) error {
	list, err := s.collections(ctx, database)
	if err != nil {
		return err
	}
	for _, c := range list {
		drop := bson.D{{Key: "drop", Value: c.Name}}
		if c.Name == dummy {
			drop = bson.D{{Key: "delete", Value: dummy}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: 0}}}}}
		}
		if err := s.run(ctx, database, drop, nil); err != nil && !hasCode(err, codeNamespaceMissing) {
			return err
		}
	}
	return nil
}

// loader writes documents in batches to the collection that came last.
type loader struct {
	s        *server
	database string
	current  collection
	waiting  []any
	size     int
}

func (l *loader) load(ctx context.Context, in *frames.Reader) error {
	for {
		kind, payload, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return l.finish(ctx)
		case err != nil:
			return err
		case kind == collectionKind:
			if err := l.begin(ctx, payload); err != nil {
				return err
			}
		case kind == documentKind && l.current.Name != "" && l.current.Type != "view":
			if err := l.add(ctx, payload); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: there is a frame of the kind %d in it that does not belong there", frames.ErrDamaged, kind)
		}
	}
}

// begin ends the collection before and makes the next.
func (l *loader) begin(ctx context.Context, payload []byte) error {
	if err := l.finish(ctx); err != nil {
		return err
	}
	c, err := parseCollection(bytes.Clone(payload))
	if err != nil {
		return err
	}
	l.current = c
	create := bson.D{{Key: "create", Value: c.Name}}
	elements, err := c.Options.Elements()
	if err != nil && len(c.Options) > 0 {
		return fmt.Errorf("%w: the options of a collection in it are wrong", frames.ErrDamaged)
	}
	for _, e := range elements {
		create = append(create, bson.E{Key: e.Key(), Value: e.Value()})
	}
	err = l.s.run(ctx, l.database, create, nil)
	if c.Name == dummy && hasCode(err, codeNamespaceExists) {
		return nil
	}
	return err
}

func (l *loader) add(ctx context.Context, document []byte) error {
	if err := bson.Raw(document).Validate(); err != nil {
		return fmt.Errorf("%w: a document in it is not BSON", frames.ErrDamaged)
	}
	l.waiting = append(l.waiting, bson.Raw(bytes.Clone(document)))
	l.size += len(document)
	if l.size < batch && len(l.waiting) < 1000 {
		return nil
	}
	return l.flush(ctx)
}

// flush writes what waits. Documents may be older than the rules that their
// collection has for new ones.
func (l *loader) flush(ctx context.Context) error {
	if len(l.waiting) == 0 {
		return nil
	}
	opts := options.InsertMany().SetOrdered(true)
	if l.current.Options.Lookup("validator").Type != 0 {
		opts.SetBypassDocumentValidation(true)
	}
	_, err := l.s.client.Database(l.database).Collection(l.current.Name).InsertMany(ctx, l.waiting, opts)
	clear(l.waiting)
	l.waiting, l.size = l.waiting[:0], 0
	return err
}

// finish writes what waits and makes the indexes, which is faster when the
// documents are there.
func (l *loader) finish(ctx context.Context) error {
	if err := l.flush(ctx); err != nil {
		return err
	}
	if len(l.current.Indexes) == 0 {
		return nil
	}
	indexes := bson.A{}
	for _, i := range l.current.Indexes {
		indexes = append(indexes, i)
	}
	return l.s.run(ctx, l.database, bson.D{{Key: "createIndexes", Value: l.current.Name}, {Key: "indexes", Value: indexes}}, nil)
}
