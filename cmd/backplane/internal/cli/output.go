package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// absent stands for what is not set in a table.
const absent = "-"

// printer shows results.
type printer struct {
	out, notes io.Writer
	json       bool
}

// column is one column of a table.
type column[M proto.Message] struct {
	title string
	value func(M) string
}

// list shows messages as a table or a JSON array.
func list[M proto.Message](p printer, all []M, columns []column[M]) error {
	if p.json {
		return p.writeJSON(arrayJSON(all))
	}
	return table(p.out, all, columns)
}

// show shows one message as a table of one row or a JSON object.
func show[M proto.Message](p printer, one M, columns []column[M]) error {
	if p.json {
		return p.writeJSON(messageJSON(one.ProtoReflect()))
	}
	return table(p.out, []M{one}, columns)
}

func table[M proto.Message](out io.Writer, all []M, columns []column[M]) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = c.title
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
	for _, m := range all {
		for i, c := range columns {
			cells[i] = cell(c.value(m))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// done tells a person what happened; programs have the exit status.
func (p printer) done(format string, args ...any) {
	if !p.json {
		fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
	}
}

// note tells a person something beside the result.
func (p printer) note(format string, args ...any) {
	fmt.Fprintln(p.notes, printable(fmt.Sprintf(format, args...)))
}

func cell(text string) string {
	if text == "" {
		return absent
	}
	return printable(text)
}

// printable replaces what would steer the terminal: some texts come from
// strangers, such as the names in the audit trail.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func instantText(t *timestamppb.Timestamp) string {
	if t == nil {
		return absent
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}
