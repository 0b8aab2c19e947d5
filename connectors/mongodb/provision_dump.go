package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/internal/frames"
)

const (
	dumpFormat     = "backplane-mongodb-1"
	collectionKind = 'c'
	documentKind   = 'd'
	// batch is how many bytes of documents are on their way at a time.
	batch = 1 << 20
)

// collection is what a frame says of a collection or view, before its
// documents.
type collection struct {
	Name    string     `bson:"name"`
	Type    string     `bson:"type"` // collection, view or timeseries
	Options bson.Raw   `bson:"options,omitempty"`
	Indexes []bson.Raw `bson:"indexes,omitempty"`
}

// Dump writes collections with their options, indexes and documents, and views
// after them. Documents that change meanwhile are written as they were at some
// moment.
func (s *server) Dump(ctx context.Context, database string, w io.Writer) error {
	has, err := s.has(ctx, database)
	if err != nil {
		return s.failure(err)
	}
	if !has {
		return missing(database)
	}
	err = frames.WriteUntil(ctx, w, func(w io.Writer) error {
		out, err := frames.NewWriter(w, dumpFormat)
		if err != nil {
			return err
		}
		list, err := s.collections(ctx, database)
		if err != nil {
			return err
		}
		for _, c := range list {
			if err := s.dumpCollection(ctx, database, c, out); err != nil {
				return err
			}
		}
		return out.Close()
	})
	return s.streamFailure(err)
}

// collections are those of a database by name, views last, without the
// server's own.
func (s *server) collections(ctx context.Context, database string) ([]collection, error) {
	cursor, err := s.client.Database(database).ListCollections(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	var all []collection
	if err := cursor.All(ctx, &all); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c collection) bool { return strings.HasPrefix(c.Name, "system.") })
	slices.SortFunc(all, func(a, b collection) int {
		if (a.Type == "view") != (b.Type == "view") {
			return strings.Compare(a.Type, b.Type)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

func (s *server) dumpCollection(ctx context.Context, database string, c collection, out *frames.Writer) error {
	if c.Type != "view" {
		var err error
		if c.Indexes, err = s.indexes(ctx, database, c.Name); err != nil {
			return err
		}
	}
	head, err := bson.Marshal(c)
	if err != nil {
		return err
	}
	if err := out.Frame(collectionKind, head); err != nil || c.Type == "view" {
		return err
	}
	// The first answer is small, and those that follow are as many documents
	// as fit, going by what came: the server's own batches have 16 MB.
	cursor, err := s.client.Database(database).Collection(c.Name).Find(ctx, bson.D{}, options.Find().SetBatchSize(4))
	if err != nil {
		return err
	}
	defer cursor.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it is read to its end, or something else went wrong
	for n, size := 0, 0; cursor.Next(ctx); {
		if err := out.Frame(documentKind, cursor.Current); err != nil {
			return err
		}
		n, size = n+1, size+len(cursor.Current)
		if cursor.RemainingBatchLength() == 0 {
			cursor.SetBatchSize(int32(min(max(batch*n/size, 1), 1000)))
		}
	}
	return cursor.Err()
}

// indexes are those that do not come with the collection.
func (s *server) indexes(ctx context.Context, database, name string) ([]bson.Raw, error) {
	cursor, err := s.client.Database(database).Collection(name).Indexes().List(ctx)
	if err != nil {
		return nil, err
	}
	var all []bson.Raw
	if err := cursor.All(ctx, &all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(i bson.Raw) bool {
		clustered, _ := i.Lookup("clustered").BooleanOK()
		name, _ := i.Lookup("name").StringValueOK()
		return clustered || name == "_id_"
	}), nil
}

// parseCollection takes a frame apart.
func parseCollection(payload []byte) (collection, error) {
	damaged := func(why string) error {
		return fmt.Errorf("%w: a collection in it %s", frames.ErrDamaged, why)
	}
	var c collection
	if !sound(payload, 0) {
		return c, damaged("is not BSON")
	}
	if err := bson.Unmarshal(payload, &c); err != nil {
		return c, damaged("has parts of the wrong kind")
	}
	if c.Name == "" || strings.HasPrefix(c.Name, "system.") || strings.ContainsAny(c.Name, "$\x00") {
		return c, damaged("has a name that is not allowed")
	}
	for _, i := range c.Indexes {
		if name, ok := i.Lookup("name").StringValueOK(); !ok || name == "" {
			return c, damaged("has an index without a name")
		}
	}
	return c, nil
}

// sound reports whether a document is whole to its depths: the driver's Validate
// does not look into the documents inside.
func sound(document bson.Raw, depth int) bool {
	const deepest = 200 // MongoDB takes 180 levels
	elements, err := document.Elements()
	if err != nil || depth > deepest || document.Validate() != nil {
		return false
	}
	for _, e := range elements {
		v := e.Value()
		if inner, ok := v.DocumentOK(); ok && !sound(inner, depth+1) {
			return false
		}
		if inner, ok := v.ArrayOK(); ok && !sound(bson.Raw(inner), depth+1) {
			return false
		}
	}
	return true
}

// streamFailure explains what ended a dump or load. What the caller's reader or
// writer said is passed on.
func (s *server) streamFailure(err error) error {
	var stream *frames.StreamError
	switch {
	case errors.As(err, &stream):
		return err
	case errors.Is(err, frames.ErrDamaged):
		return &connectors.Failure{Code: connectors.Internal, Phrase: "The dump cannot be read", Detail: err.Error(), Err: err}
	}
	return s.failure(err)
}
