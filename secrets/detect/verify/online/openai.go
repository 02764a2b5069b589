package online

import (
	"context"
	"net/http"
	"time"
)

type openAI struct{}

func (openAI) Name() string    { return "openai" }
func (openAI) Base() string    { return "https://api.openai.com" }
func (openAI) Rules() []string { return []string{"openai-api-key", "openai-api-key-unmarked"} }

func (openAI) Request(ctx context.Context, base string, q Question, _ time.Time) (*http.Request, error) {
	return get(ctx, base+"/v1/models", "Authorization", "Bearer "+string(q.Secret.Reveal()))
}

// Read takes the organisation from the header; a key that may not list models
// works for something else.
func (openAI) Read(status int, header http.Header, _ []byte) Answer {
	if status == http.StatusForbidden {
		return Answer{State: Live}
	}
	return byStatus(status, header.Get("Openai-Organization"))
}
