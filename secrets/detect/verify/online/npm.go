package online

import (
	"context"
	"net/http"
	"time"
)

type npm struct{}

func (npm) Name() string    { return "npm" }
func (npm) Base() string    { return "https://registry.npmjs.org" }
func (npm) Rules() []string { return []string{"npm-access-token"} }

func (npm) Request(ctx context.Context, base string, q Question, _ time.Time) (*http.Request, error) {
	return get(ctx, base+"/-/whoami", "Authorization", "Bearer "+string(q.Secret.Reveal()))
}

func (npm) Read(status int, _ http.Header, body []byte) Answer {
	return byStatus(status, field(body, "username"))
}
