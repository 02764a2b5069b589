package online

import (
	"context"
	"net/http"
	"strings"
	"time"
)

type gitHub struct{}

func (gitHub) Name() string { return "github" }
func (gitHub) Base() string { return "https://api.github.com" }

func (gitHub) Rules() []string {
	return []string{"github-pat", "github-oauth", "github-app-token", "github-fine-grained-pat"}
}

// Request asks who the token is. An installation's token is nobody, but may ask
// for its rate limit.
func (gitHub) Request(ctx context.Context, base string, q Question, _ time.Time) (*http.Request, error) {
	token := string(q.Secret.Reveal())
	path := "/user"
	if strings.HasPrefix(token, "ghs_") {
		path = "/rate_limit"
	}
	return get(ctx, base+path, "Authorization", "Bearer "+token)
}

func (gitHub) Read(status int, _ http.Header, body []byte) Answer {
	return byStatus(status, field(body, "login"))
}
