package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

// Limits of what a server may say.
const (
	maxAnswer     = 512 << 10
	answerTimeout = 30 * time.Second
	dialTimeout   = 10 * time.Second
)

// clientConfig is what a client needs to know whom to believe.
type clientConfig struct {
	clock       core.Clock
	pins        func() verify.Pins
	lower       func() time.Time
	certificate func() (*tls.Certificate, error) // nil: a stranger
	heard       func(server time.Time)           // a time that an authenticated server said; nil: nobody cares
	dialled     func(host string, at netip.AddrPort)
}

// client speaks to the agent listener over TLS 1.3 with pins.
type client struct {
	c  clientConfig
	mu sync.Mutex
	by map[string]*http.Client // by host
}

func newClient(c clientConfig) *client { return &client{c: c, by: map[string]*http.Client{}} }

// of returns the HTTP client for a host: the host is part of what TLS checks.
func (c *client) of(base string) (*http.Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, core.E(core.KindInvalid, "agent.client", fmt.Sprintf("%.100q is not https://host:port", base))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.by[u.Host]; h != nil {
		return h, nil
	}
	a := verify.Agent{Pins: c.c.pins, Lower: c.c.lower, Host: u.Hostname(), Certificate: c.c.certificate}
	h := &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: a.TLS(), DialContext: c.dial(u.Hostname()), TLSHandshakeTimeout: dialTimeout,
			ResponseHeaderTimeout: answerTimeout, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, MaxConnsPerHost: 4,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return core.E(core.KindDenied, "agent.client", "the server sends elsewhere; only an order of the root role moves its address")
		},
	}
	c.by[u.Host] = h
	return h, nil
}

func (c *client) dial(host string) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err == nil && c.c.dialled != nil {
			if at, parseErr := netip.ParseAddrPort(conn.RemoteAddr().String()); parseErr == nil {
				c.c.dialled(host, at)
			}
		}
		return conn, err
	}
}

// close drops the connections; new ones are made with what holds then.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.by {
		h.CloseIdleConnections()
	}
	c.by = map[string]*http.Client{}
}

// call sends a body and reads the whole answer. An error of kind unavailable
// may pass by itself; any other is the server's or the link's last word.
func (c *client) call(ctx context.Context, method, base, path string, body []byte) (answer []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	res, err := c.send(ctx, method, base, path, body)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, res.StatusCode, core.Wrap(core.KindUnavailable, "agent.client", err)
	case len(answer) > maxAnswer:
		return nil, res.StatusCode, core.E(core.KindTooLarge, "agent.client", fmt.Sprintf("the server answers with over %d bytes", maxAnswer))
	case res.StatusCode/100 != 2:
		return nil, res.StatusCode, statusError(res.StatusCode, method+" "+path, answer)
	}
	return answer, res.StatusCode, nil
}

// send sends a request and notes what the answer says of the time.
func (c *client) send(ctx context.Context, method, base, path string, body []byte) (*http.Response, error) {
	h, err := c.of(base)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "agent.client", err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := h.Do(req)
	if err != nil {
		return nil, linkError(err)
	}
	if said, err := http.ParseTime(res.Header.Get("Date")); err == nil && c.c.heard != nil {
		c.c.heard(said)
	}
	return res, nil
}

// linkError keeps what our own checks of the peer said, and takes the rest for
// a network that may come back.
func linkError(err error) error {
	var own *core.Error
	if errors.As(err, &own) {
		return fmt.Errorf("agent.client: %w", err)
	}
	return core.Wrap(core.KindUnavailable, "agent.client", err)
}

func statusError(status int, what string, answer []byte) error {
	kind := core.KindUnavailable
	switch status {
	case http.StatusUnauthorized:
		kind = core.KindUnauthenticated
	case http.StatusForbidden:
		kind = core.KindDenied
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotFound, http.StatusMethodNotAllowed:
		kind = core.KindInvalid
	case http.StatusConflict:
		kind = core.KindConflict
	case http.StatusGone:
		kind = core.KindExpired
	case http.StatusRequestEntityTooLarge:
		kind = core.KindTooLarge
	}
	return core.E(kind, "agent.client", fmt.Sprintf("%s is answered %d: %.300q", what, status, answer))
}
