package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// caller calls from an address of its own.
type caller struct {
	*servertest.Server
	client *http.Client
	conn   *grpc.ClientConn
}

func callFrom(t *testing.T, s *servertest.Server, address string) *caller {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{s, &http.Client{Transport: transport}, servertest.Dial(t, s.GRPC, "", grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", addr)
	}))}
}

// login asks who one is, over REST.
func (c *caller) login(t *testing.T, user, password string) servertest.Answer {
	t.Helper()
	req, err := servertest.NewRequest("GET", c.URL+"/api/whoami", nil, "Authorization", servertest.Basic(user, password))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Error(err)
		return servertest.Answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return servertest.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
}

// loginRPC asks who one is, over gRPC.
func (c *caller) loginRPC(t *testing.T, user, password string) error {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(servertest.Context(t), "authorization", servertest.Basic(user, password))
	_, err := identityv1.NewIdentityAdminClient(c.conn).WhoAmI(ctx, &identityv1.WhoAmIRequest{})
	return err
}

func wantRetryAfter(t *testing.T, a servertest.Answer) {
	t.Helper()
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 || n > 3600 {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
}

func wantRetryInfo(t *testing.T, err error) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay().AsDuration() > 0 {
			return
		}
	}
	t.Errorf("%v does not say when to try again", err)
}

// TestGuessingPasswords: who guesses is slowed down, and nobody else.
func TestGuessingPasswords(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddUser(t, "ann")
	guesser, elsewhere := callFrom(t, s, "127.0.0.7"), callFrom(t, s, "127.0.0.8")
	refused, slowed := 0, 0
	for n := range 100 {
		if n%2 == 0 {
			switch a := guesser.login(t, "ann", fmt.Sprint("guess ", n)); a.Status {
			case 401:
				refused++
			case 429:
				slowed++
				wantError(t, a, 429, errs.TooManyLogins)
				wantRetryAfter(t, a)
			default:
				t.Fatalf("guess %d: %d %s", n, a.Status, a.Body)
			}
			continue
		}
		switch err := guesser.loginRPC(t, "ann", fmt.Sprint("guess ", n)); status.Code(err) {
		case codes.Unauthenticated:
			refused++
		case codes.ResourceExhausted:
			slowed++
			wantCode(t, err, codes.ResourceExhausted, errs.TooManyLogins)
			wantRetryInfo(t, err)
		default:
			t.Fatalf("guess %d: %v", n, err)
		}
	}
	if refused < 5 || slowed < 50 {
		t.Errorf("%d guesses were tried, %d slowed down", refused, slowed)
	}
	if a := elsewhere.login(t, "ann", servertest.UserPassword); a.Status != 200 {
		t.Errorf("from another address the right password gets %d %s", a.Status, a.Body)
	}
	if err := elsewhere.loginRPC(t, "ann", servertest.UserPassword); err != nil {
		t.Errorf("from another address, over gRPC: %v", err)
	}
	servertest.Eventually(t, "the end of the wait", func() bool { return guesser.login(t, "ann", servertest.UserPassword).Status == 200 })
}

// TestGuessesAtOnce: guesses do not get through for coming all at once.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddUser(t, "ann")
	guesser := callFrom(t, s, "127.0.0.9")
	var mu sync.Mutex
	var all sync.WaitGroup
	statuses := map[int]int{}
	for n := range 40 {
		all.Go(func() {
			a := guesser.login(t, "ann", fmt.Sprint("guess ", n))
			mu.Lock()
			defer mu.Unlock()
			statuses[a.Status]++
		})
	}
	all.Wait()
	// Five are free, and as many as are hashed at once may be under way then.
	if statuses[401] < 5 || statuses[401] > 12 || statuses[401]+statuses[429] != 40 {
		t.Errorf("of 40 guesses at once: %v", statuses)
	}
}

// TestUsersCannotBeListedByGuessing: wrong logins look alike, whether there is
// such a user, whether it may log in, and whether it is being slowed down.
func TestUsersCannotBeListedByGuessing(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddUser(t, "known")
	s.AddUser(t, "disabled")
	s.Do(t, "PUT", "/api/users/disabled", `{"enabled":false}`).Good(t)
	shape := func(a servertest.Answer) string {
		a.Header.Del("Date")
		body := strings.ReplaceAll(string(a.Body), a.Header.Get("X-Request-Id"), "ID")
		a.Header.Del("X-Request-Id")
		a.Header.Del("Retry-After")
		return fmt.Sprintf("%d %v %s", a.Status, a.Header, body)
	}
	var want []string
	for i, user := range []string{"known", "unknown", "disabled", "", "Known"} {
		c := callFrom(t, s, fmt.Sprintf("127.0.1.%d", i+1))
		var got []string
		for range 7 {
			password := "wrong"
			if user == "disabled" {
				password = servertest.UserPassword // right, and of no use
			}
			got = append(got, shape(c.login(t, user, password)))
		}
		if want == nil {
			want = got
		}
		// How many get through before the wait depends on the machine's speed.
		if !slices.Equal(got[:6], want[:6]) {
			t.Errorf("%q is answered\n%s, want\n%s", user, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestCallsPerCaller(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.MaxCallsPerSecond = 100 }})
	ann, ben := s.SignIn(t, s.AddUser(t, "ann")), s.SignIn(t, s.AddUser(t, "ben"))
	// More than a second's allowance at once, however slow the machine.
	var mu sync.Mutex
	var all sync.WaitGroup
	slowed := 0
	for range 40 {
		all.Go(func() {
			for range 50 {
				a, err := s.Try("GET", "/api/whoami", nil, "Authorization", ann)
				if err != nil {
					t.Error(err)
					return
				}
				if a.Status == 429 {
					mu.Lock()
					if slowed++; slowed == 1 {
						wantError(t, a, 429, errs.TooManyCalls)
						wantRetryAfter(t, a)
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if slowed == 0 {
		t.Error("2000 calls at once pass a limit of 100 a second")
	}
	if a := s.Do(t, "GET", "/api/whoami", nil, "Authorization", ben); a.Status != 200 {
		t.Errorf("another caller gets %d %s", a.Status, a.Body)
	}
	servertest.Eventually(t, "the next second", func() bool { return s.Do(t, "GET", "/api/whoami", nil, "Authorization", ann).Status == 200 })
}

func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.MaxCallsAtOnce = 2 }})
	viewer := servertest.Role("viewer")
	ann, ben := s.SignIn(t, s.AddUser(t, "ann", viewer)), s.SignIn(t, s.AddUser(t, "ben", viewer))
	conn := servertest.Dial(t, s.GRPC, ann)
	ctx, end := context.WithCancel(servertest.Context(t))
	defer end()
	for range 2 {
		w, err := catalogv1.NewServiceCatalogClient(conn).WatchServices(ctx, &catalogv1.WatchServicesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Header(); err != nil {
			t.Fatal(err)
		}
	}
	a := s.Do(t, "GET", "/api/whoami", nil, "Authorization", ann)
	wantError(t, a, 429, errs.TooManyCalls)
	wantRetryAfter(t, a)
	wantError(t, s.Do(t, "GET", "/api/services/watch", nil, "Authorization", ann), 429, errs.TooManyCalls)
	_, err := identityv1.NewIdentityAdminClient(conn).WhoAmI(servertest.Context(t), &identityv1.WhoAmIRequest{})
	wantCode(t, err, codes.ResourceExhausted, errs.TooManyCalls)
	wantRetryInfo(t, err)
	s.Do(t, "GET", "/api/whoami", nil, "Authorization", ben).Good(t)
	end()
	servertest.Eventually(t, "room for another call", func() bool { return s.Do(t, "GET", "/api/whoami", nil, "Authorization", ann).Status == 200 })
}

func TestHeaderSize(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.MaxHeaderBytes = 8 << 10 }})
	s.Do(t, "GET", "/api/whoami", nil, "X-Fill", strings.Repeat("x", 4<<10)).Good(t)
	if a := s.Do(t, "GET", "/api/whoami", nil, "X-Fill", strings.Repeat("x", 32<<10)); a.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large header gets %d", a.Status)
	}
	who := func(fill int) error {
		ctx := metadata.AppendToOutgoingContext(servertest.Context(t), "x-fill", strings.Repeat("x", fill))
		_, err := s.Identity.WhoAmI(ctx, &identityv1.WhoAmIRequest{})
		return err
	}
	if err := who(4 << 10); err != nil {
		t.Errorf("metadata of 4 KiB: %v", err)
	}
	if err := who(32 << 10); err == nil {
		t.Error("metadata of 32 KiB passes")
	}
}

// TestSlowClients: who sends a byte now and then does not keep a connection.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	const post = " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\nAuthorization: "
	login := servertest.Basic("admin", servertest.Password)
	wanted := map[string]int{"body": 400, "unread body": 401, "probe": 200}
	var all sync.WaitGroup
	for name, begin := range map[string]string{
		"body":        "POST /api/services" + post + login + "\r\n\r\n{",
		"unread body": "POST /api/services" + post + "Bearer x\r\n\r\n{",
		"probe":       "GET /healthz" + post + "\r\n\r\n{",
		"header":      "GET /api/services HTTP/1.1\r\nHost: x\r\nX-Slow: ",
	} {
		all.Go(func() { // all at once: each takes as long as the server's patience
			if err := sendSlowly(strings.TrimPrefix(s.URL, "http://"), begin, wanted[name]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
}

// sendSlowly begins a request, goes on with a byte now and then, and wants the
// connection to end, after an answer with the status unless that is 0.
func sendSlowly(addr, begin string, want int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * servertest.Patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, begin); err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				io.WriteString(conn, " ") //nolint:errcheck // it will fail in the end
			case <-done:
				return
			}
		}
	}()
	read := bufio.NewReader(conn)
	if want != 0 {
		resp, err := http.ReadResponse(read, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != want {
			return fmt.Errorf("the answer is %s", resp.Status)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, read); isTimeout(err) {
		return errors.New("the connection stays open")
	}
	return nil
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// TestDeniedTargets: what a name stands for decides, and nothing is sent there.
func TestDeniedTargets(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) {
		c.DenyTargets = append(c.DenyTargets, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}})
	port := testbed.Peer(t, func(net.Conn) { t.Error("the denied target was connected to") })
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.8.9.10", "169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1"} {
		result := s.Do(t, "POST", "/api/services/test", object{"service_type": "redis", "config": object{"host": host, "port": port}}).Data(t)
		if result["connected"] != false || result["code"] != "target_denied" {
			t.Errorf("%s: %v", host, result)
		}
	}
	id := s.Create(t, redisBody("stored", port))["id"].(string)
	if result := s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t); result["code"] != "target_denied" {
		t.Errorf("a stored service: %v", result)
	}
}

// TestAddressIsThePeers: where a caller is, is not for it to say.
func TestAddressIsThePeers(t *testing.T) {
	t.Parallel()
	s := start(t)
	const lie = "10.99.99.99"
	ctx := metadata.AppendToOutgoingContext(servertest.Context(t), "x-backplane-address", lie, "x-forwarded-for", lie)
	if _, err := s.Identity.CreateProject(ctx, &identityv1.CreateProjectRequest{Project: &identityv1.Project{Name: "grpc"}}); err != nil {
		t.Fatal(err)
	}
	s.Do(t, "POST", "/api/projects", `{"name":"rest"}`,
		"X-Backplane-Address", lie, "Grpc-Metadata-X-Backplane-Address", lie, "X-Forwarded-For", lie, "X-Real-Ip", lie, "Forwarded", "for="+lie).Data(t)
	for _, r := range s.Do(t, "GET", "/api/audit?action=CreateProject", nil).List(t) {
		if r["address"] != "127.0.0.1" {
			t.Errorf("%s was made from %s", r["resource_name"], r["address"])
		}
	}
	// Nor does it help a guesser.
	s.AddUser(t, "ann")
	c := callFrom(t, s, "127.0.2.1")
	slowed := false
	for n := range 8 {
		ctx := metadata.AppendToOutgoingContext(servertest.Context(t), "x-backplane-address", fmt.Sprintf("10.0.0.%d", n), "authorization", servertest.Basic("ann", "wrong"))
		_, err := identityv1.NewIdentityAdminClient(c.conn).WhoAmI(ctx, &identityv1.WhoAmIRequest{})
		slowed = slowed || status.Code(err) == codes.ResourceExhausted
		w, err := catalogv1.NewServiceCatalogClient(c.conn).WatchServices(ctx, &catalogv1.WatchServicesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Recv()
		slowed = slowed || status.Code(err) == codes.ResourceExhausted
	}
	if !slowed {
		t.Error("a guesser who lies about its address is not slowed down")
	}
}
