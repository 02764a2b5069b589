package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
)

// bodies are a good body for each route that takes one, with ID for an object
// that there is.
var bodies = map[string]string{
	"/v1/devices/press-7/quarantine": `{"reason":"r","incident":"","presence":""}`,
	"/v1/devices/press-7/release":    `{"reason":"r","incident":"","presence":""}`,
	"/v1/devices/press-7/approve":    `{"code":"AAAA-AAAA-AAAA"}`,
	"/v1/tokens":                     `{"site":"hall-a","device":"press-8","ttl":"30m","fact":""}`,
	"/v1/orders/ID/approvals":        `{"keyid":"SHA256:x","sig":"AA=="}`,
	"/v1/incidents/ID/move":          `{"to":"triaged","reason":"r","into":""}`,
	"/v1/runs/ID/start":              `{}`,
}

// TestBodiesAreReadStrictly: what is not exactly a request is refused, by kind,
// and leaves nothing behind.
func TestBodiesAreReadStrictly(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	in, run := r.tampered(press)
	for path, good := range bodies {
		path = strings.Replace(path, "runs/ID", "runs/"+run.ID.String(), 1)
		path = strings.Replace(path, "ID", in.ID.String(), 1)
		first := strings.Split(good, `"`)
		for name, body := range map[string]string{
			"nothing":           "",
			"no object":         `[]`,
			"text":              `"x"`,
			"null":              `null`,
			"an unknown key":    strings.Replace(good, "{", `{"evil":1,`, 1),
			"trailing bytes":    good + "x",
			"a second object":   good + good,
			"cut off":           good[:len(good)-1],
			"not UTF-8":         strings.Replace(good, "{", "{\"\xff\":1,", 1),
			"too deep":          strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
			"an array in it":    strings.Repeat("[", 60_000),
			"a byte order mark": "\ufeff" + good,
		} {
			if strings.HasSuffix(body, ",}") {
				body = strings.Replace(body, ",}", "}", 1)
			}
			r.refused("anna", "POST", path, body, core.KindInvalid)
			_ = name
		}
		if len(first) > 2 {
			key := first[1]
			r.refused("anna", "POST", path, strings.Replace(good, "{", `{"`+key+`":"a",`, 1), core.KindInvalid, key)
			r.refused("anna", "POST", path, strings.Replace(good, `"`+key+`"`, `"`+strings.ToUpper(key)+`"`, 1), core.KindInvalid, strings.ToUpper(key))
			r.refused("anna", "POST", path, strings.Replace(good, `"`+key+`":`+`"`+first[3]+`"`, `"`+key+`":7`, 1), core.KindInvalid)
		}
		r.refused("anna", "POST", path, strings.Replace(good, "{", `{"x":"`+strings.Repeat("a", 129<<10)+`",`, 1), core.KindTooLarge)
	}
	if orders, err := r.orders.List(t.Context(), tenant, press, 10); err != nil || len(orders) != 0 {
		t.Errorf("bad requests made %d orders, %v", len(orders), err)
	}
}

// TestValuesAreHeldAgainstTheirMeaning: a well-formed request with a value that
// can't be.
func TestValuesAreHeldAgainstTheirMeaning(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	in, _ := r.tampered(press)
	move := "/v1/incidents/" + in.ID.String() + "/move"
	for _, row := range []struct {
		path, body string
		kind       core.Kind
		says       string
	}{
		{"/v1/tokens", `{"site":"hall-a","device":"press-8","ttl":"often","fact":""}`, core.KindInvalid, "30m"},
		{"/v1/tokens", `{"site":"hall-a","device":"press-8","ttl":"-1h","fact":""}`, core.KindInvalid, ""},
		{"/v1/tokens", `{"site":"hall-a","device":"press-8","ttl":"9999h","fact":""}`, core.KindInvalid, ""},
		{"/v1/tokens", `{"site":"../../etc","device":"press-8","ttl":"1h","fact":""}`, core.KindInvalid, ""},
		{"/v1/tokens", `{"site":"hall-a","device":"../../etc/x","ttl":"1h","fact":""}`, core.KindInvalid, ""},
		{"/v1/tokens", `{"site":"hall-a","device":"press-8","ttl":"1h","fact":"zz"}`, core.KindInvalid, ""},
		{"/v1/tokens", `{"site":"hall-b","device":"press-8","ttl":"1h","fact":""}`, core.KindDenied, "site"},
		{"/v1/devices/press-7/quarantine", `{"reason":"","incident":"","presence":""}`, core.KindInvalid, "reason"},
		{"/v1/devices/press-7/quarantine", `{"reason":"` + strings.Repeat("a", 501) + `","incident":"","presence":""}`, core.KindInvalid, "reason"},
		{"/v1/devices/press-9/quarantine", `{"reason":"r","incident":"","presence":""}`, core.KindNotFound, "press-9"},
		{move, `{"to":"closed","reason":"done","into":""}`, core.KindConflict, "from new it goes to"},
		{move, `{"to":"CLOSED","reason":"done","into":""}`, core.KindInvalid, "is not an incident state"},
		{move, `{"to":"false-positive","reason":"","into":""}`, core.KindInvalid, "needs a reason"},
		{move, `{"to":"merged","reason":"r","into":""}`, core.KindInvalid, "another open incident"},
		{move, `{"to":"merged","reason":"r","into":"` + in.ID.String() + `"}`, core.KindInvalid, "another open incident"},
		{move, `{"to":"merged","reason":"r","into":"x"}`, core.KindInvalid, ""},
		{move, `{"to":"triaged","reason":"` + strings.Repeat("a", 501) + `","into":""}`, core.KindTooLarge, "reason"},
	} {
		var says []string
		if row.says != "" {
			says = []string{row.says}
		}
		r.refused("anna", "POST", row.path, row.body, row.kind, says...)
	}
}

// TestNamesThatAreNone: whatever stands where an id belongs, the answer is a
// problem, never a file, a fault of ours or somebody else's object.
func TestNamesThatAreNone(t *testing.T) {
	r := newRig(t)
	for _, route := range r.mux.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if !strings.Contains(path, "{id}") {
			continue
		}
		body := ""
		for p, b := range bodies {
			if method == "POST" && p[strings.LastIndexByte(p, '/'):] == path[strings.LastIndexByte(path, '/'):] {
				body = b
			}
		}
		if method == "POST" && body == "" {
			body = bodies["/v1/devices/press-7/quarantine"]
		}
		for _, id := range []string{
			"..%2f..%2fetc%2fx", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..", ".", "%00", "a%00b", "PRESS-7", "press%207", "press-7%0a", "%ff%fe",
			strings.Repeat("a", 300), "'%20OR%201=1--", "*", "null", "-1", "18446744073709551616", "00000000-0000-0000-0000-000000000000",
		} {
			code, b := r.ask("anna", method, strings.Replace(path, "{id}", id, 1), body)
			switch code {
			case http.StatusBadRequest, http.StatusNotFound:
			case http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusMovedPermanently, http.StatusMethodNotAllowed:
				// net/http cleans . and .. out of a path; nothing was called
			default:
				t.Errorf("%s with %q: %d %.200s", route.Pattern, id, code, b)
			}
			if strings.Contains(string(b), "SQL") || strings.Contains(string(b), "goroutine") {
				t.Errorf("%s with %q tells its insides: %s", route.Pattern, id, b)
			}
		}
	}
}

// TestQueriesAreReadStrictly: a number out of range or a word that is no boolean
// is refused, not taken for a default.
func TestQueriesAreReadStrictly(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{
		"/v1/events?last=-1", "/v1/events?last=10001", "/v1/events?last=1e3", "/v1/events?last=", "/v1/events?follow=maybe",
		"/v1/alerts?all=2", "/v1/incidents?all=yes", "/v1/runs?incident=x", "/v1/audit/entries?limit=10001", "/v1/audit/entries?limit=many",
		"/v1/audit/entries?since=yesterday", "/v1/audit/entries?until=2026-13-01T00:00:00Z",
	} {
		r.refused("anna", "GET", path, "", core.KindInvalid)
	}
}
