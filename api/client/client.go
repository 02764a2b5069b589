// Package client speaks the operator API over the server's unix socket. Every
// verb of the command line that needs the server goes through it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

// maxAnswer bounds an answer that is read whole, in bytes.
const maxAnswer = 64 << 20

// Client is a connection to one server. The zero value is not usable.
type Client struct {
	http *http.Client
	path string
}

// New returns a client of the server whose socket is at path. Nothing is
// dialled before the first call.
func New(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}, path: path}
}

// Get reads a resource into out.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.whole(ctx, http.MethodGet, path, nil, out)
}

// pageSize is how many items are asked for at once.
const pageSize = 500

// List reads a list page by page, up to most items; 0 means all. It returns how
// many there are in all, -1 where the server does not count them, and whether
// there are more than were read.
func List[T any](ctx context.Context, c *Client, path string, query url.Values, most int) (items []T, total int, more bool, err error) {
	q := maps.Clone(query)
	if q == nil {
		q = url.Values{}
	}
	items = []T{}
	for {
		size := pageSize
		if most > 0 {
			size = min(size, most-len(items))
		}
		q.Set("limit", strconv.Itoa(size))
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
			Total int    `json:"total"`
		}
		if err := c.Get(ctx, path, q, &page); err != nil {
			return nil, 0, false, err
		}
		items = append(items, page.Items...)
		if page.Next == "" || most > 0 && len(items) >= most {
			return items, page.Total, page.Next != "", nil
		}
		q.Set("after", page.Next)
	}
}

// Post sends in and reads the answer into out, which may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.whole(ctx, http.MethodPost, path, in, out)
}

// Upload sends bytes as they are and reads the answer into out.
func (c *Client) Upload(ctx context.Context, path, kind string, body []byte, out any) error {
	return c.whole(ctx, http.MethodPost, path, raw{kind, body}, out)
}

// raw is a body that is not JSON.
type raw struct {
	kind string
	body []byte
}

// Stream calls fn for each line of an NDJSON answer until fn returns an error,
// the server ends it, or ctx does.
func (c *Client) Stream(ctx context.Context, path string, fn func(line []byte) error) error {
	res, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	dec := json.NewDecoder(res.Body)
	for {
		var line json.RawMessage
		switch err := dec.Decode(&line); {
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		case err != nil:
			return core.Wrap(core.KindUnavailable, "client.Stream", err)
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

// Copy writes an answer's bytes to w as they come.
func (c *Client) Copy(ctx context.Context, path string, w io.Writer) error {
	res, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(w, res.Body)
	return core.Wrap(core.KindUnavailable, "client.Copy", err)
}

func (c *Client) whole(ctx context.Context, method, path string, in, out any) error {
	res, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if out == nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return core.Wrap(core.KindUnavailable, "client."+method, err)
	}
	if whole, ok := out.(*[]byte); ok {
		*whole = b
		return nil
	}
	return core.Wrap(core.KindInternal, "client."+method, json.Unmarshal(b, out))
}

// do sends a request and returns an answer of the 2xx range; every other answer
// comes back as an error of the kind that the server gave it.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	kind := "application/json"
	if r, is := in.(raw); is {
		kind, body = r.kind, bytes.NewReader(r.body)
	} else if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, core.Wrap(core.KindInternal, "client."+method, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://interlock"+path, body)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "client."+method, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if res.StatusCode >= 300 {
		defer func() { _ = res.Body.Close() }()
		return nil, httpd.ErrorOf(method+" "+path, res)
	}
	return res, nil
}

func (c *Client) unreachable(err error) error {
	e := &core.Error{Kind: core.KindUnavailable, Op: "client", Msg: fmt.Sprintf("no server at %s", c.path), Err: err}
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return e.WithHint("start one with: interlock up   (or name its data directory with --data)")
	case errors.Is(err, os.ErrPermission):
		return e.WithHint("the socket is for the user who runs the server and for the group listen.group of its configuration")
	}
	return e
}
