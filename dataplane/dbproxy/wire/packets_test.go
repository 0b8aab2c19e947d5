package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLenenc(t *testing.T) {
	for _, c := range []struct {
		v    uint64
		wire string
	}{
		{0, "00"}, {250, "fa"}, {251, "fcfb00"}, {0xffff, "fcffff"}, {0x10000, "fd000001"},
		{0xffffff, "fdffffff"}, {0x1000000, "fe0000000100000000"}, {1<<64 - 1, "feffffffffffffffff"},
	} {
		b := AppendLenenc(nil, c.v)
		if hex.EncodeToString(b) != c.wire {
			t.Errorf("%d: %x, want %s", c.v, b, c.wire)
		}
		if v, n := Lenenc(append(b, 9)); v != c.v || n != len(b) {
			t.Errorf("%s: %d of %d bytes", c.wire, v, n)
		}
		for i := range b {
			if _, n := Lenenc(b[:i]); n != 0 {
				t.Errorf("%s cut to %d bytes is taken", c.wire, i)
			}
		}
	}
	for _, bad := range []string{"fb", "ff"} {
		if _, n := Lenenc(unhex(t, bad+"0000000000000000")); n != 0 {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestCursor(t *testing.T) {
	c := NewCursor(unhex(t, "01 0203 04050607 03616263 fb 0178 6162 00 7a"))
	if c.Uint8() != 1 || c.Uint16() != 0x0302 || c.Uint32() != 0x07060504 || string(c.Bytes()) != "abc" {
		t.Error("numbers or strings")
	}
	if v, null := c.Value(); v != nil || !null {
		t.Error("NULL")
	}
	if v, null := c.Value(); string(v) != "x" || null {
		t.Error("value")
	}
	if string(c.NulString()) != "ab" || string(c.Rest()) != "z" || c.Err() != nil {
		t.Error("end")
	}
	for _, read := range []func(*Cursor){
		func(c *Cursor) { c.Uint16() }, func(c *Cursor) { c.Bytes() }, func(c *Cursor) { c.NulString() },
		func(c *Cursor) { c.Take(-1) }, func(c *Cursor) { c.Uint32() },
	} {
		c := NewCursor([]byte{9})
		if read(&c); c.Err() == nil || c.Len() != 0 || c.Rest() != nil && len(c.Rest()) > 0 {
			t.Error("too short, yet taken")
		}
	}
}

// The examples are those of the MySQL source code documentation, "Protocol::
// HandshakeV10" and "Protocol::HandshakeResponse41".
func TestGreetingExamples(t *testing.T) {
	old, err := ParseGreeting(unhex(t, `0a352e352e322d6d32000b00000064764840492d434a00fff7080200000000
		000000000000000000002a34647c635a776b345e5d3a00`))
	if err != nil || old.Version != "5.5.2-m2" || old.ConnectionID != 11 || string(old.Scramble) != "dvH@I-CJ*4d|cZwk4^]:" || old.Plugin != "" {
		t.Errorf("5.5: %+v, %v", old, err)
	}
	raw := unhex(t, `0a352e362e342d6d372d6c6f6700560a00005242337a7a26477200ffff0802000fc015000000000000000000002b7944262f5a5a33303
		55a47006d7973716c5f6e61746976655f70617373776f726400`)
	g, err := ParseGreeting(raw)
	if err != nil || g.Version != "5.6.4-m7-log" || g.Plugin != PluginNative || len(g.Scramble) != ScrambleSize ||
		g.Capabilities != 0xc00fffff || g.Charset != 8 || g.Status != StatusAutocommit || g.MariaDB() {
		t.Errorf("5.6: %+v, %v", g, err)
	}
	if !bytes.Equal(g.Append(nil), raw) {
		t.Errorf("5.6: made %x", g.Append(nil))
	}
}

func TestHandshakeResponseExample(t *testing.T) {
	raw := unhex(t, `8da60f00000000010800000000000000000000000000000000000000000000007 0616d0014ab09eef6bcb1323e611438
		65c0991d957d75d447 7465737400 6d7973716c5f6e61746976655f70617373776f726400`)
	h, err := ParseHandshakeResponse(raw)
	if err != nil || h.User != "pam" || h.Database != "test" || h.Plugin != PluginNative || len(h.Token) != 20 || h.MaxPacket != 1<<24 {
		t.Fatalf("%+v, %v", h, err)
	}
	if !bytes.Equal(h.Append(nil), raw) {
		t.Errorf("made %x", h.Append(nil))
	}
	if IsSSLRequest(raw) || !IsSSLRequest((&HandshakeResponse{Capabilities: CapSSL | CapProtocol41}).AppendSSLRequest(nil)) {
		t.Error("requests for TLS are not told from logins")
	}
}

func TestRoundTrips(t *testing.T) {
	scramble := NewScramble()
	const all = Relayable
	greetings := []Greeting{
		{Version: "5.5.5-10.11.6-MariaDB", ConnectionID: 1 << 30, Scramble: scramble[:], Capabilities: all &^ CapMySQL, Charset: 45, Status: 2, Plugin: PluginNative},
		{Version: "8.4.0", Scramble: pattern(32), Capabilities: all & capStandard, Plugin: PluginEd25519},
	}
	for _, g := range greetings {
		if got, err := ParseGreeting(g.Append(nil)); err != nil || !reflect.DeepEqual(*got, g) {
			t.Errorf("%+v became %+v, %v", g, got, err)
		}
	}
	if !greetings[0].MariaDB() || greetings[1].MariaDB() {
		t.Error("MariaDB is not recognized")
	}
	attributes := []Attribute{{"_os", "Linux"}, {"note", strings.Repeat("x", 300)}, {"empty", ""}}
	for _, h := range []HandshakeResponse{
		{Capabilities: all &^ CapMySQL, MaxPacket: 7, Charset: 33, User: "u", Token: pattern(300), Database: "d", Plugin: "p", Attributes: attributes},
		{Capabilities: capNeeded | CapMySQL, User: "u", Token: pattern(20)},
		{Capabilities: CapProtocol41 | CapMySQL | CapConnectWithDB, User: "", Token: []byte("abc"), Database: ""},
	} {
		if got, err := ParseHandshakeResponse(h.Append(nil)); err != nil || !reflect.DeepEqual(*got, h) {
			t.Errorf("%+v became %+v, %v", h, got, err)
		}
	}
	u := ChangeUser{User: "u", Token: pattern(20), Database: "d", Charset: 300, Plugin: PluginNative, Attributes: attributes}
	if got, err := ParseChangeUser(u.Append(nil, all), all); err != nil || !reflect.DeepEqual(*got, u) {
		t.Errorf("%+v became %+v, %v", u, got, err)
	}
	if got, err := ParseChangeUser([]byte("\x11u\x00\x00db\x00"), all); err != nil || got.User != "u" || got.Database != "db" {
		t.Errorf("short COM_CHANGE_USER: %+v, %v", got, err)
	}
	a := AuthSwitch{Plugin: PluginNative, Data: append(scramble[:], 0)}
	if got, err := ParseAuthSwitch(a.Append(nil)); err != nil || !reflect.DeepEqual(*got, a) || !bytes.Equal(got.Scramble(), scramble[:]) {
		t.Errorf("%+v became %+v, %v", a, got, err)
	}
	if _, err := ParseAuthSwitch([]byte{headEOF}); !errors.Is(err, ErrOldProtocol) {
		t.Errorf("old switch: %v", err)
	}
	column := Column{Schema: []byte("s"), Table: []byte("t"), OrgTable: []byte("ot"), Name: []byte("n"), OrgName: []byte("on"), Extended: []byte("\x00\x04json"),
		Charset: 45, Length: 1 << 20, Type: TypeBlob, Flags: 0x1011, Decimals: 31}
	if got, err := ParseColumn(column.Append(nil, all), all); err != nil || !reflect.DeepEqual(got, column) {
		t.Errorf("%+v became %+v, %v", column, got, err)
	}
	if got, err := ParsePrepared(Prepared{1 << 31, 2, 3, 4}.Append(nil)); err != nil || got != (Prepared{1 << 31, 2, 3, 4}) {
		t.Errorf("prepared became %+v, %v", got, err)
	}
	if got, err := ParseFetch(Fetch{7, 9}.Append(nil)); err != nil || got != (Fetch{7, 9}) {
		t.Errorf("fetch became %+v, %v", got, err)
	}
	if got, err := ParseBulkExecute([]byte("\xfa\x01\x00\x00\x00\x80\x00")); err != nil || got != (BulkExecute{1, 128}) {
		t.Errorf("bulk execute became %+v, %v", got, err)
	}
	if got, err := ParseLocalFile(AppendLocalFile(nil, "/tmp/x")); err != nil || string(got) != "/tmp/x" {
		t.Errorf("file became %q, %v", got, err)
	}
	if got, err := ParseAuthMore(AppendAuthMore(nil, []byte{4})); err != nil || string(got) != "\x04" {
		t.Errorf("data became %q, %v", got, err)
	}
}

func TestOK(t *testing.T) {
	// Knowledge Base, "OK_Packet": a change of a variable and of the schema.
	state := SessionState(nil).AppendChange(Change{StateSystemVariable, []byte("autocommit"), []byte("OFF")}).
		AppendChange(Change{StateSchema, nil, []byte("test")}).
		AppendChange(Change{StateGTIDs, nil, []byte("0-1-270")}).
		AppendChange(Change{StateTransaction, nil, []byte("T_______")})
	if want := "\x00\x0f\x0aautocommit\x03OFF\x01\x05\x04test\x03\x09\x00\x070-1-270\x05\x09\x08T_______"; string(state) != want {
		t.Errorf("state %q", state)
	}
	ok := OK{AffectedRows: 300, LastInsertID: 5, Status: StatusAutocommit | StatusSessionStateChanged, Warnings: 1, Info: []byte("info"), State: state}
	for _, asEOF := range []bool{false, true} {
		if got, err := ParseOK(ok.Append(nil, CapSessionTrack, asEOF), CapSessionTrack); err != nil || !reflect.DeepEqual(got, ok) {
			t.Errorf("%+v became %+v, %v", ok, got, err)
		}
	}
	if got, err := ParseOK(ok.Append(nil, 0, false), 0); err != nil || string(got.Info) != "info" || got.State != nil {
		t.Errorf("without tracking: %+v, %v", got, err)
	}
	if got, err := ParseOK([]byte("\x00\x01\x00\x02\x00\x00\x00plain text"), 0); err != nil || string(got.Info) != "plain text" || got.AffectedRows != 1 {
		t.Errorf("text without length: %+v, %v", got, err)
	}
	if got, err := ParseOK([]byte("\x00\x00\x00\x02\x40\x00\x00"), CapSessionTrack); err != nil || got.State != nil {
		t.Errorf("flag without changes: %+v, %v", got, err)
	}
	status, warnings, err := ParseEOF(AppendEOF(nil, 8, 2))
	if status != 8 || warnings != 2 || err != nil {
		t.Error(status, warnings, err)
	}
}

func TestSessionState(t *testing.T) {
	// Two variables in one entry, a kind nobody knows, and another after it.
	list := SessionState("\x00\x08\x01a\x011\x01b\x012\x63\x02??\x02\x02\x011").Changes()
	var got []string
	for {
		ch, ok, err := list.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		got = append(got, string(ch.Name)+"="+string(ch.Value))
	}
	if strings.Join(got, " ") != "a=1 b=2 =1" {
		t.Error(got)
	}
	for _, bad := range []string{"\x00", "\x00\x05\x01a", "\x01\x02\x05x", "\x03\x00"} {
		list := SessionState(bad).Changes()
		if _, ok, err := list.Next(); ok || !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
	}
}

func TestServerError(t *testing.T) {
	e := &ServerError{Code: ErrCodeAccessDenied, State: StateAccessDenied, Message: "Access denied"}
	if got := ParseError(e.Append(nil)); !reflect.DeepEqual(got, e) {
		t.Errorf("became %#v", got)
	}
	if got := ParseError([]byte("\xff\x10\x04Too many connections")); got.Error() != "error 1040 (): Too many connections" {
		t.Error(got)
	}
	if !errors.Is(ParseError(e.Append(nil)), &ServerError{Code: ErrCodeAccessDenied}) {
		t.Error("not itself")
	}
	if _, err := ParseGreeting([]byte("\xff\x10\x04Too many connections")); !errors.Is(err, &ServerError{Code: ErrCodeTooManyConnections}) {
		t.Error(err)
	}
	p, err := ParseProgress([]byte("\xff\xff\xff\x01\x01\x02\x50\xc3\x00\x04copy"))
	if err != nil || p.Stage != 1 || p.Stages != 2 || p.Permille != 50_000 || string(p.Info) != "copy" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestOldProtocol(t *testing.T) {
	if _, err := ParseHandshakeResponse([]byte("\x01\x00\x00\x00\x00user\x00pass")); !errors.Is(err, ErrOldProtocol) {
		t.Error(err)
	}
	g := Greeting{Version: "4.0", Scramble: pattern(20), Capabilities: CapMySQL}
	if _, err := ParseGreeting(g.Append(nil)); !errors.Is(err, ErrOldProtocol) {
		t.Error(err)
	}
}

// Every packet, cut anywhere, is refused or shorter by something optional, and
// never reads beyond its end.
func TestCutPackets(t *testing.T) {
	const all = Relayable &^ CapMySQL
	h := HandshakeResponse{Capabilities: all, User: "user", Token: pattern(20), Database: "db", Plugin: "plugin", Attributes: []Attribute{{"a", "b"}}}
	g := Greeting{Version: "x", Scramble: pattern(20), Capabilities: all, Plugin: "plugin"}
	column := Column{Name: []byte("n"), Extended: []byte("x")}
	ok := OK{Info: []byte("info"), State: SessionState(nil).AppendChange(Change{StateSchema, nil, []byte("test")})}
	for _, c := range []struct {
		name  string
		raw   []byte
		takes func([]byte) error
		cuts  int // how many of the cuts are valid
	}{
		{"greeting", g.Append(nil), func(p []byte) error { _, err := ParseGreeting(p); return err }, len("plugin") + 1},
		// after the plugin's name, or in it as long as there are no attributes
		{"login", h.Append(nil), func(p []byte) error { _, err := ParseHandshakeResponse(p); return err }, len("db\x00plugin\x00") + 1},
		{"column", column.Append(nil, all), func(p []byte) error { _, err := ParseColumn(p, all); return err }, 0},
		{"OK", ok.Append(nil, all, false), func(p []byte) error { _, err := ParseOK(p, all); return err }, 2},
		{"execute", Execute{ID: 1}.Append(nil), func(p []byte) error { _, err := ParseExecute(p); return err }, 0},
		{"fetch", Fetch{}.Append(nil), func(p []byte) error { _, err := ParseFetch(p); return err }, 0},
		{"prepared", Prepared{}.Append(nil), func(p []byte) error { _, err := ParsePrepared(p); return err }, 0},
		{"error", []byte("\xff\x01\x00"), func(p []byte) error {
			if err := ParseError(p); errors.Is(err, ErrMalformed) {
				return err
			}
			return nil
		}, 0},
	} {
		if err := c.takes(c.raw); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		taken := 0
		for n := range c.raw {
			if c.takes(c.raw[:n:n]) == nil {
				taken++
			}
		}
		if taken != c.cuts {
			t.Errorf("%s: %d cuts are taken, want %d", c.name, taken, c.cuts)
		}
	}
}

func TestCommandNames(t *testing.T) {
	if len(commandNames) != int(ComResetConnection)+1 {
		t.Error("names and commands differ")
	}
	for c, want := range map[Command]string{ComQuery: "COM_QUERY", ComResetConnection: "COM_RESET_CONNECTION", ComStmtBulkExecute: "COM_STMT_BULK_EXECUTE", 0xfe: "COM_254"} {
		if c.String() != want {
			t.Errorf("%s, want %s", c, want)
		}
	}
}

func TestScramble(t *testing.T) {
	seen := map[[ScrambleSize]byte]bool{}
	for range 1000 {
		s := NewScramble()
		if bytes.ContainsAny(s[:], "\x00$") || seen[s] {
			t.Fatalf("%q", s)
		}
		seen[s] = true
	}
}

func FuzzParsers(f *testing.F) {
	g := Greeting{Version: "10.11", Scramble: pattern(20), Capabilities: Relayable &^ CapMySQL, Plugin: PluginNative}
	h := HandshakeResponse{Capabilities: Relayable, User: "u", Token: pattern(20), Database: "d", Plugin: "p", Attributes: []Attribute{{"a", "b"}}}
	u := ChangeUser{User: "u", Token: pattern(20), Plugin: "p"}
	column := Column{Name: []byte("n")}
	f.Add(g.Append(nil), uint64(Relayable))
	f.Add(h.Append(nil), uint64(Relayable))
	f.Add(u.Append(nil, Relayable), uint64(Relayable))
	f.Add(column.Append(nil, Relayable), uint64(Relayable))
	f.Add(AppendEOF(nil, 2, 0), uint64(0))
	f.Add([]byte("\xff\xff\xff\x01\x01\x02\x50\xc3\x00\x04copy"), uint64(0))
	f.Add((&AuthSwitch{Plugin: PluginNative, Data: pattern(21)}).Append(nil), uint64(0))
	f.Add((&OK{State: SessionState("\x00\x08\x01a\x011\x01b\x012")}).Append(nil, CapSessionTrack, false), uint64(CapSessionTrack))
	f.Fuzz(func(t *testing.T, p []byte, c uint64) {
		caps := Capability(c)
		if g, err := ParseGreeting(p); err == nil && len(g.Scramble) < 254 {
			if again, err := ParseGreeting(g.Append(nil)); err != nil || !reflect.DeepEqual(again.Capabilities, g.Capabilities) || again.Version != g.Version {
				t.Errorf("greeting %+v became %+v, %v", g, again, err)
			}
		}
		if h, err := ParseHandshakeResponse(p); err == nil && len(h.Token) < 250 {
			if again, err := ParseHandshakeResponse(h.Append(nil)); err != nil || !reflect.DeepEqual(again, h) {
				t.Errorf("login %+v became %+v, %v", h, again, err)
			}
		}
		if u, err := ParseChangeUser(p, caps); err == nil {
			if again, err := ParseChangeUser(u.Append(nil, caps), caps); err != nil || !reflect.DeepEqual(again, u) {
				t.Errorf("%+v became %+v, %v", u, again, err)
			}
		}
		if a, err := ParseAuthSwitch(p); err == nil && !bytes.Equal(a.Append(nil), p) {
			t.Errorf("switch %x became %x", p, a.Append(nil))
		}
		if d, err := ParseColumn(p, caps); err == nil {
			if again, err := ParseColumn(d.Append(nil, caps), caps); err != nil || !bytes.Equal(again.Name, d.Name) || again.Flags != d.Flags {
				t.Errorf("column %+v became %+v, %v", d, again, err)
			}
		}
		if ok, err := ParseOK(p, caps); err == nil {
			list := ok.State.Changes()
			for more := true; more; {
				_, more, err = list.Next()
				if more && err != nil {
					t.Error("a change and an error")
				}
			}
		}
		ParseEOF(p)
		ParseError(p)
		ParseProgress(p)
		ParseLocalFile(p)
		ParseAuthMore(p)
		ParsePrepared(p)
		ParseExecute(p)
		ParseBulkExecute(p)
		ParseFetch(p)
		ParseColumnCount(p, caps)
		ParseClear(p)
		ParsePublicKey(p)
		ParseNativeStored(string(p))
		ParseEd25519Stored(string(p))
		IsSSLRequest(p)
		if SetStatementID(bytes.Clone(p), 1) == nil && len(p) < 5 {
			t.Error("statement without id")
		}
	})
}
