package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Limits of the stop path's client. The other end answers from memory.
const (
	stopPatience  = 5 * time.Second
	maxStopAnswer = 16 << 20
)

// stopClient speaks to the stop path's own socket and shares nothing with the
// operator API: what is wrong there must not keep anybody from a stop.
type stopClient struct {
	socket string
	http   *http.Client
}

func (e *env) stopClient() *stopClient {
	socket := app.Paths{Dir: e.global.Data}.Stop()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &stopClient{socket, &http.Client{Timeout: stopPatience, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

func (c *stopClient) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

func (c *stopClient) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return core.Wrap(core.KindInternal, "stop", err)
	}
	return c.call(ctx, http.MethodPost, path, body, out)
}

func (c *stopClient) call(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://stop"+path, bytes.NewReader(body))
	if err != nil {
		return core.Wrap(core.KindInternal, "stop", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return c.noAnswer(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		return httpd.ErrorOf("stop", res)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxStopAnswer))
	if err == nil {
		err = json.Unmarshal(b, out)
	}
	return core.Wrap(core.KindUncertain, "stop", err)
}

// noAnswer tells a request that never left from one whose answer is missing.
func (c *stopClient) noAnswer(err error) error {
	var dialling *net.OpError
	if !errors.As(err, &dialling) || dialling.Op != "dial" {
		return core.Wrap(core.KindUncertain, "stop", err)
	}
	e := core.E(core.KindUnavailable, "stop", fmt.Sprintf("no server at %s: %v", c.socket, dialling.Err))
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return e.WithHint("start one with: interlock up   (or name its data directory with --data)")
	case errors.Is(err, os.ErrPermission):
		return e.WithHint("the socket is for the user who runs the server and for the group listen.group of its configuration")
	}
	return e
}
