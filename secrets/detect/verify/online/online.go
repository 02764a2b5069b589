// Package online asks the providers of found secrets whether these still work.
//
// Nothing asks unless somebody wants it: a question tells the provider, and
// whoever reads its logs, that the secret was found, and where from. Each kind of
// question only reads who the secret belongs to. Requests go over TLS to the
// provider's own host and follow no redirect to another; a secret is in no error
// and in no log.
//
// It stands above secrets/detect/verify, which needs no network.
package online

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// State is what the provider says of a secret.
type State string

// The states. Unclear means that the answer is neither: the secret may be
// limited, or the provider busy.
const (
	Live    State = "live"
	Dead    State = "dead"
	Unclear State = "unclear"
)

// Answer is what is known after asking.
type Answer struct {
	State State `json:"state"`
	// Owner names whose it is, as the provider says; never the secret.
	Owner string `json:"owner,omitempty"`
	// Status is the HTTP status of the answer.
	Status int `json:"status"`
}

// Question is a secret and what belongs to it.
type Question struct {
	Rule   string
	Secret core.Secret
	// ID is the public half where a secret has one: AWS's access key id.
	ID string
	// Session is AWS's session token, where there is one.
	Session core.Secret
}

// Provider knows how to ask one service.
type Provider interface {
	Name() string
	// Rules are the ids of the rules whose secrets it knows.
	Rules() []string
	// Base is the address that is asked when no other is given.
	Base() string
	// Request makes the question. The client sends it.
	Request(ctx context.Context, base string, q Question, now time.Time) (*http.Request, error)
	// Read understands the answer.
	Read(status int, header http.Header, body []byte) Answer
}

// Providers returns all that are known.
func Providers() []Provider {
	return []Provider{gitHub{}, gitLab{}, slack{}, aws{}, stripe{}, npm{}, openAI{}}
}

// Options are what a [Client] is made of.
type Options struct {
	HTTP  *http.Client // nil: one of its own with a timeout
	Clock core.Clock
	// Base takes the place of a provider's address, by the provider's name: a
	// GitLab of one's own. It must be https.
	Base map[string]string
	// Every is the least time between two questions to a provider; 0 takes a
	// second.
	Every time.Duration
}

// Client asks. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	clock core.Clock
	base  map[string]string
	every time.Duration
	rules map[string]Provider

	mu   sync.Mutex
	next map[string]time.Time
}

const (
	timeout   = 15 * time.Second
	maxAnswer = 64 << 10
)

// New makes a client.
func New(o Options) *Client {
	c := &Client{clock: o.Clock, base: o.Base, every: o.Every, rules: map[string]Provider{}, next: map[string]time.Time{}}
	if c.every == 0 {
		c.every = time.Second
	}
	h := http.Client{Timeout: timeout}
	if o.HTTP != nil {
		h = *o.HTTP
	}
	h.CheckRedirect = sameHost
	h.Jar = nil
	c.http = &h
	for _, p := range Providers() {
		for _, rule := range p.Rules() {
			c.rules[rule] = p
		}
	}
	return c
}

// sameHost lets a redirect stay where it is; a secret never travels on.
func sameHost(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Host != first.Host || r.URL.Scheme != "https" || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// Knows reports whether somebody can be asked about a rule's secrets.
func (c *Client) Knows(rule string) bool { return c.rules[rule] != nil }

// Ask asks the provider of a rule's secrets.
func (c *Client) Ask(ctx context.Context, q Question) (Answer, error) {
	const op = "online.Ask"
	p := c.rules[q.Rule]
	if p == nil {
		return Answer{}, core.E(core.KindNotFound, op, "no provider can be asked about "+q.Rule)
	}
	base, err := c.address(p)
	if err != nil {
		return Answer{}, err
	}
	if err := c.wait(ctx, p.Name()); err != nil {
		return Answer{}, err
	}
	r, err := p.Request(ctx, base, q, c.clock.Now())
	if err != nil {
		return Answer{}, err
	}
	return c.send(p, r)
}

func (c *Client) address(p Provider) (string, error) {
	base := p.Base()
	if own := c.base[p.Name()]; own != "" {
		base = own
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", core.E(core.KindInvalid, "online.Ask", "the address of "+p.Name()+" must be https and without credentials").
			WithHint("give it as https://host")
	}
	return strings.TrimRight(base, "/"), nil
}

// wait keeps to the rate: questions to a provider stand in a line.
func (c *Client) wait(ctx context.Context, name string) error {
	c.mu.Lock()
	now := c.clock.Now()
	at := c.next[name]
	if at.Before(now) {
		at = now
	}
	c.next[name] = at.Add(c.every)
	c.mu.Unlock()
	if !at.After(now) {
		return nil
	}
	select {
	case <-c.clock.After(at.Sub(now)):
		return nil
	case <-ctx.Done():
		return core.E(core.KindUnavailable, "online.Ask", "stopped before "+name+" was asked")
	}
}

// send leaves the cause of a failure out: it holds the request.
func (c *Client) send(p Provider, r *http.Request) (Answer, error) {
	r.Header.Set("User-Agent", "interlock")
	resp, err := c.http.Do(r)
	if err != nil {
		return Answer{}, core.E(core.KindUnavailable, "online.Ask", p.Name()+" could not be reached at "+r.URL.Host)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, core.E(core.KindUnavailable, "online.Ask", "the answer of "+p.Name()+" breaks off")
	}
	a := p.Read(resp.StatusCode, resp.Header, body)
	a.Status = resp.StatusCode
	return a, nil
}

// get makes a request that carries the secret in a header.
func get(ctx context.Context, address, header, value string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, core.E(core.KindInvalid, "online.Ask", "the address is none")
	}
	r.Header.Set(header, value)
	return r, nil
}

// byStatus is what most services mean by their status.
func byStatus(status int, owner string) Answer {
	switch status {
	case http.StatusOK:
		return Answer{State: Live, Owner: owner}
	case http.StatusUnauthorized:
		return Answer{State: Dead}
	}
	return Answer{State: Unclear}
}

// field reads a string member of a JSON answer.
func field(body []byte, name string) string {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return ""
	}
	s, _ := object[name].(string)
	return s
}
