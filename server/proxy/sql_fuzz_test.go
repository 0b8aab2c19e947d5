package proxy

import (
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// FuzzSQLAnswer reads answers of any form: what is kept of them can be shown,
// and is not more than its bounds. Each packet comes after its length.
func FuzzSQLAnswer(f *testing.F) {
	column := (&wire.Column{Name: []byte("n"), Type: wire.TypeNewDecimal, Charset: wire.CharsetLatin1}).Append(nil, 0)
	end := (&wire.OK{}).Append(nil, 0, true)
	var answer []byte
	for _, p := range [][]byte{wire.ColumnCount{Columns: 1}.Append(nil, 0), column, {4, '1', '.', '5', '0'}, {0xfb}, end} {
		answer = append(append(answer, byte(len(p))), p...)
	}
	f.Add(answer, uint64(1))
	f.Add([]byte{7, 0, 1, 2, 0, 0, 0, 0}, uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, rows uint64) {
		const caps = wire.CapProtocol41 | wire.CapDeprecateEOF | wire.CapMultiResults
		out := &sqlResults{maxRows: rows}
		var reply wire.Reply
		reply.Start(wire.ComQuery, caps)
		for len(data) > 0 && !reply.Done() {
			n := min(int(data[0]), len(data)-1)
			packet := data[1 : 1+n]
			data = data[1+n:]
			kind, err := reply.Feed(packet, len(packet))
			if err != nil || out.take(kind, packet, caps, &reply) != nil {
				break
			}
		}
		for _, one := range out.all {
			if text, err := protojson.Marshal(one); err != nil || !utf8.Valid(text) {
				t.Fatalf("a result cannot be shown: %v", err)
			}
			if n := len(one.GetData().GetValues()); rows > 0 && uint64(n) > rows {
				t.Fatalf("%d rows, more than %d", n, rows)
			}
		}
	})
}
