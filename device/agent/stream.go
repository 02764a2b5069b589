package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/link"
)

// line is one line of the server's stream.
type line struct {
	Cursor   uint64          `json:"cursor"`
	Kind     string          `json:"kind"`
	Envelope json.RawMessage `json:"envelope,omitempty"`
	Proof    []byte          `json:"proof,omitempty"`
}

// Limits of a stream. The server says something every 15 seconds.
const (
	maxLine     = 384 << 10
	lineTimeout = 45 * time.Second
)

// stream reads orders and trust roots as long as ctx lives, from whichever
// server answers.
func (a *Agent) stream(ctx context.Context) error {
	var pause backoff
	for ctx.Err() == nil {
		for _, host := range a.hosts() {
			began := a.cfg.Elapsed()
			err := a.follow(ctx, "https://"+host)
			a.cfg.Log.Debug("stream ended", slog.Any("server", host), slog.Any("error", err))
			if a.cfg.Elapsed()-began > backoffTo {
				pause.reset()
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		if !a.sleep(ctx, pause.next()) {
			return nil
		}
	}
	return nil
}

// follow reads one stream until it ends or falls silent.
func (a *Agent) follow(ctx context.Context, base string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var cursor uint64 // behind what is still queued: better twice than never
	a.view(func(_ string, b *body) { cursor = b.Cursor })
	res, err := a.client.send(ctx, http.MethodGet, base, "/agent/v1/orders?after="+strconv.FormatUint(cursor, 10), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return a.noteRefusal(statusError(res.StatusCode, "GET /agent/v1/orders", text))
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	watch := a.watchdog(ctx, cancel)
	for lines.Scan() {
		watch()
		a.touch()
		if err := a.read(ctx, lines.Bytes()); err != nil {
			return err
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return lines.Err()
}

// watchdog cuts a stream on which nothing is said. The returned function says
// that something was.
func (a *Agent) watchdog(ctx context.Context, cut context.CancelCauseFunc) func() {
	alive := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-alive:
			case <-a.cfg.Clock.After(lineTimeout):
				select {
				case <-alive:
				default:
					cut(core.E(core.KindUnavailable, "agent.stream", "the server fell silent"))
					return
				}
			}
		}
	}()
	return func() {
		select {
		case alive <- struct{}{}:
		default:
		}
	}
}

// read takes one line. A line that makes no sense ends the stream: nothing
// after it can be trusted to be where it seems to be.
func (a *Agent) read(ctx context.Context, text []byte) error {
	var l line
	if err := link.DecodeStrict(bytes.TrimSpace(text), &l); err != nil {
		a.refusals.tell(a, "stream_invalid", core.SeverityMedium, map[string]any{"why": sensor.Text(err.Error())})
		return fmt.Errorf("agent.stream: %w", err)
	}
	l.Envelope = bytes.Clone(l.Envelope)
	switch {
	case l.Kind == "ping":
		return nil
	case l.Kind == "order" && isStop(l.Envelope):
		a.take(l.Envelope, "stream")
		return nil
	case l.Kind != "order" && l.Kind != "root":
		a.refusals.tell(a, "stream_invalid", core.SeverityMedium, map[string]any{"why": "a line of kind " + strconv.Quote(sensor.Text(l.Kind))})
		return nil
	}
	// Everything but a stop waits behind what is being carried out. When the
	// queue is full the stream ends and is asked for again from where it was,
	// so that a stop never stands behind it.
	select {
	case a.queued <- l:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	default:
		return core.E(core.KindUnavailable, "agent.stream", "orders come faster than they are carried out")
	}
}

// work carries out orders and takes trust roots one after another, beside the
// stream, so that a stop behind them in it is read at once. The cursor follows
// what was carried out.
func (a *Agent) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-a.queued:
			if l.Kind == "root" {
				a.orders.Lock()
				a.root(l.Envelope, l.Proof)
				a.orders.Unlock()
			} else {
				a.take(l.Envelope, "stream")
			}
			a.later(func(b *body) error { b.Cursor = max(b.Cursor, l.Cursor); return nil })
		}
	}
}

// isStop tells whether the envelope claims to be a stop. Whether it is one,
// take decides.
func isStop(envelope []byte) bool {
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		return false
	}
	o, err := link.DecodeOrder(env.Payload)
	return err == nil && o.Type == link.OrderStop
}

func rootText(root [32]byte) string { return base64.StdEncoding.EncodeToString(root[:]) }
