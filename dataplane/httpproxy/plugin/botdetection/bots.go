package botdetection

import (
	"regexp"
	"strings"
)

// products are what libraries and crawlers call themselves where no word gives
// them away.
var products = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(?:` + strings.Join([]string{
	// Libraries and tools.
	`go-http-client`, `okhttp`, `axios`, `apache-httpclient`, `google-http-java-client`, `python-urllib`,
	`aihttp`, `reqwest`, `scalaj-http`, `unirest-[a-z]+`, `http%20client`, `winhttp`, `jnlp`, `scrapy`, `whatweb`,
	`tlsprober`, `httpmonitor`, `simplepie`, `web-sniffer`, `web(?:zip|thumb)`,
	// Search engines, archives, previews.
	`facebookexternalhit`, `bingpreview`, `mediapartners-google`, `appengine-google`, `google-?(?:favicon|web-snippet)`,
	`adsbot-google`, `slurp`, `ia_archiver`, `internetarchive`, `heritrix`, `nutch`, `larbin`, `htdig`, `ichiro`,
	`yandex[a-z]+`, `yahooseeker`, `yahoocacheseeker`, `yeti`, `daumoa`, `ask jeeves`, `msiecrawler`, `altavista`, `lycos`,
	`pingdom`, `yottaamonitor`, `gomezagent`, `netvibes`, `newsgator`, `wordpress`, `thumbshots`, `url2png`,
	`xenu`, `findlinks`, `grub-client`, `steeler`, `wotbox`, `zyborg`, `pompos`, `scooter`, `vagabondo`, `holmes`,
	`boitho\.com-dc`, `boardreader`, `dataparksearch`, `baidumobaider`, `gsa-crawler`, `searchsight`, `pagepeeker`,
}, `|`) + `)(?:$|[^a-z])`)

// trades are words for what programs do that go through pages.
var trades = regexp.MustCompile(`(?i)(?:spider|crawl|scrap(?:e|er|ing)(?:$|[^a-z])|archiver(?:$|[^a-z])|indexer(?:$|[^a-z]))`)

// robots are names that end in "bot".
var robots = regexp.MustCompile(`(?i)([a-z0-9_]*)bot(?:$|[^a-z])`)

// isBot tells whether a User-Agent is that of a program. What is very long is
// not looked at to its end.
func isBot(agent string) bool {
	agent = agent[:min(len(agent), maxLength)]
	if products.MatchString(agent) || trades.MatchString(agent) {
		return true
	}
	for _, m := range robots.FindAllStringSubmatch(agent, -1) {
		// Cubot makes telephones.
		if !strings.EqualFold(m[1], "cu") {
			return true
		}
	}
	return false
}
