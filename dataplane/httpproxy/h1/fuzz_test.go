package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// counted is a reader that knows how much of its input was used.
type counted struct {
	*bufio.Reader
	all *strings.Reader
}

func count(s string) counted {
	all := strings.NewReader(s)
	return counted{bufio.NewReaderSize(all, 256<<10), all}
}

func (c counted) left() int { return c.all.Len() + c.Buffered() }

// canonical is a header by name, as net/http has it.
func canonical(h *header.Header) http.Header {
	all := http.Header{}
	for _, f := range h.Fields() {
		all.Add(f.Name, f.Value)
	}
	return all
}

// stripped is a header without what concerns the connection.
func stripped(h http.Header) http.Header {
	all := http.Header{}
	for name, values := range h {
		if k := kindOf(name); k == endToEnd || k == fieldTrailer {
			all[name] = values
		}
	}
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.Trim(name, " \t"); kindOf(name) == endToEnd {
				delete(all, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	return all
}

// same compares headers. net/http adds a Cache-Control to a Pragma, and keeps
// the Trailer of bodies in chunks elsewhere.
func same(ours, theirs http.Header, chunked bool) bool {
	if len(theirs["Pragma"]) > 0 || len(ours["Pragma"]) > 0 {
		delete(ours, "Cache-Control")
		delete(theirs, "Cache-Control")
	}
	if chunked {
		delete(ours, "Trailer")
		delete(theirs, "Trailer")
	}
	return maps.EqualFunc(ours, theirs, slices.Equal)
}

// sameBody compares bodies with their trailers, after which both readers must
// have used the same. It is false when ours is refused.
func sameBody(t *testing.T, ours io.Reader, theirs io.Reader) bool {
	t.Helper()
	got, err := io.ReadAll(ours)
	if err != nil {
		return false
	}
	want, err := io.ReadAll(theirs)
	if err != nil {
		t.Fatalf("net/http refuses the body %q: %v", got, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("body %q, net/http has %q", got, want)
	}
	return true
}

func sameTrailer(ours *header.Header, theirs http.Header) bool {
	set := http.Header{}
	for name, values := range theirs { // names that were announced have no values
		if len(values) > 0 {
			set[name] = values
		}
	}
	return same(canonical(ours), set, false)
}

// checkRequests reads requests here and with net/http: what is accepted here
// must be the same there.
func checkRequests(t *testing.T, said string, piece int) {
	nc := &script{said: said, piece: piece}
	s := NewServer(nc, Options{})
	theirs := count(said)
	r := newRequest()
	for s.KeepAlive() {
		if err := s.ReadRequest(r); err != nil {
			var ce *ConnError
			var pe *ProtocolError
			if !errors.As(err, &ce) && !errors.As(err, &pe) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return
		}
		if b, _ := theirs.Peek(2); string(b) == "\r\n" {
			theirs.Discard(2)
		}
		q, err := http.ReadRequest(theirs.Reader)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", said, err)
		}
		if q.Method != r.Method || q.RequestURI != r.Target || q.Host != r.Host || q.ProtoMinor != r.ProtoMinor || q.ContentLength != r.ContentLength {
			t.Fatalf("%+v, net/http has %+v", r, q)
		}
		if ours, theirs := canonical(r.Header), stripped(q.Header); !same(ours, theirs, r.ContentLength < 0) {
			t.Fatalf("%v, net/http has %v", ours, theirs)
		}
		if !sameBody(t, r.Body, q.Body) {
			return
		}
		if !sameTrailer(r.Trailer, q.Trailer) {
			t.Fatalf("trailers %v, net/http has %v", canonical(r.Trailer), q.Trailer)
		}
		if ours := len(nc.said) + s.buffered(); ours != theirs.left() {
			t.Fatalf("%d bytes are left, net/http has %d", ours, theirs.left())
		}
		s.expecting = false
		if _, err := s.WriteResponse(&Response{Status: 204}); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
		"\r\nPOST http://h:80/a?b HTTP/1.1\r\nHost: h:80\r\nContent-Length: 3\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\n\r\nabcGET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nPragma: no-cache\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\nGET /%41 HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTE: trailers\r\nUpgrade: websocket\r\n\r\n",
	} {
		f.Add(s, 0)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, said string, piece int) { checkRequests(t, said, max(piece, 0)) })
}

func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"3\r\nabc\r\n0\r\n\r\n", "0003;a=\"b\"\r\nabc\r\nA\r\n0123456789\r\n00\r\nA: b\r\nC: d\r\n\r\nGET /", "0\r\n\r\n",
		"ffffffffffffffff\r\n", "3\nabc\n0\n\n", "3 \r\nabc\r\n0\r\n\r\n",
	} {
		f.Add(s, 0)
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, body string, piece int) {
		checkRequests(t, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+body, max(piece, 0))
	})
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\nabc", "HTTP/1.0 404 Not Found\r\n\r\nabc",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
	} {
		f.Add(s, 0, false)
		f.Add(s, 1, true)
	}
	f.Fuzz(func(t *testing.T, said string, piece int, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		nc := &script{said: said, piece: max(piece, 0)}
		c := NewClient(nc, Options{})
		must(t, c.WriteRequest(&Request{Method: method, Path: "/", Host: "h", Upgrade: "websocket"}))
		r := newResponse()
		if c.ReadResponse(r) != nil {
			return
		}
		theirs := count(said)
		var w *http.Response
		for w == nil || w.StatusCode < 200 && w.StatusCode != 101 {
			var err error
			if w, err = http.ReadResponse(theirs.Reader, &http.Request{Method: method}); err != nil {
				t.Fatalf("net/http refuses it: %v", err)
			}
		}
		if w.StatusCode != r.Status || w.ProtoMinor != r.ProtoMinor {
			t.Fatalf("%+v, net/http has %+v", r, w)
		}
		if ours, theirs := canonical(r.Header), stripped(w.Header); !same(ours, theirs, r.ContentLength < 0) {
			t.Fatalf("%v, net/http has %v", ours, theirs)
		}
		if r.Status == 101 || !sameBody(t, r.Body, w.Body) {
			return
		}
		if !sameTrailer(r.Trailer, w.Trailer) {
			t.Fatalf("trailers %v, net/http has %v", canonical(r.Trailer), w.Trailer)
		}
		if ours := len(nc.said) + c.buffered(); c.Reusable() && ours != theirs.left() {
			t.Fatalf("%d bytes are left, net/http has %d", ours, theirs.left())
		}
	})
}

// FuzzWrite writes messages, which must be read as they were meant, or not be
// written.
func FuzzWrite(f *testing.F) {
	f.Add("GET", "/a?b", "h:80", "X-A", "b", "", "X-Sum", "1", false, 200)
	f.Add("POST", "/", "h", "Content-Length", "5", "abc", "Host", "x", true, 404)
	f.Add("PUT", "/ HTTP/1.1\r\n", "h\r\nA: b", "A\r\nB", "c\r\n\r\nd", "abc", "A", "b\r\nC: d", false, 304)
	f.Fuzz(func(t *testing.T, method, path, host, name, value, body, trailer, sum string, chunked bool, status int) {
		h, tr := &header.Header{}, &header.Header{}
		h.Add(name, value)
		tr.Add(trailer, sum)
		length := int64(len(body))
		if chunked {
			length = -1
		}
		nc := &script{}
		q := &Request{Method: method, Path: path, Host: host, Header: h, Trailer: tr, ContentLength: length, Body: strings.NewReader(body)}
		if err := NewClient(nc, Options{}).WriteRequest(q); err == nil {
			back := &script{said: nc.written.String()}
			s, r := NewServer(back, Options{}), newRequest()
			if err := s.ReadRequest(r); err != nil {
				var pe *ProtocolError
				if errors.As(err, &pe) && (pe.Status == 414 || pe.Status == 431) {
					return
				}
				t.Fatalf("%q: %v", nc.written.String(), err)
			}
			got, err := io.ReadAll(r.Body)
			if r.Method != method || r.Path != path || r.Host != host || string(got) != body || err != nil {
				t.Fatalf("%+v came back as %+v, %q, %v", q, r, got, err)
			}
			checkBack(t, h, r.Header)
			if chunked {
				checkBack(t, tr, r.Trailer)
			}
			if len(back.said)+s.buffered() > 0 {
				t.Fatalf("more was written: %q", nc.written.String())
			}
		}
		back := &script{said: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}
		s := NewServer(back, Options{})
		must(t, s.ReadRequest(newRequest()))
		w := &Response{Status: status, Header: h, Trailer: tr, ContentLength: length, Body: strings.NewReader(body)}
		if _, err := s.WriteResponse(w); err != nil || status == 101 {
			return
		}
		back = &script{said: back.written.String()}
		c, r := NewClient(back, Options{}), newResponse()
		must(t, c.WriteRequest(&Request{Method: "GET", Path: "/", Host: "h"}))
		if err := c.ReadResponse(r); err != nil {
			var pe *ProtocolError
			if errors.As(err, &pe) && (pe.Status == 414 || pe.Status == 431) {
				return
			}
			t.Fatalf("%v", err)
		}
		got, err := io.ReadAll(r.Body)
		if r.Status != status || err != nil || status != 204 && status != 304 && string(got) != body || !c.Reusable() || len(back.said) > 0 {
			t.Fatalf("%+v came back as %+v, %q, %v", w, r, got, err)
		}
		checkBack(t, h, r.Header)
	})
}

// checkBack compares a header with what came back of it.
func checkBack(t *testing.T, sent, got *header.Header) {
	t.Helper()
	f := sent.Fields()[0]
	f.Value = strings.Trim(f.Value, " \t")
	if k := kindOf(f.Name); k != endToEnd && k != fieldTrailer {
		if got.Len() > 0 {
			t.Fatalf("%q came back as %v", f, got.Fields())
		}
	} else if got.Len() != 1 || got.Fields()[0] != f {
		t.Fatalf("%q came back as %v", f, got.Fields())
	}
}
