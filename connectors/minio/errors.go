package minio

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/backplane/backplane/connectors"
)

const rights = "The keys need the rights s3:ListBucket and s3:GetBucketLocation on the bucket."

func (cl *client) mismatch() *connectors.Failure { return connectors.Mismatch("an S3", cl.p.First()) }

// refusal turns an answer that is no success into a Failure.
func (cl *client) refusal(a *answer) error {
	f := &connectors.Failure{Detail: a.fault.Message, Err: errors.New(http.StatusText(a.status) + " " + a.fault.Code)}
	switch a.code() {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidTokenId", "ExpiredToken":
		f.Code, f.Detail, f.Stage = connectors.AuthFailed, "", connectors.StageAuth
		f.Hint = "Check access_key, secret_key and, for temporary keys, session_token."
	case "NoSuchBucket":
		m := connectors.Missing(connectors.BucketMissing, "Bucket", cl.bucket, f.Err)
		m.Stage = connectors.StageSelect
		return m
	case "AccessDenied", "AllAccessDisabled", "AccountProblem":
		f.Code, f.Stage = connectors.PermissionDenied, connectors.StageSelect
		f.Detail, f.Hint = "the keys may not list the buckets", "Name a bucket, if the keys are for one alone."
		if cl.bucket != "" {
			f.Detail, f.Hint = "the bucket does not exist or the keys may not use it", rights
		}
	case "RequestTimeTooSkewed":
		f.Code, f.Detail, f.Stage = connectors.InvalidConfig, "the clocks of this machine and of the server disagree", connectors.StageAuth
		f.Hint = "Set the clock right."
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "InvalidRegion", "IllegalLocationConstraintException":
		return cl.wrongRegion(a, f)
	default:
		return cl.other(a, f)
	}
	return f
}

func (cl *client) wrongRegion(a *answer, f *connectors.Failure) error {
	f.Code, f.Detail, f.Stage = connectors.InvalidConfig, "this is the wrong region or endpoint", connectors.StageAuth
	region := a.fault.Region
	if region == "" {
		region = a.header.Get("X-Amz-Bucket-Region")
	}
	if region != "" {
		f.Detail, f.Hint = "the region is "+region, "Set region to "+region+"."
	}
	return f
}

// other covers answers without a known S3 code, which may not come from an S3
// server at all.
func (cl *client) other(a *answer, f *connectors.Failure) error {
	switch {
	case asksForTLS(a.body):
		return &connectors.Failure{Code: connectors.TLSRequired, Hint: "Set use_ssl.", Err: f.Err}
	case a.status == http.StatusServiceUnavailable, a.status == http.StatusTooManyRequests, a.code() == "SlowDown", a.code() == "InternalError":
		f.Code = connectors.ServerBusy
		if f.Detail == "" {
			f.Detail = http.StatusText(a.status)
		}
		return f
	case !a.fromS3():
		return cl.mismatch()
	}
	f.Code, f.Phrase = connectors.ProtocolMismatch, "The server refused the request"
	if f.Detail == "" {
		f.Detail = http.StatusText(a.status)
	}
	return f
}

// asksForTLS recognises how HTTPS servers, those written in Go and nginx,
// answer a request in plain text.
func asksForTLS(body []byte) bool {
	return bytes.Contains(body, []byte("HTTP request to an HTTPS server")) ||
		bytes.Contains(body, []byte("plain HTTP request was sent to HTTPS port"))
}
