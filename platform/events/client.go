package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Times that a request may take. The store ends a search by itself a little
// earlier and says why.
const (
	insertTimeout = time.Minute
	searchTimeout = 30 * time.Second
	healthTimeout = 10 * time.Second
	// maxComplaint bounds how much of an error's text is read.
	maxComplaint = 4 << 10
)

// Config says where a store is. A cluster takes rows and searches at different
// addresses; the child at one.
type Config struct {
	// Insert and Select are base URLs: "http://insert.example:9428".
	Insert, Select string
	User           string
	Password       core.Secret
	// Installation keeps several installations in one cluster apart.
	Installation core.ServiceID
	// Lag is how long rows that the store took may stay hidden after a flush:
	// a cluster's front flushes itself, not its nodes.
	Lag time.Duration
	// fresh says that the store held nothing when it was started.
	fresh bool
	// Transport carries the requests; nil means one of the client's own.
	Transport http.RoundTripper
}

// Client asks the event store. It is safe for concurrent use.
type Client struct {
	installation core.ServiceID
	http         http.Client
	// to is where the store is, nil while it is away.
	to         atomic.Pointer[Config]
	generation atomic.Uint64
	// most is [maxAnswer], but for tests.
	most int64
	// oneAccount puts all tenants into one account, so that a test sees what
	// the filter does alone.
	oneAccount bool
}

// NewClient returns a client of the store at c; without addresses, of a store
// that is away until [Supervisor] has started it.
func NewClient(c Config) *Client {
	client := &Client{installation: c.Installation, most: maxAnswer}
	client.http = http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.Transport == nil {
		client.http.Transport = &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, DisableCompression: true}
	}
	if c.Insert != "" && c.Select != "" {
		client.to.Store(&c)
	}
	return client
}

// use points the client at another store, nil for none.
func (c *Client) use(to *Config) {
	c.to.Store(to)
	c.generation.Add(1)
	c.http.CloseIdleConnections()
}

// Generation changes whenever the store is another process than before, which
// may not hold what the one before it held in memory.
func (c *Client) Generation() uint64 { return c.generation.Load() }

// Fresh reports whether the store held nothing when it was started: it is the
// first one, or somebody took the old one's folder away.
func (c *Client) Fresh() bool {
	to := c.to.Load()
	return to != nil && to.fresh
}

// errAway is what every call answers while there is no store.
func errAway(op string) *core.Error {
	return core.E(core.KindUnavailable, op, "the event store is not available; nothing is lost, what comes in meanwhile is indexed when it is back").
		WithHint("interlock status says why; interlock events tail reads the journal and needs no event store")
}

// Health asks whether the store answers.
func (c *Client) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	for _, insert := range []bool{true, false} {
		body, err := c.ask(ctx, request{op: "events.Health", insert: insert, path: "/health"})
		if err != nil {
			return err
		}
		_ = body.Close() // nothing more is wanted of it
	}
	return nil
}

// ClusterLag is [Config.Lag] of a cluster: its front hands rows on every second,
// and its nodes show them after another.
const ClusterLag = 3 * time.Second

// Flush makes rows that the store has taken visible to searches. It says
// nothing of their being on a disk.
func (c *Client) Flush(ctx context.Context) error {
	const op = "events.Flush"
	ctx, cancel := context.WithTimeout(ctx, insertTimeout)
	defer cancel()
	to := c.to.Load()
	if to == nil {
		return errAway(op)
	}
	body, err := c.ask(ctx, request{op: op, insert: true, path: "/internal/force_flush"})
	switch {
	case err == nil:
		err = body.Close()
	case core.KindOf(err) == core.KindInvalid && to.Lag > 0:
		err = nil // a proxy may not let it through; the wait is long enough without
	}
	if err != nil || to.Lag == 0 {
		return err
	}
	hidden := time.NewTimer(to.Lag) // real time: it is the cluster that takes it
	defer hidden.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-hidden.C:
		return nil
	}
}

// request is one question to the store.
type request struct {
	op     string
	insert bool // which of the two addresses
	path   string
	tenant core.TenantID
	query  url.Values // in the URL
	form   url.Values // in the body
	lines  []byte     // in the body, instead
}

// ask sends a request and returns the body of a good answer, which the caller
// closes. What kind an error is: unavailable when the store is away, full or
// too slow; invalid when it refuses the query.
func (c *Client) ask(ctx context.Context, q request) (io.ReadCloser, error) {
	to := c.to.Load()
	if to == nil {
		return nil, errAway(q.op)
	}
	req, err := c.build(ctx, to, q)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, q.op, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	if err != nil {
		text = nil // the status says enough
	}
	return nil, refusal(q.op, resp.StatusCode, text)
}

func (c *Client) build(ctx context.Context, to *Config, q request) (*http.Request, error) {
	base, method, kind, body := to.Select, http.MethodGet, "", []byte(nil)
	if q.insert {
		base = to.Insert
	}
	switch {
	case q.lines != nil:
		method, kind, body = http.MethodPost, "application/stream+json", q.lines
	case q.form != nil:
		method, kind, body = http.MethodPost, "application/x-www-form-urlencoded", []byte(q.form.Encode())
	}
	address := strings.TrimSuffix(base, "/") + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, core.Wrap(core.KindInternal, q.op, err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if to.User != "" {
		req.SetBasicAuth(to.User, string(to.Password.Reveal()))
	}
	if !q.tenant.IsZero() && !c.oneAccount {
		account, project := c.account(q.tenant)
		req.Header.Set("AccountID", strconv.FormatUint(uint64(account), 10))
		req.Header.Set("ProjectID", strconv.FormatUint(uint64(project), 10))
	}
	return req, nil
}

// account is the tenant's account in the store.
func (c *Client) account(tenant core.TenantID) (account, project uint32) {
	sum := sha256.Sum256([]byte("interlock events/v1\n" + c.installation.String() + "\n" + tenant.String()))
	return binary.BigEndian.Uint32(sum[:]), binary.BigEndian.Uint32(sum[4:])
}

// unreachable says why there was no answer, without the address: it is of no
// use to whoever searches.
func (c *Client) unreachable(ctx context.Context, op string, err error) error {
	if cause := ctx.Err(); errors.Is(cause, context.Canceled) {
		return core.Wrap(core.KindUnavailable, op, cause)
	} else if cause != nil || isTimeout(err) {
		return core.E(core.KindUnavailable, op, "the event store did not answer in time").WithHint("ask for a shorter time or a narrower filter")
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	// As text alone: a broken connection to the store is not one of whoever
	// asked us.
	away := errAway(op)
	away.Msg += ": " + err.Error()
	return away
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// refusal is the error that an answer of this status stands for.
func refusal(op string, status int, text []byte) error {
	what := fmt.Sprintf("the event store answers %d: %s", status, complaint(text))
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return core.E(core.KindUnavailable, op, "the event store refuses this server's user and password").WithHint("check events.user and events.password")
	case status == http.StatusTooManyRequests || status == http.StatusInsufficientStorage:
		return core.E(core.KindUnavailable, op, what).WithHint("the event store's disk or its budget is full; see events.disk in the configuration")
	case status == http.StatusRequestTimeout || status >= 500:
		return core.E(core.KindUnavailable, op, what)
	}
	return core.E(core.KindInvalid, op, what)
}
