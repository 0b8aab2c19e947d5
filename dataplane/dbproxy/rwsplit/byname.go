package rwsplit

import (
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
)

// named is a statement that was prepared as text.
type named struct {
	class sqlclass.Class
	text  []byte
	// master: only the master has it, because the text was in a variable.
	master bool
}

// byName routes PREPARE, EXECUTE and DEALLOCATE PREPARE. What is executed goes
// where it would go by itself.
func (h *session) byName(k *call) error {
	name := strings.ToLower(string(k.class.Name.Value(k.text, h.client.Mode())))
	if name == "" {
		return h.write(k)
	}
	st, known := h.named[name]
	switch k.class.Op {
	case sqlclass.OpExecute:
		if !known || st.master || len(st.text) == 0 {
			return h.write(k)
		}
		k.name = name
		// The variables that it is executed with count as well.
		class := st.class
		class.Type |= k.class.Type & (sqlclass.TypeUserVarRead | sqlclass.TypeUserVarWrite)
		k.class, k.text = &class, st.text
		return h.route(k)
	case sqlclass.OpDeallocate:
		if known && st.master {
			return h.write(k)
		}
	}
	k.name = name
	return h.route(k)
}

// prepareNamed remembers what a name stands for.
func (h *session) prepareNamed(k *call, p place) {
	mode := h.client.Mode()
	st := named{master: p != atAll}
	if !k.class.Text.Empty() {
		st.text = append([]byte(nil), k.class.Text.Value(k.text, mode)...)
		st.class = sqlclass.Classify(st.text, mode)
	}
	if h.named == nil {
		h.named = map[string]named{}
	}
	h.named[k.name] = st
}
