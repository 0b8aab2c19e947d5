package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// handling says what becomes of an option of a connection string.
type handling int

const (
	unknown handling = iota
	passed           // the driver gets it
	ours             // read here
	tuning           // good, but of no use to a test
	refused          // would read this machine's files or use its identity
)

// known are the options the driver understands. It ignores all others without
// a word, so that a typing error would go unnoticed.
var known = map[string]handling{
	"authmechanism": passed, "authsource": passed, "connect": passed, "directconnection": passed,
	"loadbalanced": passed, "readpreference": passed, "readpreferencetags": passed, "replicaset": passed,
	"maxstaleness": passed, "maxstalenessseconds": passed, "readconcernlevel": passed, "w": passed, "journal": passed,

	"tls": ours, "ssl": ours, "tlsinsecure": ours, "sslinsecure": ours, "srvmaxhosts": ours, "srvservicename": ours,

	"appname": tuning, "compressors": tuning, "connecttimeoutms": tuning, "enableoverloadretargeting": tuning,
	"heartbeatfrequencyms": tuning, "heartbeatintervalms": tuning, "localthresholdms": tuning, "maxadaptiveretries": tuning,
	"maxconnecting": tuning, "maxidletimems": tuning, "maxpoolsize": tuning, "minpoolsize": tuning, "retryreads": tuning,
	"retrywrites": tuning, "servermonitoringmode": tuning, "serverselectiontimeoutms": tuning, "sockettimeoutms": tuning,
	"timeoutms": tuning, "tlsdisablecertificaterevocationcheck": tuning, "tlsdisableocspendpointcheck": tuning,
	"waitqueuetimeoutms": tuning, "wtimeoutms": tuning, "zlibcompressionlevel": tuning, "zstdcompressionlevel": tuning,
	"uuidrepresentation": tuning,

	"authmechanismproperties": refused, "sslcertificateauthorityfile": refused, "sslclientcertificatekeyfile": refused,
	"sslclientcertificatekeypassword": refused, "tlscafile": refused, "tlscertificatefile": refused,
	"tlscertificatekeyfile": refused, "tlscertificatekeyfilepassword": refused, "tlsprivatekeyfile": refused,
}

// mechanisms are the ways to log in with what the configuration holds.
const mechanisms = "SCRAM-SHA-256, SCRAM-SHA-1, PLAIN and MONGODB-X509"

func (u *uri) parseOptions(query string) error {
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, raw, ok := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		if !ok || err != nil {
			return errors.New("must have options of the form name=value")
		}
		switch known[strings.ToLower(key)] {
		case unknown:
			return fmt.Errorf("has the unknown option %q", key)
		case refused:
			return fmt.Errorf("must not use %s: TLS files go into tls_ca, tls_client_cert and tls_client_key", key)
		}
		u.options = append(u.options, option{key, value})
	}
	return u.checkOptions()
}

func (u *uri) checkOptions() error {
	for _, key := range []string{"tls", "ssl", "tlsInsecure", "sslInsecure"} {
		if v := u.get(key); v != "" && v != "true" && v != "false" {
			return fmt.Errorf("must have true or false for %s", key)
		}
	}
	if a, b := u.get("tls"), u.get("ssl"); a != "" && b != "" {
		return errors.New("must not have both tls and ssl")
	}
	switch m := strings.ToUpper(u.get("authMechanism")); m {
	case "", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "MONGODB-X509":
	default:
		return errors.New("must use an authMechanism that needs nothing of this machine: " + mechanisms)
	}
	if !u.srv {
		if u.get("srvMaxHosts") != "" || u.get("srvServiceName") != "" {
			return errors.New("must begin with mongodb+srv:// for options that begin with srv")
		}
		return nil
	}
	if u.get("directConnection") == "true" || strings.EqualFold(u.get("connect"), "direct") {
		return errors.New("must not ask for a direct connection with mongodb+srv://")
	}
	if n := u.get("srvMaxHosts"); n != "" {
		if _, err := strconv.ParseUint(n, 10, 16); err != nil {
			return errors.New("must have a number for srvMaxHosts")
		}
	}
	return nil
}
