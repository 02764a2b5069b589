package online

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

type slack struct{}

func (slack) Name() string { return "slack" }
func (slack) Base() string { return "https://slack.com" }

func (slack) Rules() []string {
	return []string{"slack-bot-token", "slack-user-token", "slack-legacy-bot-token", "slack-legacy-token", "slack-legacy-workspace-token"}
}

func (slack) Request(ctx context.Context, base string, q Question, _ time.Time) (*http.Request, error) {
	r, err := get(ctx, base+"/api/auth.test", "Authorization", "Bearer "+string(q.Secret.Reveal()))
	if err == nil {
		r.Method = http.MethodPost
	}
	return r, err
}

// Read looks into the answer: Slack says 200 to everybody.
func (slack) Read(status int, _ http.Header, body []byte) Answer {
	var a struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		Team  string `json:"team"`
		User  string `json:"user"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &a) != nil {
		return Answer{State: Unclear}
	}
	if a.OK {
		return Answer{State: Live, Owner: a.User + " of " + a.Team}
	}
	switch a.Error {
	case "invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed":
		return Answer{State: Dead}
	}
	return Answer{State: Unclear}
}
