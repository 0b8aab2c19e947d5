package proxy

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

const (
	// maxResultBytes bounds the results of a query: clients of gRPC take 4 MiB
	// unless told otherwise.
	maxResultBytes = 3 << 20
	// valueBytes is what each value counts beside its text.
	valueBytes = 16
	// maxResults bounds how many results a query has.
	maxResults = 1000
)

// sqlResults are what comes of a query, as far as it is kept.
type sqlResults struct {
	maxRows uint64 // of each result set; 0 for no bound
	all     []*proxyv1.QueryResult
	bytes   int

	// Of the result set that is being read; nil outside of one.
	set     *proxyv1.QueryResult
	defined bool // whether its rows have begun
	columns []sqlColumn
	rows    uint64
}

// sqlColumn is what is needed to know of a column to read its values.
type sqlColumn struct{ exact, float bool }

// take takes the next packet of an answer.
func (r *sqlResults) take(kind wire.Kind, packet []byte, caps wire.Capability, reply *wire.Reply) error {
	switch kind {
	case wire.KindColumnCount:
		empty := func() *structpb.ListValue { return &structpb.ListValue{} }
		r.set = &proxyv1.QueryResult{Fields: empty(), Data: empty(), Metadata: empty(), Complete: proto.Bool(true)}
		r.defined, r.columns, r.rows = caps.Has(wire.CapDeprecateEOF), r.columns[:0], 0
		r.add(r.set)
	case wire.KindColumn:
		return r.column(packet, caps)
	case wire.KindRow:
		return r.row(packet)
	case wire.KindOK, wire.KindEOF:
		switch {
		case r.set == nil:
			r.add(&proxyv1.QueryResult{
				AffectedRows: proto.Uint64(reply.AffectedRows()), LastInsertId: proto.Uint64(reply.LastInsertID()),
				Warnings: proto.Uint32(uint32(reply.Warnings())),
			})
		case r.defined:
			r.set = nil
		default:
			r.defined = true
		}
	case wire.KindError:
		r.failed(reply.Err())
	case wire.KindNone, wire.KindProgress, wire.KindParam, wire.KindPrepared, wire.KindLocalFile, wire.KindAuthSwitch, wire.KindAuthMore, wire.KindText, wire.KindEvent:
	}
	return nil
}

func (r *sqlResults) add(one *proxyv1.QueryResult) {
	if len(r.all) < maxResults {
		r.all = append(r.all, one)
	}
}

// failed adds an error. Of the rows before it none counts.
func (r *sqlResults) failed(err error) {
	if r.set != nil && len(r.all) > 0 && r.all[len(r.all)-1] == r.set {
		r.all = r.all[:len(r.all)-1]
	}
	r.set = nil
	r.add(sqlError(err))
}

// sqlError is an error as a result.
func sqlError(err error) *proxyv1.QueryResult {
	server, ok := err.(*wire.ServerError)
	if !ok {
		server = &wire.ServerError{Code: errServerLost, Message: "Lost connection to server during query"}
	}
	if server.State == "" {
		server.State = wire.StateGeneral
	}
	return &proxyv1.QueryResult{
		Errno: proto.Uint32(uint32(server.Code)), Message: proto.String(strings.ToValidUTF8(server.Message, "?")), Sqlstate: proto.String(server.State),
	}
}

// errServerLost is the number that clients know the loss of a connection by
// (MySQL reference manual, "Client Error Message Reference").
const errServerLost = 2013

// cut leaves a row away.
func (r *sqlResults) cut() {
	if r.set != nil {
		r.set.Complete = proto.Bool(false)
	}
}

func (r *sqlResults) column(packet []byte, caps wire.Capability) error {
	c, err := wire.ParseColumn(packet, caps)
	if err != nil || r.set == nil {
		return err
	}
	text := func(b []byte) *structpb.Value { return structpb.NewStringValue(strings.ToValidUTF8(string(b), "?")) }
	r.bytes += len(packet) + valueBytes
	r.columns = append(r.columns, sqlColumn{
		exact: isExact(c.Type), float: c.Type == wire.TypeFloat || c.Type == wire.TypeDouble,
	})
	r.set.Fields.Values = append(r.set.Fields.Values, text(c.Name))
	r.set.Metadata.Values = append(r.set.Metadata.Values, structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"name": text(c.Name), "table": text(c.Table), "schema": text(c.Schema), "type": structpb.NewStringValue(sqlTypeName(c.Type)),
		"length": structpb.NewNumberValue(float64(c.Length)), "decimals": structpb.NewNumberValue(float64(c.Decimals)),
	}}))
	return nil
}

func (r *sqlResults) row(packet []byte) error {
	r.rows++
	cost := len(packet) + valueBytes*(len(r.columns)+1)
	if r.set == nil || !r.set.GetComplete() || r.maxRows > 0 && r.rows > r.maxRows || r.bytes+cost > maxResultBytes {
		r.cut() // and what comes after it: rows have no gaps
		return nil
	}
	r.bytes += cost
	c := wire.NewCursor(packet)
	row := &structpb.ListValue{Values: make([]*structpb.Value, 0, len(r.columns))}
	for _, column := range r.columns {
		value, null := c.Value()
		if null {
			row.Values = append(row.Values, structpb.NewNullValue())
			continue
		}
		row.Values = append(row.Values, column.value(value))
	}
	r.set.Data.Values = append(r.set.Data.Values, structpb.NewListValue(row))
	return c.Err()
}

// value is a value of the column.
func (c sqlColumn) value(text []byte) *structpb.Value {
	if c.exact || c.float {
		n, err := strconv.ParseFloat(string(text), 64)
		if err == nil && !math.IsInf(n, 0) && (c.float || decimal(strconv.FormatFloat(n, 'f', -1, 64)) == decimal(string(text))) {
			return structpb.NewNumberValue(n)
		}
	}
	if !utf8.Valid(text) {
		return structpb.NewStringValue("0x" + hex.EncodeToString(text))
	}
	return structpb.NewStringValue(string(text))
}

// decimal is a number without the zeros that mean nothing.
func decimal(text string) string {
	text, negative := strings.CutPrefix(text, "-")
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text = strings.TrimLeft(text, "0"); negative && text != "" {
		text = "-" + text
	}
	return text
}

// isExact tells the types of numbers that are written exactly.
func isExact(t wire.Type) bool {
	switch t {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLonglong, wire.TypeYear, wire.TypeDecimal, wire.TypeNewDecimal:
		return true
	}
	return false
}

// sqlTypeName is the name of a type (MySQL source code documentation, "enum
// enum_field_types").
func sqlTypeName(t wire.Type) string {
	switch t {
	case wire.TypeDecimal:
		return "DECIMAL"
	case wire.TypeTiny:
		return "TINY"
	case wire.TypeShort:
		return "SHORT"
	case wire.TypeLong:
		return "LONG"
	case wire.TypeFloat:
		return "FLOAT"
	case wire.TypeDouble:
		return "DOUBLE"
	case wire.TypeNull:
		return "NULL"
	case wire.TypeTimestamp:
		return "TIMESTAMP"
	case wire.TypeLonglong:
		return "LONGLONG"
	case wire.TypeInt24:
		return "INT24"
	case wire.TypeDate, wire.TypeNewDate:
		return "DATE"
	case wire.TypeTime:
		return "TIME"
	case wire.TypeDatetime:
		return "DATETIME"
	case wire.TypeYear:
		return "YEAR"
	case wire.TypeVarchar:
		return "VARCHAR"
	case wire.TypeBit:
		return "BIT"
	case wire.TypeJSON:
		return "JSON"
	case wire.TypeNewDecimal:
		return "NEWDECIMAL"
	case wire.TypeEnum:
		return "ENUM"
	case wire.TypeSet:
		return "SET"
	case wire.TypeTinyBlob:
		return "TINY_BLOB"
	case wire.TypeMediumBlob:
		return "MEDIUM_BLOB"
	case wire.TypeLongBlob:
		return "LONG_BLOB"
	case wire.TypeBlob:
		return "BLOB"
	case wire.TypeVarString:
		return "VAR_STRING"
	case wire.TypeString:
		return "STRING"
	case wire.TypeGeometry:
		return "GEOMETRY"
	default:
		return strconv.Itoa(int(t))
	}
}
