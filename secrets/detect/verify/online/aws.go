package online

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// aws asks STS who calls: the one action that every key may do.
type aws struct{}

func (aws) Name() string { return "aws" }
func (aws) Base() string { return "https://sts.amazonaws.com" }

func (aws) Rules() []string {
	return []string{"aws-secret-access-key", "aws-secret-beside-id", "aws-credentials-file"}
}

const (
	stsBody   = "Action=GetCallerIdentity&Version=2011-06-15"
	stsRegion = "us-east-1"
)

func (aws) Request(ctx context.Context, base string, q Question, now time.Time) (*http.Request, error) {
	if q.ID == "" {
		return nil, core.E(core.KindInvalid, "online.Ask", "AWS can be asked only with the access key id that belongs to the secret")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/", strings.NewReader(stsBody))
	if err != nil {
		return nil, core.E(core.KindInvalid, "online.Ask", "the address is none")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sign(r, q, now)
	return r, nil
}

// sign is signature version 4 of a POST with a fixed body.
func sign(r *http.Request, q Question, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	day := stamp[:8]
	r.Header.Set("X-Amz-Date", stamp)
	names := "content-type;host;x-amz-date"
	headers := "content-type:" + r.Header.Get("Content-Type") + "\nhost:" + r.URL.Host + "\nx-amz-date:" + stamp + "\n"
	if !q.Session.IsZero() {
		session := string(q.Session.Reveal())
		r.Header.Set("X-Amz-Security-Token", session)
		names += ";x-amz-security-token"
		headers += "x-amz-security-token:" + session + "\n"
	}
	canonical := strings.Join([]string{http.MethodPost, "/", "", headers, names, hash(stsBody)}, "\n")
	scope := day + "/" + stsRegion + "/sts/aws4_request"
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hash(canonical)}, "\n")
	key := mac([]byte("AWS4"+string(q.Secret.Reveal())), day)
	for _, part := range []string{stsRegion, "sts", "aws4_request"} {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+url.PathEscape(q.ID)+"/"+scope+", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac(key, text)))
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Read knows the names of the errors that say that the key is none.
func (aws) Read(status int, _ http.Header, body []byte) Answer {
	var ok struct {
		ARN string `xml:"GetCallerIdentityResult>Arn"`
	}
	if status == http.StatusOK && xml.Unmarshal(body, &ok) == nil {
		return Answer{State: Live, Owner: ok.ARN}
	}
	var failed struct {
		Code string `xml:"Error>Code"`
	}
	if xml.Unmarshal(body, &failed) == nil {
		switch failed.Code {
		case "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidAccessKeyId":
			return Answer{State: Dead}
		}
	}
	return Answer{State: Unclear}
}
