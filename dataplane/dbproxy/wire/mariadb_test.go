package wire

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/backplane/backplane/testbed"
)

// mariadb is a real server with TLS, accounts of several plugins, whose
// password is "secret", and some tables.
func mariadb(t *testing.T) (s *testbed.MariaDB, client *tls.Config) {
	t.Helper()
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	s = testbed.StartMariaDB(t, testbed.MariaDBOptions{Cert: &cert, Settings: []string{
		"max-allowed-packet=64M", "local-infile=1", "log-bin=log", "server-id=1",
	}})
	s.Exec(t,
		"CREATE DATABASE shop",
		"CREATE USER app@'%' IDENTIFIED BY 'secret'",
		"CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')",
		"CREATE USER nobody@'%'",
		"CREATE USER either@'%' IDENTIFIED VIA ed25519 USING PASSWORD('one') OR mysql_native_password USING PASSWORD('two')",
		"GRANT ALL ON *.* TO app@'%'", "GRANT ALL ON shop.* TO ed@'%'",
		"CREATE TABLE shop.n (a INT PRIMARY KEY, b VARCHAR(100), c LONGBLOB, j JSON)",
		"INSERT INTO shop.n (a, b) SELECT seq, CONCAT('row ', seq) FROM seq_1_to_100",
		"CREATE PROCEDURE shop.two() BEGIN SELECT 1; SELECT a FROM n WHERE a <= 3; END",
	)
	return s, &tls.Config{RootCAs: pool(t, ca.PEM), ServerName: "127.0.0.1"}
}

func TestMariaDB(t *testing.T) {
	s, client := mariadb(t)
	addr := testbed.Addr(s.Port)
	t.Run("login", func(t *testing.T) { mariadbLogins(t, addr, client) })
	for _, caps := range []Capability{
		0, CapDeprecateEOF, CapSessionTrack | CapCacheMetadata | CapExtendedMetadata,
		CapDeprecateEOF | CapSessionTrack | CapCacheMetadata | CapExtendedMetadata | CapBulkOperations,
	} {
		t.Run(fmt.Sprintf("answers/%#x", uint64(caps)), func(t *testing.T) {
			c, r, err := dialLogin(t, addr, LoginOptions{
				Database: "shop", Credentials: HashNative("secret").Credentials(), Required: caps,
				Capabilities: CapMultiStatements | CapMultiResults | CapPSMultiResults | CapLocalFiles,
			})
			if err != nil {
				t.Fatal(err)
			}
			m := &mariadbClient{t: t, conn: c, caps: r.Capabilities}
			m.queries()
			m.statements()
			m.commands()
			m.file()
			m.binlog()
		})
	}
	t.Run("again", func(t *testing.T) { mariadbAgain(t, addr) })
	t.Run("relay", func(t *testing.T) { mariadbRelay(t, s, client) })
}

func mariadbLogins(t *testing.T, addr string, client *tls.Config) {
	refused := func(code uint16) error { return &ServerError{Code: code} }
	for _, c := range []struct {
		name    string
		options LoginOptions
		want    error
	}{
		{"native", LoginOptions{User: "app", Credentials: Password("secret")}, nil},
		{"native by hash, TLS", LoginOptions{User: "app", Credentials: HashNative("secret").Credentials(), TLS: client}, nil},
		{"native, wrong", LoginOptions{User: "app", Credentials: Password("Secret")}, refused(ErrCodeAccessDenied)},
		{"native, no password", LoginOptions{User: "app", Credentials: Password("")}, refused(ErrCodeAccessDenied)},
		{"ed25519", LoginOptions{User: "ed", Credentials: Password("secret"), Database: "shop"}, nil},
		{"ed25519, TLS", LoginOptions{User: "ed", Credentials: Password("secret"), TLS: client}, nil},
		{"ed25519, wrong", LoginOptions{User: "ed", Credentials: Password("Secret")}, refused(ErrCodeAccessDenied)},
		{"ed25519 by hash", LoginOptions{User: "ed", Credentials: HashNative("secret").Credentials()}, ErrPlugin},
		{"one of two plugins, by hash", LoginOptions{User: "either", Credentials: HashNative("two").Credentials()}, nil},
		{"one of two plugins", LoginOptions{User: "either", Credentials: Password("one")}, nil},
		{"neither of two plugins", LoginOptions{User: "either", Credentials: HashNative("one").Credentials()}, refused(ErrCodeAccessDenied)},
		{"no password", LoginOptions{User: "nobody", Credentials: Password("")}, nil},
		{"unknown database", LoginOptions{User: "app", Credentials: Password("secret"), Database: "nowhere"}, refused(ErrCodeBadDB)},
		{"forbidden database", LoginOptions{User: "nobody", Credentials: Password(""), Database: "shop"}, refused(ErrCodeDBAccessDenied)},
		{"other name in the certificate", LoginOptions{User: "app", Credentials: Password("secret"), TLS: &tls.Config{RootCAs: client.RootCAs, ServerName: "db.example"}}, &tls.CertificateVerificationError{}},
	} {
		conn, r, err := dialLogin(t, addr, c.options)
		var cert *tls.CertificateVerificationError
		if want := c.want; errors.As(want, &cert) {
			if !errors.As(err, &cert) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		if _, encrypted := conn.TLS(); !r.Greeting.MariaDB() || !strings.Contains(r.Greeting.Version, "MariaDB") || encrypted != (c.options.TLS != nil) {
			t.Errorf("%s: %+v, encrypted %v", c.name, r.Greeting, encrypted)
		}
		var reply Reply
		if rows := query(t, conn, &reply, r.Capabilities, "SHOW STATUS LIKE 'Ssl_cipher'"); rows != 1 || reply.Failed() {
			t.Errorf("%s: %d rows, %v", c.name, rows, reply.Err())
		}
	}
}

// mariadbClient sends commands and checks that each answer ends where it ends:
// what comes after it is the answer to a ping.
type mariadbClient struct {
	t    *testing.T
	conn *Conn
	caps Capability
	r    Reply
	last []byte // the last packet of the last answer
}

// do sends a command and reads the answer, in which kinds come in this order;
// rows, events and definitions that follow each other count as one.
func (m *mariadbClient) do(payload []byte, kinds ...Kind) {
	m.t.Helper()
	m.conn.SetSequence(0)
	must(m.t, m.conn.WritePacket(payload))
	must(m.t, m.conn.Flush())
	m.r.Start(Command(payload[0]), m.caps)
	m.answer(payload, kinds...)
	if m.r.Done() && Command(payload[0]) != ComBinlogDump {
		m.ping()
	}
}

func (m *mariadbClient) answer(payload []byte, kinds ...Kind) {
	m.t.Helper()
	var got []Kind
	for !m.r.Done() && !m.r.AwaitsClient() {
		p, err := m.conn.ReadPacket()
		if err != nil {
			m.t.Fatalf("%.60q: after %v: %v", payload, got, err)
		}
		kind, err := m.r.Feed(p[:min(len(p), MinHead*4)], min(len(p), MaxPayload))
		if err != nil {
			m.t.Fatalf("%.60q: after %v: %v: %x", payload, got, err, p[:min(len(p), 100)])
		}
		many := kind == KindRow || kind == KindColumn || kind == KindParam || kind == KindEvent
		if !many || len(got) == 0 || got[len(got)-1] != kind {
			got = append(got, kind)
		}
		m.last = append(m.last[:0], p[:min(len(p), 100)]...)
	}
	if fmt.Sprint(got) != fmt.Sprint(kinds) {
		m.t.Errorf("%.60q: kinds %v, want %v", payload, got, kinds)
	}
}

func (m *mariadbClient) ping() {
	m.t.Helper()
	var r Reply
	must(m.t, m.conn.WriteCommand(ComPing))
	must(m.t, m.conn.Flush())
	r.Start(ComPing, m.caps)
	if err := m.conn.RelayReply(nil, &r); err != nil || r.Failed() || m.conn.Buffered() {
		m.t.Fatalf("ping: %v, %v", err, r.Err())
	}
}

func (m *mariadbClient) sql(statement string, kinds ...Kind) {
	m.t.Helper()
	m.do(append([]byte{byte(ComQuery)}, statement...), kinds...)
}

// rows are the kinds of a result set with rows.
func (m *mariadbClient) rows() []Kind {
	if m.caps.Has(CapDeprecateEOF) {
		return []Kind{KindColumnCount, KindColumn, KindRow, KindOK}
	}
	return []Kind{KindColumnCount, KindColumn, KindEOF, KindRow, KindEOF}
}

func (m *mariadbClient) noRows() []Kind {
	if m.caps.Has(CapDeprecateEOF) {
		return []Kind{KindColumnCount, KindColumn, KindOK}
	}
	return []Kind{KindColumnCount, KindColumn, KindEOF, KindEOF}
}

func (m *mariadbClient) end() Kind {
	if m.caps.Has(CapDeprecateEOF) {
		return KindOK
	}
	return KindEOF
}

func (m *mariadbClient) queries() {
	t := m.t
	m.sql("SELECT a, b FROM n", m.rows()...)
	if m.r.Rows() != 100 || m.r.Columns() != 2 || !m.r.Status().Has(StatusAutocommit) {
		t.Errorf("%+v", m.r)
	}
	m.sql("SELECT a FROM n WHERE a < 0", m.noRows()...)
	m.sql("SELECT j FROM n LIMIT 1", m.rows()...) // has extended metadata
	m.sql("SELEKT", KindError)
	if e := m.r.Err().(*ServerError); e.Code != ErrCodeParse || e.State != StateSyntaxOrAccess || !strings.Contains(e.Message, "SELEKT") {
		t.Error(e)
	}
	m.sql("BEGIN", KindOK)
	m.sql("UPDATE n SET b = 'x' WHERE a <= 7", KindOK)
	if m.r.AffectedRows() != 7 || !m.r.Status().Has(StatusInTransaction) {
		t.Errorf("%+v", m.r)
	}
	m.sql("ROLLBACK", KindOK)
	m.sql("SELECT CAST('x' AS INT)", m.rows()...)
	if m.r.Warnings() != 1 {
		t.Errorf("%d warnings", m.r.Warnings())
	}

	several := append(append(m.rows(), KindOK), m.rows()...)
	m.sql("SELECT a FROM n; DO 1; SELECT 2", several...)
	if m.r.ResultSets() != 2 || m.r.Rows() != 101 {
		t.Errorf("%+v", m.r)
	}
	m.sql("SELECT 1; SELEKT; SELECT 2", append(m.rows(), KindError)...)
	m.sql("CALL two()", append(append(m.rows(), m.rows()...), KindOK)...)
	if m.r.Rows() != 4 {
		t.Errorf("%d rows of a procedure", m.r.Rows())
	}
	// An error after rows have been sent.
	failing := m.rows()
	failing[len(failing)-1] = KindError
	m.sql("SELECT (SELECT x.a FROM n x WHERE x.a = n.a OR n.a = 50 AND x.a = 51) FROM n", failing...)
	if m.r.Rows() != 49 || m.r.ErrorCode() != 1242 {
		t.Errorf("%d rows, then %v", m.r.Rows(), m.r.Err())
	}
	sizes := []int{20_000, 100_000}
	if !m.caps.Has(CapCacheMetadata) {
		sizes = append(sizes, MaxPayload-6, MaxPayload, 20<<20)
	}
	for _, n := range sizes {
		m.conn.SetLimit(n + 100)
		m.sql(fmt.Sprintf("SELECT REPEAT('x', %d), 1", n), m.rows()...)
		if m.r.Rows() != 1 {
			t.Errorf("%d rows of %d bytes", m.r.Rows(), n)
		}
	}
	m.conn.SetLimit(DefaultLimit)
	if m.caps.Has(CapSessionTrack) {
		m.tracking()
	}
}

func (m *mariadbClient) tracking() {
	m.sql("SET SESSION session_track_system_variables = 'autocommit,last_gtid,time_zone', session_track_transaction_info = 'CHARACTERISTICS'", KindOK)
	m.sql("USE mysql; USE shop", KindOK, KindOK)
	m.changes(map[StateType]string{StateSchema: "shop"})
	m.sql("SET time_zone = '+01:00'", KindOK)
	m.changes(map[StateType]string{StateSystemVariable: "time_zone=+01:00"})
	m.sql("BEGIN", KindOK)
	m.changes(map[StateType]string{StateTransaction: "T_______", StateCharacteristics: "START TRANSACTION;"})
	m.sql("DELETE FROM n WHERE a = 100", KindOK)
	m.sql("INSERT INTO n (a) VALUES (100)", KindOK)
	m.sql("COMMIT", KindOK)
	m.changes(map[StateType]string{StateTransaction: "________"})
	state, _ := m.r.SessionState()
	if !strings.Contains(string(state), "last_gtid") {
		m.t.Errorf("no GTID in %q", state)
	}
}

// changes checks what the last answer told of the session, the last word on
// each kind.
func (m *mariadbClient) changes(want map[StateType]string) {
	m.t.Helper()
	state, lost := m.r.SessionState()
	got := map[StateType]string{}
	for list := state.Changes(); ; {
		ch, ok, err := list.Next()
		if err != nil || lost {
			m.t.Fatal(err, lost)
		}
		if !ok {
			break
		}
		got[ch.Type] = string(ch.Value)
		if ch.Type == StateSystemVariable {
			got[ch.Type] = string(ch.Name) + "=" + string(ch.Value)
		}
	}
	for typ, value := range want {
		if got[typ] != value {
			m.t.Errorf("change %d: %q, want %q (of %q)", typ, got[typ], value, state)
		}
	}
}

func (m *mariadbClient) prepare(statement string, kinds ...Kind) uint32 {
	m.t.Helper()
	if !m.caps.Has(CapDeprecateEOF) {
		var withEOF []Kind
		for i, k := range kinds {
			if withEOF = append(withEOF, k); i > 0 {
				withEOF = append(withEOF, KindEOF)
			}
		}
		kinds = withEOF
	}
	m.do(append([]byte{byte(ComStmtPrepare)}, statement...), kinds...)
	return m.r.Prepared().ID
}

// execute runs a statement with integer parameters.
func (m *mariadbClient) execute(id uint32, flags byte, params []uint32, kinds ...Kind) {
	m.t.Helper()
	p := Execute{ID: id, Flags: flags, Iterations: 1}.Append(nil)
	if len(params) > 0 {
		p = append(p, 0, 1) // none NULL, types follow
		for range params {
			p = append(p, byte(TypeLong), 0)
		}
		for _, v := range params {
			p = binary.LittleEndian.AppendUint32(p, v)
		}
	}
	m.do(p, kinds...)
}

func (m *mariadbClient) statements() {
	t := m.t
	id := m.prepare("SELECT a, b FROM n WHERE a <= ?", KindPrepared, KindParam, KindColumn)
	if p := m.r.Prepared(); p.Params != 1 || p.Columns != 2 || p.ID != id {
		t.Errorf("%+v", p)
	}
	again := m.rows()
	if m.caps.Has(CapCacheMetadata) {
		again = append(again[:1:1], again[2:]...) // no definitions the second time
	}
	m.execute(id, CursorNone, []uint32{5}, again...)
	m.execute(id, CursorNone, []uint32{6}, again...)
	if m.r.Rows() != 6 {
		t.Errorf("%d rows", m.r.Rows())
	}
	m.cursor(id)
	m.do(binary.LittleEndian.AppendUint32([]byte{byte(ComStmtReset)}, id), KindOK)

	// Long data and closing have no answer; another command follows at once.
	must(t, m.conn.WriteCommand(ComStmtSendLongData, 9, 0, 0, 0, 0, 0, 'x'))
	must(t, m.conn.WriteCommand(ComStmtClose, binary.LittleEndian.AppendUint32(nil, id)...))
	m.ping()
	m.execute(id, CursorNone, nil, KindError)
	if m.r.ErrorCode() != ErrCodeUnknownStmt {
		t.Error(m.r.Err())
	}
	m.prepare("SELEKT", KindError)
	id = m.prepare("DO 1", KindPrepared)
	m.execute(id, CursorNone, nil, KindOK)
	id = m.prepare("CALL two()", KindPrepared)
	m.execute(id, CursorNone, nil, append(append(m.rows(), m.rows()...), KindOK)...)
	if m.caps.Has(CapBulkOperations) {
		id = m.prepare("INSERT INTO n (a) VALUES (?)", KindPrepared, KindParam)
		bulk := binary.LittleEndian.AppendUint32([]byte{byte(ComStmtBulkExecute)}, id)
		bulk = append(bulk, 128, 0, byte(TypeLong), 0, 0, 0xe8, 3, 0, 0, 0, 0xe9, 3, 0, 0)
		m.do(bulk, KindOK)
		if m.r.AffectedRows() != 2 {
			t.Errorf("%d rows by a bulk", m.r.AffectedRows())
		}
		m.sql("DELETE FROM n WHERE a >= 1000", KindOK)
	}
}

// cursor fetches the rows of a statement by and by.
func (m *mariadbClient) cursor(id uint32) {
	m.t.Helper()
	m.execute(id, CursorReadOnly, []uint32{25}, KindColumnCount, KindColumn, m.end())
	if m.r.Rows() != 0 || !m.r.Status().Has(StatusCursorExists) {
		m.t.Errorf("rows before they are fetched: %+v", m.r)
	}
	total := uint64(0)
	for range 3 {
		m.do(Fetch{id, 10}.Append(nil), KindRow, m.end())
		total += m.r.Rows()
	}
	if total != 25 || !m.r.Status().Has(StatusLastRowSent) {
		m.t.Errorf("%d rows fetched: %+v", total, m.r)
	}
}

func (m *mariadbClient) commands() {
	m.do([]byte("\x09"), KindText)
	if !strings.HasPrefix(string(m.last), "Uptime") {
		m.t.Errorf("statistics %q", m.last)
	}
	m.do([]byte("\x04n\x00"), KindColumn, m.end())
	m.do([]byte("\x04nowhere\x00"), KindError)
	m.do([]byte("\x02shop"), KindOK)
	m.do([]byte("\x02nowhere"), KindError)
	m.do([]byte("\x1b\x00\x00"), m.end())
	m.do([]byte("\x0a"), m.rows()...)
	m.do([]byte("\x0d"), m.end())
	m.do([]byte("\x0f"), KindError)
	m.do([]byte{byte(ComResetConnection)}, KindOK)

	user := ChangeUser{User: "app", Database: "shop", Charset: CharsetUTF8MB4, Plugin: PluginNative}
	m.do(user.Append(nil, m.caps), KindAuthSwitch) // the challenge of the login is used up
	a, err := ParseAuthSwitch(m.last)
	if err != nil || !m.r.AwaitsClient() {
		m.t.Fatal(err)
	}
	must(m.t, m.conn.WritePacket(HashNative("secret").Token(a.Scramble())))
	must(m.t, m.conn.Flush())
	m.r.ClientSent()
	m.answer([]byte("token"), KindOK)
	m.ping()
}

func (m *mariadbClient) file() {
	m.sql("CREATE OR REPLACE TEMPORARY TABLE f (a INT)", KindOK)
	m.sql("LOAD DATA LOCAL INFILE 'numbers' INTO TABLE f; SELECT a FROM f", KindLocalFile)
	if name, err := ParseLocalFile(m.last); err != nil || string(name) != "numbers" || !m.r.AwaitsFile() {
		m.t.Fatalf("%q, %v", m.last, err)
	}
	for _, part := range []string{"1\n2\n3", "\n4\n", ""} {
		must(m.t, m.conn.WritePacket([]byte(part)))
	}
	must(m.t, m.conn.Flush())
	m.r.ClientSent()
	m.answer([]byte("file"), append([]Kind{KindOK}, m.rows()...)...)
	if m.r.Rows() != 4 {
		m.t.Errorf("%d rows loaded", m.r.Rows())
	}
	m.ping()
}

// binlog dumps the binary log up to its end.
func (m *mariadbClient) binlog() {
	m.sql("SET @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4", KindOK)
	dump := binary.LittleEndian.AppendUint32([]byte{byte(ComBinlogDump)}, 4)
	dump = binary.LittleEndian.AppendUint16(dump, 1) // do not wait at the end
	dump = binary.LittleEndian.AppendUint32(dump, 99)
	m.do(append(dump, "log.000001"...), KindEvent, KindEOF) // whatever the capabilities
	if _, err := m.conn.ReadPacket(); err == nil {
		m.t.Error("something after the end of the log")
	}
}
