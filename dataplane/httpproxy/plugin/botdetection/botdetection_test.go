package botdetection

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func start(t *testing.T, config string) *gatewaytest.Gateway {
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, gatewaytest.Plugin("bot-detection", config))
}

const browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"

func TestBotsAreRefused(t *testing.T) {
	g := start(t, `{}`)
	for agent, refused := range map[string]bool{
		"Go-http-client/1.1": true, "okhttp/4.9.1": true, "axios/1.6.2": true, "Apache-HttpClient/4.5 (Java/1.8)": true,
		"Python-urllib/3.11": true, "facebookexternalhit/1.1": true, "Twitterbot/1.0": true, "Scrapy/2.11 (+https://scrapy.org)": true,
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": true,
		"Mozilla/5.0 (compatible; bingbot/2.0)":                                    true,
		"Mozilla/5.0 (compatible; Baiduspider/2.0)":                                true,
		"Mozilla/5.0 (compatible; YandexImages/3.0)":                               true,
		"Mozilla/5.0 (compatible; Yahoo! Slurp)":                                   true,
		"SomeCrawler 1.2":                                                          true, "archive.org_bot": true, "Page Scraper/2": true, "AhrefsBot": true,
		browser: false, "curl/8.5.0": false, "Wget/1.21": false, "python-requests/2.31": false, "PostmanRuntime/7.36": false,
		"Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/100": false, "Bottle/1.0": false, "Abbot's Browser": true,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) Version/17.2 Mobile/15E148 Safari/604.1": false,
	} {
		for range 2 { // the second time it is known
			res := g.Get("/", "User-Agent", agent)
			if (res.StatusCode == 403) != refused {
				t.Errorf("%s: %s", agent, res.Status)
			}
			if refused && res.JSON(t)["message"] != "Forbidden" {
				t.Errorf("%s: %s", agent, res.Text)
			}
		}
	}
}

func TestTheConfigurationComesBeforeTheList(t *testing.T) {
	g := start(t, `{"allow":["^okhttp/4","Nice.*"],"deny":["Chrome/120","Nice Bad"]}`)
	for agent, status := range map[string]int{
		"okhttp/4.9": 200, "okhttp/3.0": 403, browser: 403, "Nice Bad": 200, "Chrome/121": 200,
	} {
		if res := g.Get("/", "User-Agent", agent); res.StatusCode != status {
			t.Errorf("%s: %s", agent, res.Status)
		}
	}
}

func TestRequestsThatDoNotSayWhatTheyAreFrom(t *testing.T) {
	g := start(t, `{}`)
	for fields, status := range map[string]int{
		"": 200, "User-Agent: curl/8\r\nUser-Agent: x\r\n": 400, "User-Agent: bot\r\n": 403,
	} {
		c, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\n%sConnection: close\r\n\r\n", fields); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		_ = c.Close()
		if res.StatusCode != status {
			t.Errorf("%q: %s", fields, res.Status)
		}
	}
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	p := &plugin{allow: []*regexp.Regexp{regexp.MustCompile("^browser")}}
	for i := range 2*maxJudged + 10 {
		p.refuses(fmt.Sprintf("browser %d", i))
	}
	p.refuses(strings.Repeat("x", maxLength+1))
	n := 0
	p.judged.Range(func(k, _ any) bool { n++; return len(k.(string)) <= maxLength })
	if n > maxJudged {
		t.Errorf("%d are known", n)
	}
}

func TestExpressionsMustBeValid(t *testing.T) {
	m := Module()
	if got := gatewaytest.Violations(t, &m.Config, `{"deny":["("]}`); !strings.HasPrefix(got, "schema violation (deny.1: ") {
		t.Error(got)
	}
}

func FuzzIsBot(f *testing.F) {
	f.Add("Googlebot/2.1")
	f.Add(browser)
	f.Fuzz(func(t *testing.T, agent string) {
		if !isBot(agent+" ") && isBot(agent) {
			t.Fatalf("%q is a bot only at the end of the text", agent)
		}
	})
}
