package online

import (
	"context"
	"net/http"
	"time"
)

type gitLab struct{}

func (gitLab) Name() string    { return "gitlab" }
func (gitLab) Base() string    { return "https://gitlab.com" }
func (gitLab) Rules() []string { return []string{"gitlab-pat", "gitlab-pat-routable"} }

func (gitLab) Request(ctx context.Context, base string, q Question, _ time.Time) (*http.Request, error) {
	return get(ctx, base+"/api/v4/personal_access_tokens/self", "PRIVATE-TOKEN", string(q.Secret.Reveal()))
}

func (gitLab) Read(status int, _ http.Header, body []byte) Answer {
	return byStatus(status, field(body, "name"))
}
