package online_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/secrets/detect/rules"
	"github.com/interlock-security/interlock/secrets/detect/verify/online"
)

const secret = "not-a-real-" + "value-4711"

func question(rule string) online.Question {
	return online.Question{Rule: rule, Secret: core.NewSecret([]byte(secret)), ID: "AK" + "IAEXAMPLEEXAMPLEXX"}
}

// TestEachProvider asks a server that answers as the provider does.
func TestEachProvider(t *testing.T) {
	for _, c := range []struct {
		rule, path, header string
		status             int
		body               string
		state              online.State
		owner              string
	}{
		{"github-pat", "/user", "Authorization", 200, `{"login":"octo"}`, online.Live, "octo"},
		{"github-pat", "/user", "Authorization", 401, `{}`, online.Dead, ""},
		{"github-pat", "/user", "Authorization", 503, ``, online.Unclear, ""},
		{"gitlab-pat", "/api/v4/personal_access_tokens/self", "Private-Token", 200, `{"name":"ci"}`, online.Live, "ci"},
		{"gitlab-pat", "/api/v4/personal_access_tokens/self", "Private-Token", 401, `{}`, online.Dead, ""},
		{"slack-bot-token", "/api/auth.test", "Authorization", 200, `{"ok":true,"team":"t","user":"u"}`, online.Live, "u of t"},
		{"slack-bot-token", "/api/auth.test", "Authorization", 200, `{"ok":false,"error":"invalid_auth"}`, online.Dead, ""},
		{"slack-bot-token", "/api/auth.test", "Authorization", 200, `{"ok":false,"error":"ratelimited"}`, online.Unclear, ""},
		{"slack-bot-token", "/api/auth.test", "Authorization", 200, `<html>`, online.Unclear, ""},
		{"stripe-access-token", "/v1/account", "Authorization", 200, `{"id":"acct_1"}`, online.Live, "acct_1"},
		{"stripe-access-token", "/v1/account", "Authorization", 403, `{}`, online.Live, ""},
		{"stripe-access-token", "/v1/account", "Authorization", 401, `{}`, online.Dead, ""},
		{"npm-access-token", "/-/whoami", "Authorization", 200, `{"username":"n"}`, online.Live, "n"},
		{"npm-access-token", "/-/whoami", "Authorization", 401, `{}`, online.Dead, ""},
		{"openai-api-key", "/v1/models", "Authorization", 200, `{}`, online.Live, "org"},
		{"openai-api-key", "/v1/models", "Authorization", 403, `{}`, online.Live, ""},
		{"openai-api-key", "/v1/models", "Authorization", 401, `{}`, online.Dead, ""},
		{"aws-secret-access-key", "/", "Authorization", 200, `<R><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/a</Arn></GetCallerIdentityResult></R>`, online.Live, "arn:aws:iam::1:user/a"},
		{"aws-secret-access-key", "/", "Authorization", 403, `<E><Error><Code>InvalidClientTokenId</Code></Error></E>`, online.Dead, ""},
		{"aws-secret-access-key", "/", "Authorization", 403, `<E><Error><Code>Throttling</Code></Error></E>`, online.Unclear, ""},
	} {
		t.Run(fmt.Sprint(c.rule, c.status, c.state), func(t *testing.T) {
			asked := false
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.Path == c.path && r.Header.Get(c.header) != ""
				if !strings.HasPrefix(c.rule, "aws") && !strings.Contains(r.Header.Get(c.header), secret) {
					t.Error("the secret isn't sent")
				}
				if strings.HasPrefix(c.rule, "aws") && strings.Contains(fmt.Sprint(r.Header), secret) {
					t.Error("AWS's secret is sent instead of a signature")
				}
				w.Header().Set("Openai-Organization", "org")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			a, err := client(server).Ask(t.Context(), question(c.rule))
			if err != nil || !asked || a.State != c.state || a.Owner != c.owner && c.state == online.Live || a.Status != c.status {
				t.Errorf("%+v, %v, asked %v", a, err, asked)
			}
		})
	}
}

func client(server *httptest.Server) *online.Client {
	base := map[string]string{}
	for _, p := range online.Providers() {
		base[p.Name()] = server.URL
	}
	return online.New(online.Options{HTTP: server.Client(), Clock: core.SystemClock{}, Base: base, Every: time.Nanosecond})
}

// TestTheSecretGoesNowhereElse: no redirect to another host is followed, no
// address without TLS is asked, and no error shows the secret.
func TestTheSecretGoesNowhereElse(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("another host was asked")
	}))
	defer other.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	a, err := client(server).Ask(t.Context(), question("slack-bot-token"))
	if err != nil || a.State != online.Unclear {
		t.Errorf("%+v, %v", a, err)
	}
	for _, base := range []string{"http://api.example.com", "https://u:p@example.com", "ftp://x", "::", "https://"} {
		c := online.New(online.Options{Clock: core.SystemClock{}, Base: map[string]string{"github": base}})
		if _, err := c.Ask(t.Context(), question("github-pat")); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", base, err)
		}
	}
	server.Close()
	_, err = client(server).Ask(t.Context(), question("github-pat"))
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
		t.Errorf("an unreachable host: %v", err)
	}
}

// TestQuestionsStandInALine: the second question waits, and stops with its
// context.
func TestQuestionsStandInALine(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }))
	defer server.Close()
	clock := clocktest.New(time.Unix(1_800_000_000, 0))
	c := online.New(online.Options{HTTP: server.Client(), Clock: clock, Base: map[string]string{"npm": server.URL}})
	if _, err := c.Ask(t.Context(), question("npm-access-token")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *core.Error
	if _, err := c.Ask(ctx, question("npm-access-token")); !errors.As(err, &e) || e.Kind != core.KindUnavailable {
		t.Errorf("a question that waits and is stopped: %v", err)
	}
}

func TestWhoCanBeAsked(t *testing.T) {
	c := online.New(online.Options{Clock: core.SystemClock{}})
	if c.Knows("netrc-password") {
		t.Error("nobody knows of a .netrc")
	}
	if _, err := c.Ask(t.Context(), question("netrc-password")); err == nil {
		t.Error("and nobody is asked")
	}
	if _, err := c.Ask(t.Context(), online.Question{Rule: "aws-secret-access-key", Secret: core.NewSecret([]byte(secret))}); err == nil {
		t.Error("AWS needs the key's id")
	}
	known := map[string]bool{}
	for _, r := range rules.All() {
		known[r.ID] = true
	}
	for _, g := range rules.Grammars() {
		for _, r := range g.Rules() {
			known[r.ID] = true
		}
	}
	for _, p := range online.Providers() {
		for _, r := range p.Rules() {
			if !known[r] || !c.Knows(r) {
				t.Errorf("%s: no rule is called %s", p.Name(), r)
			}
		}
	}
}
