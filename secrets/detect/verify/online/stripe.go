package online

import (
	"context"
	"net/http"
	"time"
)

type stripe struct{}

func (stripe) Name() string    { return "stripe" }
func (stripe) Base() string    { return "https://api.stripe.com" }
func (stripe) Rules() []string { return []string{"stripe-access-token", "stripe-test-token"} }

func (stripe) Request(ctx context.Context, base string, q Question, _ time.Time) (*http.Request, error) {
	return get(ctx, base+"/v1/account", "Authorization", "Bearer "+string(q.Secret.Reveal()))
}

// Read takes 403 for a key that works and may less: a restricted one.
func (stripe) Read(status int, _ http.Header, body []byte) Answer {
	if status == http.StatusForbidden {
		return Answer{State: Live}
	}
	return byStatus(status, field(body, "id"))
}
