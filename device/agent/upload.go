package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/link"
)

// backoff grows from a second to a minute, with jitter: ten thousand devices
// that lost the same server must not come back at once.
type backoff struct{ pause time.Duration }

const (
	backoffFrom = time.Second
	backoffTo   = time.Minute
)

func (b *backoff) next() time.Duration {
	b.pause = min(max(2*b.pause, backoffFrom), backoffTo)
	return b.pause/2 + rand.N(b.pause/2)
}

func (b *backoff) reset() { b.pause = 0 }

// sleep waits, or returns false when ctx ends.
func (a *Agent) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-a.cfg.Clock.After(d):
		return true
	}
}

// upload sends batch after batch, each until there is a receipt for it.
func (a *Agent) upload(ctx context.Context) error {
	var pause backoff
	for ctx.Err() == nil {
		b, err := a.nextBatch()
		if err == nil && b == nil {
			select {
			case <-ctx.Done():
			case <-a.spool.Ready():
			}
			continue
		}
		if err == nil {
			err = a.deliver(ctx, b)
		}
		if err == nil {
			pause.reset()
			continue
		}
		a.cfg.Log.Debug("batch waits", slog.Any("error", err))
		if !a.sleep(ctx, pause.next()) {
			break
		}
	}
	return nil
}

// nextBatch returns the batch to send, after the state knows of it: a spool that
// was put back from yesterday must not pass for this one.
func (a *Agent) nextBatch() (*spool.Sealed, error) {
	b, err := a.spool.Next()
	if err != nil || b == nil {
		return nil, err
	}
	var kept spool.Tail
	a.view(func(_ string, s *body) { kept = s.Sealed })
	if kept == b.Tail {
		return b, nil
	}
	// A disk that is full must not keep the report back: at worst the next start
	// finds the two apart and begins a new epoch.
	if err := a.store.Update(func(s *body) error { s.Sealed = b.Tail; return nil }); err != nil {
		a.cfg.Log.Error("the state does not know of the last batch", slog.Any("error", err))
	}
	return b, nil
}

// deliver sends a batch to the first server that takes it and frees it on a
// receipt that holds.
func (a *Agent) deliver(ctx context.Context, b *spool.Sealed) error {
	raw, err := a.anyServer(ctx, http.MethodPost, "/agent/v1/batches", b.Envelope)
	if err != nil {
		return err
	}
	receipt, err := link.DecodeReceipt(bytes.TrimSpace(raw))
	if err == nil {
		err = a.spool.Receive(a.trust.Load(), receipt)
	}
	if core.KindOf(err) == core.KindUnavailable {
		return err // our own disk
	}
	if err != nil {
		a.refusals.tell(a, "receipt_invalid", core.SeverityHigh, map[string]any{"why": sensor.Text(err.Error()), "batch": b.Tail.Hash, "first": b.First, "last": b.Tail.Last})
		return err
	}
	return a.afterReceipt(receipt)
}

// afterReceipt takes what else a receipt says: another history under this
// device's name, and the log as it stands.
func (a *Agent) afterReceipt(r *link.Receipt) error {
	if r.Fork {
		a.tell("sequence_fork", core.SeverityCritical, map[string]any{"epoch": r.Epoch, "first": r.First, "last": r.Last, "batch": r.Batch})
		if err := a.newEpoch("the server has another batch under the same sequence", core.SeverityCritical); err != nil {
			return err
		}
	}
	return a.witness(r.Checkpoint)
}

// anyServer asks each server in turn.
func (a *Agent) anyServer(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	err = core.E(core.KindUnavailable, "agent", "no server is known")
	for _, host := range a.hosts() {
		if answer, _, err = a.client.call(ctx, method, "https://"+host, path, body); err == nil {
			a.touch()
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, a.noteRefusal(err)
}

// noteRefusal has the certificate renewed where the server no longer takes it:
// this machine's clock may not know (TRUST F09).
func (a *Agent) noteRefusal(err error) error {
	if kind := core.KindOf(err); kind == core.KindExpired || kind == core.KindUnauthenticated {
		select {
		case a.renew <- struct{}{}:
		default:
		}
	}
	return err
}

// outgoing is an answer on its way; n tells two of the same apart.
type outgoing struct {
	n uint64
	answer
}

// queueResult queues an answer for the server. One that waits behind the first
// already is not queued twice; the first may be on its way.
func (a *Agent) queueResult(r answer) {
	q := &a.results
	q.mu.Lock()
	q.n++
	rest := q.queue[min(len(q.queue), 1):]
	if !slices.ContainsFunc(rest, func(x outgoing) bool { return x.answer == r }) {
		q.queue = append(q.queue, outgoing{q.n, r})
	}
	if len(q.queue) > maxAnswers {
		q.queue = slices.Delete(q.queue, 1, 2)
	}
	q.mu.Unlock()
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// resendResults queues the answers that were kept and not yet sent.
func (a *Agent) resendResults() {
	var unsent []answer
	a.view(func(_ string, b *body) {
		for _, r := range b.Answers {
			if !r.Sent {
				unsent = append(unsent, r)
			}
		}
	})
	for _, r := range unsent {
		a.queueResult(r)
	}
}

// sendResults sends the answers to orders, each until the server took it.
func (a *Agent) sendResults(ctx context.Context) error {
	var pause backoff
	for ctx.Err() == nil {
		a.results.mu.Lock()
		queue := slices.Clone(a.results.queue)
		a.results.mu.Unlock()
		if len(queue) == 0 {
			select {
			case <-ctx.Done():
			case <-a.results.kick:
			}
			continue
		}
		err := a.sendResult(ctx, queue[0].answer)
		switch core.KindOf(err) {
		case core.KindInternal, core.KindUnavailable, core.KindUnauthenticated, core.KindExpired, core.KindDenied:
			if err != nil {
				if !a.sleep(ctx, pause.next()) {
					return nil
				}
				continue
			}
		default: // the server does not want this answer; it will never
			a.cfg.Log.Warn("the server does not take an answer", slog.Any("order", queue[0].Order), slog.Any("error", err))
		}
		pause.reset()
		a.sent(queue[0], err == nil)
	}
	return nil
}

func (a *Agent) sent(r outgoing, taken bool) {
	a.results.mu.Lock()
	a.results.queue = slices.DeleteFunc(a.results.queue, func(x outgoing) bool { return x.n == r.n })
	a.results.mu.Unlock()
	if !taken {
		return
	}
	a.wantWorkloads() // the server knows now that a release was carried out
	a.later(func(b *body) error {
		if kept, ok := b.answered(r.Order); ok && kept.Outcome == r.Outcome {
			kept.Sent = true
			b.note(kept)
		}
		return nil
	})
}

func (a *Agent) sendResult(ctx context.Context, r answer) error {
	payload, err := link.EncodeResult(&link.Result{
		V: 1, Tenant: a.id.Tenant, Device: a.id.Device, Order: r.Order, Outcome: r.Outcome, Detail: r.Detail,
		Epoch: a.store.Continuity().Epoch, Time: max(0, a.cfg.Clock.Now().UnixMicro()),
	})
	if err != nil {
		return core.Wrap(core.KindInvalid, "agent.result", err)
	}
	env, err := link.SealEnvelope(link.NamespaceBatch, payload, a.signer)
	if err != nil {
		return fmt.Errorf("agent.result: %w", err)
	}
	raw, err := env.Encode()
	if err != nil {
		return core.Wrap(core.KindInvalid, "agent.result", err)
	}
	_, err = a.anyServer(ctx, http.MethodPost, "/agent/v1/results", raw)
	return err
}
