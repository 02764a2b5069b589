package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Ask reads the status of the agent that listens at a socket.
func Ask(ctx context.Context, socket string) (*Status, error) {
	s := new(Status)
	if err := call(ctx, http.MethodGet, socket, "/v1/status", nil, 10*time.Second, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Doctor has the agent that listens at a socket test itself.
func Doctor(ctx context.Context, socket string) (*Report, error) {
	r := new(Report)
	if err := call(ctx, http.MethodPost, socket, "/v1/doctor", nil, 2*testLimit, r); err != nil {
		return nil, err
	}
	return r, nil
}

// call asks an agent for something and reads the answer into v.
func call(ctx context.Context, method, socket, path string, body []byte, limit time.Duration, v any) error {
	c := &http.Client{Timeout: limit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(body))
	if err != nil {
		return core.Wrap(core.KindInternal, "agent.Ask", err)
	}
	res, err := c.Do(req)
	if err != nil {
		return &core.Error{Kind: core.KindUnavailable, Op: "agent.Ask", Msg: "no agent answers at " + socket, Err: err, Hint: "is it running, and are you its owner?"}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return core.Wrap(core.KindUnavailable, "agent.Ask", err)
	}
	if res.StatusCode != http.StatusOK {
		return saidNo(res.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return core.Wrap(core.KindInvalid, "agent.Ask", err)
	}
	return nil
}

// saidNo is the error that an agent answered with.
func saidNo(status int, raw []byte) error {
	var said struct{ Error, Hint string }
	_ = json.Unmarshal(raw, &said) // what is no object said nothing
	kind := core.KindConflict
	switch status {
	case http.StatusNotFound:
		kind = core.KindNotFound
	case http.StatusBadRequest:
		kind = core.KindInvalid
	}
	return core.E(kind, "agent.Ask", "the agent says: "+sensor.Text(said.Error)).WithHint(sensor.Text(said.Hint))
}
