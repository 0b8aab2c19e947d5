package conformance

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// numbered is a word with a number.
func numbered(stem string, n int) string { return fmt.Sprintf("%s%d", stem, n) }

// noise is text of a length that does not shrink much when it is packed; the
// same for the same seed.
func noise(seed int64, length int) string {
	source := rand.New(rand.NewPCG(uint64(seed), 1)) //nolint:gosec // test data
	raw := make([]byte, length*3/4+3)
	for i := range raw {
		raw[i] = byte(source.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw)[:length]
}

func containsAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

func isExists(err error) bool { return errors.Is(err, connectors.ErrExists) }

func compareLogins(a, b connectors.LoginName) int {
	if n := strings.Compare(a.Database, b.Database); n != 0 {
		return n
	}
	return strings.Compare(a.User, b.User)
}

// dumpCases tell that content can be taken out and put in again.
func dumpCases() []provisionerCase {
	return []provisionerCase{
		{"what is dumped can be loaded elsewhere", dumpAndLoad},
		{"an empty database can be dumped and loaded", dumpEmpty},
		{"a load that broke off can be made again", loadAgain},
		{"a dump that is damaged is refused", loadDamaged},
		{"a dump of what is not there fails", dumpNowhere},
		{"a dump ends when its reader is gone", dumpToNobody},
		{"a large dump is streamed", dumpLarge},
	}
}

// content is what fill writes: values that are hard to carry.
func content() map[string]string {
	return map[string]string{
		"plain": "green tea", "empty-ish": " ", "quotes": `it's "quoted" \ and 'more'`, "lines": "one\ntwo\r\nthree\ttab",
		"words": "тест 密碼 🔑", "copy": `\.`, "null": `\N`, "percent": "%s %d $1 ?", "long": noise(7, 100_000),
	}
}

func fill(x *trial, s Session) {
	x.Helper()
	for _, place := range []string{"goods", "more"} {
		x.good("make", s.Make(x.ctx, place))
		for key, value := range content() {
			x.good("write", s.Put(x.ctx, place, key, value))
		}
	}
}

func sameContent(x *trial, s Session) {
	x.Helper()
	for _, place := range []string{"goods", "more"} {
		for key, value := range content() {
			x.holds(s, place, key, value)
		}
		if n, err := s.Count(x.ctx, place); err != nil || n != len(content()) {
			x.Errorf("%s has %d values (%v), want %d", place, n, err, len(content()))
		}
	}
}

func (x *trial) dump(db string) []byte {
	x.Helper()
	var out bytes.Buffer
	x.good("dump", x.server.Dump(x.ctx, db, &out))
	if out.Len() == 0 {
		x.Fatal("the dump is empty")
	}
	return out.Bytes()
}

func dumpAndLoad(x *trial) {
	from := x.database()
	source := x.login(from, connectors.Owner)
	s := x.enter(source)
	fill(x, s)
	dump := x.dump(from)
	if bytes.Contains(dump, []byte(source.Password)) {
		x.Error("the dump holds a password")
	}

	to := x.database()
	before := []connectors.Login{x.login(to, connectors.Owner), x.login(to, connectors.ReadWrite), x.login(to, connectors.ReadOnly)}
	x.good("load", x.server.Load(x.ctx, to, bytes.NewReader(dump)))
	after := []connectors.Login{x.login(to, connectors.Owner), x.login(to, connectors.ReadWrite), x.login(to, connectors.ReadOnly)}
	for _, list := range [][]connectors.Login{before, after} {
		owner, writer, reader := x.enter(list[0]), x.enter(list[1]), x.enter(list[2])
		for _, l := range []Session{owner, writer, reader} {
			sameContent(x, l)
		}
		x.refused("writing", reader.Put(x.ctx, "goods", "plain", "x"))
		x.good("write", writer.Put(x.ctx, "goods", "plain", "green tea"))
		x.good("alter", owner.Alter(x.ctx, "goods"))
	}
	x.shut("the login of the database that was dumped", connectors.Login{Database: to, User: source.User, Password: source.Password})
	x.good("drop", x.enter(before[0]).Drop(x.ctx, "goods"))
	sameContent(x, s)
}

func dumpEmpty(x *trial) {
	dump := x.dump(x.database())
	to := x.database()
	x.good("load", x.server.Load(x.ctx, to, bytes.NewReader(dump)))
	x.keep(x.enter(x.login(to, connectors.Owner)), "goods", "tea", "green")
}

func loadAgain(x *trial) {
	from := x.database()
	fill(x, x.enter(x.login(from, connectors.Owner)))
	dump := x.dump(from)
	to := x.database()
	broken := io.MultiReader(bytes.NewReader(dump[:len(dump)/2]), failing{errBroken})
	if err := x.server.Load(x.ctx, to, broken); err == nil {
		x.Error("half a dump was loaded without a word")
	}
	for range 2 {
		x.good("load", x.server.Load(x.ctx, to, bytes.NewReader(dump)))
		sameContent(x, x.enter(x.login(to, connectors.Owner)))
	}
}

var errBroken = errors.New("the source broke off")

// failing reads and writes nothing but an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func loadDamaged(x *trial) {
	to := x.database()
	for _, damaged := range []string{"", "this is no dump", strings.Repeat("\x00\xff", 5000)} {
		if err := x.server.Load(x.ctx, to, strings.NewReader(damaged)); err == nil {
			x.Errorf("%.20q was loaded", damaged)
		} else if connectors.MayPass(err) {
			x.Errorf("%.20q looks as if it could be loaded later: %v", damaged, err)
		}
	}
	x.keep(x.enter(x.login(to, connectors.Owner)), "goods", "tea", "green")
}

func dumpNowhere(x *trial) {
	var out bytes.Buffer
	if err := x.server.Dump(x.ctx, "nowhere", &out); err == nil {
		x.Error("a database that is not there was dumped")
	}
	if err := x.server.Load(x.ctx, "nowhere", strings.NewReader("x")); err == nil {
		x.Error("a database that is not there was loaded")
	}
}

func dumpToNobody(x *trial) {
	db := x.database()
	fill(x, x.enter(x.login(db, connectors.Owner)))
	err := x.server.Dump(x.ctx, db, failing{errBroken})
	if err == nil {
		x.Error("the dump went nowhere without a word")
	} else if !errors.Is(err, errBroken) {
		x.Errorf("the error does not tell why: %v", err)
	}
	x.dump(db)
}

func dumpLarge(x *trial) {
	const pieces, piece = 50, 1 << 20
	// What may be held in memory at any time beyond what was there before.
	const most = 24 << 20
	from := x.database()
	s := x.enter(x.login(from, connectors.Owner))
	x.good("make", s.Make(x.ctx, "goods"))
	for i := range pieces {
		x.good("write", s.Put(x.ctx, "goods", numbered("key", i), noise(int64(i), piece)))
	}
	to := x.database()
	owner := x.login(to, connectors.Owner)

	r, w := io.Pipe()
	dumped := make(chan error, 1)
	gauge := &gauge{r: r, start: heap()}
	go func() {
		err := x.server.Dump(x.ctx, from, w)
		w.CloseWithError(err)
		dumped <- err
	}()
	err := x.open().Load(x.ctx, to, gauge)
	r.CloseWithError(errBroken)
	x.good("dump", <-dumped)
	x.good("load", err)
	if gauge.read < pieces*piece/2 {
		x.Errorf("the dump has %d bytes only", gauge.read)
	}
	if gauge.peak > most {
		x.Errorf("%d MB were held in memory for a dump of %d MB", gauge.peak>>20, gauge.read>>20)
	}
	loaded := x.enter(owner)
	for _, i := range []int{0, pieces / 2, pieces - 1} {
		x.holds(loaded, "goods", numbered("key", i), noise(int64(i), piece))
	}
	if n, err := loaded.Count(x.ctx, "goods"); err != nil || n != pieces {
		x.Errorf("%d values, %v", n, err)
	}
}

// gauge hands a stream on in small pieces and watches the memory meanwhile.
type gauge struct {
	r           io.Reader
	start, peak int64
	read, next  int64
}

func (g *gauge) Read(p []byte) (int, error) {
	n, err := g.r.Read(p[:min(len(p), 16<<10)])
	g.read += int64(n)
	if g.read >= g.next {
		g.next = g.read + 4<<20
		g.peak = max(g.peak, heap()-g.start)
	}
	return n, err
}

// heap is what is in use. How much garbage lies about besides depends on when
// the collector last ran, so it runs first.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
