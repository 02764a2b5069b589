package link_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

func goodEnrolment() link.Enrolment {
	return link.Enrolment{
		URL: "https://interlock.example:8443", CA: strings.Repeat("ab", 32), Root: strings.Repeat("cd", 32), ID: "tok-1",
		Secret: core.NewSecret([]byte("s3cr3t-canary-0123456789_-x")), Fact: strings.Repeat("ef", 32),
	}
}

func TestEnrolmentString(t *testing.T) {
	s, err := goodEnrolment().Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "enrolment.txt", []byte(s+"\n"))
	e, err := link.ParseEnrolment(s)
	if err != nil || e.URL != goodEnrolment().URL || e.Fact != goodEnrolment().Fact || !e.Secret.Equal(goodEnrolment().Secret.Reveal()) {
		t.Fatalf("%+v, %v", e, err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e), "canary") {
		t.Error("printing an enrolment prints its secret")
	}
}

func TestEnrolmentRules(t *testing.T) {
	for name, change := range map[string]func(*link.Enrolment){
		"http":            func(e *link.Enrolment) { e.URL = "http://a:1" },
		"user in url":     func(e *link.Enrolment) { e.URL = "https://u:p@a:1" },
		"path in url":     func(e *link.Enrolment) { e.URL = "https://a:1/x" },
		"query in url":    func(e *link.Enrolment) { e.URL = "https://a:1?x" },
		"no host":         func(e *link.Enrolment) { e.URL = "https://" },
		"url in capitals": func(e *link.Enrolment) { e.URL = "HTTPS://a:1" },
		"no ca":           func(e *link.Enrolment) { e.CA = "" },
		"no root":         func(e *link.Enrolment) { e.Root = "" },
		"root form":       func(e *link.Enrolment) { e.Root = strings.ToUpper(e.Root) },
		"fact":            func(e *link.Enrolment) { e.Fact = "x" },
		"id":              func(e *link.Enrolment) { e.ID = "../x" },
		"short secret":    func(e *link.Enrolment) { e.Secret = core.NewSecret([]byte("short")) },
		"long secret":     func(e *link.Enrolment) { e.Secret = core.NewSecret([]byte(strings.Repeat("x", 129))) },
		"secret alphabet": func(e *link.Enrolment) { e.Secret = core.NewSecret([]byte("s3cr3t canary 0123456789 x")) },
		"no secret":       func(e *link.Enrolment) { e.Secret = core.Secret{} },
	} {
		e := goodEnrolment()
		change(&e)
		if _, err := e.Encode(); core.KindOf(err) != core.KindInvalid || core.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := goodEnrolment().Encode()
	if err != nil {
		t.Fatal(err)
	}
	prefix, body := good[:len("interlock-enrol:v1:")], good[len("interlock-enrol:v1:"):]
	decoded, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	wire := string(decoded)
	again := func(json string) string { return prefix + base64.RawURLEncoding.EncodeToString([]byte(json)) }
	for _, bad := range []string{
		"", prefix, body, " " + good, good + "\n", good + "=", strings.Replace(good, "v1", "v2", 1), good[:len(good)-4], prefix + strings.Repeat("A", 3000),
		prefix + body[:40] + "\n" + body[40:], again(`{}`), again(" " + wire), again(`{"url":"https://a:1","ca":"","root":"","id":"a","secret":"canary","fact":"","more":1}`),
	} {
		if _, err := link.ParseEnrolment(bad); core.KindOf(err) != core.KindInvalid || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestShortCode(t *testing.T) {
	a, b := link.ShortCode([]byte("a")), link.ShortCode([]byte("b"))
	if a == b || a != link.ShortCode([]byte("a")) || len(a) != 14 || strings.Trim(a, "0123456789ABCDEFGHJKMNPQRSTVWXYZ-") != "" {
		t.Errorf("%s, %s", a, b)
	}
	if a != "A96S-SJBP-JJE6" {
		t.Errorf("the code of \"a\" is now %s; devices in the field show the old one", a)
	}
}

func FuzzParseEnrolment(f *testing.F) {
	s, err := goodEnrolment().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s)
	f.Fuzz(func(t *testing.T, s string) {
		e, err := link.ParseEnrolment(s)
		if err != nil {
			return
		}
		if _, err := e.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}
