package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/policy"
)

// auditAppend64 is what 64 concurrent requests cost: each waits until its intent
// is durable under a signed checkpoint.
func auditAppend64() trial {
	return trial{
		figures: []figure{
			{name: "audit/append/64w", unit: "entries/s", floor: "raw/append/64w", bars: []bar{{ratio: true, atLeast: 0.7}}},
			{name: "audit/append/64w/p50", unit: "ms", floor: "raw/append/64w/p50", bars: []bar{{ratio: true, atMost: 3}}},
		},
		open: func(ctx context.Context, dir string) (sides, error) { return auditAgainstRaw(ctx, dir, 64) },
	}
}

func auditAppend1() trial {
	return trial{
		figures: []figure{{name: "audit/append/1w", unit: "entries/s", floor: "raw/append/1w"}},
		open:    func(ctx context.Context, dir string) (sides, error) { return auditAgainstRaw(ctx, dir, 1) },
	}
}

// auditAgainstRaw appends the same number of bytes to the audit log and to a raw
// file, both preallocated and both with one sync for all who wait. Each round
// has a new log, so that neither side begins a new file while it is measured.
func auditAgainstRaw(ctx context.Context, dir string, writers int) (sides, error) {
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return sides{}, err
	}
	sealer, err := crypt.OpenHost(keys)
	if err != nil {
		return sides{}, err
	}
	c := audit.Config{
		Dir: filepath.Join(dir, "audit"), Origin: "interlock.local/bench/serve/main", Seed: benchKey(), Sealer: sealer, Clock: core.SystemClock{},
	}
	leaf, err := leafOf(ctx, c)
	if err != nil {
		return sides{}, err
	}
	raw, err := newRawFile(filepath.Join(dir, "raw"))
	if err != nil {
		return sides{}, err
	}
	return sides{
		ours: func() ([]float64, error) { return auditRound(ctx, c, writers) },
		floor: func() ([]float64, error) {
			rate, p50, err := loop(writers, func(int) error { return raw.append(leaf) })
			return []float64{rate, p50}, err
		},
		close: raw.close,
	}, nil
}

// auditRound returns the rate and the median latency of a new log.
func auditRound(ctx context.Context, c audit.Config, writers int) (numbers []float64, err error) {
	l, err := openAudit(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close(), os.RemoveAll(c.Dir)) }()
	entries := make([]audit.Entry, writers)
	for w := range entries {
		entries[w] = intent(w)
	}
	rate, p50, err := loop(writers, func(w int) error {
		_, err := l.Append(ctx, entries[w])
		return err
	})
	return []float64{rate, p50}, err
}

// leafOf returns the bytes that an entry becomes.
func leafOf(ctx context.Context, c audit.Config) (leaf []byte, err error) {
	l, err := openAudit(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close(), os.RemoveAll(c.Dir)) }()
	r, err := l.Append(ctx, intent(0))
	return r.Leaf, err
}

// openAudit opens a log whose next segment is ready: it is closed once, which
// waits for what is made in the background.
func openAudit(ctx context.Context, c audit.Config) (*audit.Log, error) {
	l, err := audit.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return audit.Open(ctx, c)
}

// benchKey is 32 bytes where a figure needs a key and nothing is kept secret.
func benchKey() core.Secret { return core.NewSecret([]byte("a key that protects nothing here")) }

// decided is the body of an entry for the Guard's decision, as the server writes
// it.
type decided struct {
	Principal core.Principal `json:"principal"`
	Resource  core.Resource  `json:"resource"`
	Reason    string         `json:"reason"`
	Policies  []string       `json:"policies"`
}

// intent is the entry that precedes a quarantine.
func intent(writer int) audit.Entry {
	who, on := operator(), press(writer)
	return audit.Entry{
		Type: audit.TypeIntent, Actor: who.String(), Action: policy.DeviceQuarantine, Object: on.String(), Outcome: "permitted",
		Class: audit.ClassAudit, Vital: audit.VitalContain,
		Body: decided{who, on, "operators may contain on their sites", []string{"operator-contains"}},
	}
}
