package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	plantRule   = "7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a01"
	plantOwn    = "5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a7001"
	plantFilter = "5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a7002"
)

// TestRulesAreReadAndTuned: the list, a rule with its author and link, taken out
// and brought back; who may not sees no form, and is refused.
func TestRulesAreReadAndTuned(t *testing.T) {
	p := newPlant(t)
	if text := visibleText(p.page("vera", "/rules")); !strings.Contains(text, "No rule had an alert") {
		t.Error(text)
	}
	body := p.page("vera", "/rules?which=all&text=evil")
	harmless(t, "/rules", body)
	if !strings.Contains(body, `href="/rules/`+plantOwn+`"`) {
		t.Error(visibleText(body))
	}
	for _, who := range []string{"vera", "otto"} {
		body = p.page(who, "/rules/"+plantOwn)
		harmless(t, "/rules/"+plantOwn, body)
		if text := visibleText(body); strings.Contains(body, "/disable") || !strings.Contains(text, "urn:uuid:"+plantOwn) {
			t.Error(who, text)
		}
		form := url.Values{"csrf": {"token-of-" + who}, "owner": {"x"}, "reason": {"x"}}
		if res, _ := p.ask(who, http.MethodPost, "/rules/"+plantOwn+"/disable", form); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s took a rule out: %d", who, res.StatusCode)
		}
	}
	if to := p.submit("anna", "/rules/"+plantOwn+"/disable", "owner", hostileRule, "reason", hostileRule, "until", "2199-01-02"); to != "/rules/"+plantOwn {
		t.Error(to)
	}
	for _, path := range []string{"/rules/" + plantOwn, "/rules?which=tuned", "/rules", "/rules?which=noise"} {
		body = p.page("anna", path)
		harmless(t, path, body)
		if path != "/rules?which=noise" && !strings.Contains(visibleText(body), "silenced") {
			t.Error(path, visibleText(body))
		}
	}
	if to := p.submit("otto", "/rules/"+plantOwn+"/restore", "reason", "fixed"); to != "/rules/"+plantOwn {
		t.Error(to)
	}
	if text := visibleText(p.page("vera", "/rules?which=tuned")); !strings.Contains(text, "Every rule speaks") {
		t.Error(text)
	}
	for _, path := range []string{"/rules/nobody", "/rules/" + plantFilter} {
		if res, _ := p.ask("anna", http.MethodGet, path, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// TestAnAlertIsClosedWithItsReason (P33), and the page says so from then on.
func TestAnAlertIsClosedWithItsReason(t *testing.T) {
	p := newPlant(t)
	id := p.raise(plantPress, "lid").ID.String()
	if body := p.page("vera", "/alerts/"+id); strings.Contains(body, "/close") {
		t.Error("a viewer closes alerts")
	}
	form := url.Values{"csrf": {"token-of-otto"}, "verdict": {"false-positive"}}
	if res, _ := p.ask("otto", http.MethodPost, "/alerts/"+id+"/close", form); res.StatusCode != http.StatusBadRequest {
		t.Errorf("closed without a reason: %d", res.StatusCode)
	}
	p.submit("otto", "/alerts/"+id+"/close", "verdict", "false-positive", "reason", nasty)
	body := p.page("vera", "/alerts/"+id)
	harmless(t, "/alerts/"+id, body)
	if text := visibleText(body); !strings.Contains(text, "Closed") || strings.Contains(body, "/close\"") {
		t.Error(text)
	}
}
