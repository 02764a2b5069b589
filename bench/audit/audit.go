// Package audit measures the audit log against the least that could be durable:
// the same number of bytes through the same group commit, with the same
// preallocation and one fdatasync for each commit, and nothing else.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/platform/wal"
)

const (
	writers = 64
	// roundTime is so short that no round begins a new segment: what is
	// measured is appending, not the filling of the next segment beside it.
	roundTime = 400 * time.Millisecond
)

// Round is what one side of a round did.
type Round struct {
	Rate float64       // appends a second
	P50  time.Duration // median time until one was durable
}

// Append64 runs one round with 64 writers on fresh logs under dir: first raw
// appends, then the audit log.
func Append64(dir string) (log, raw Round, err error) {
	if raw, err = rawRound(dir); err != nil {
		return log, raw, fmt.Errorf("raw: %w", err)
	}
	if log, err = logRound(dir); err != nil {
		return log, raw, fmt.Errorf("audit: %w", err)
	}
	return log, raw, nil
}

func rawRound(base string) (Round, error) {
	dir, err := os.MkdirTemp(base, "raw-")
	if err != nil {
		return Round{}, err
	}
	l, err := ready(func() (*wal.Log, error) { return wal.Open(dir, wal.Options{Reserve: true}) })
	if err != nil {
		return Round{}, err
	}
	payload := bytes.Repeat([]byte("x"), 480) // what a leaf of logRound has
	g := wal.NewGroup(512, func(items [][]byte) error {
		_, err := l.AppendAll(items)
		return err
	})
	r, err := run(func(int) error { return g.Do(context.Background(), payload) })
	return r, errors.Join(err, l.Close(), os.RemoveAll(dir))
}

func logRound(base string) (Round, error) {
	dir, err := os.MkdirTemp(base, "audit-")
	if err != nil {
		return Round{}, err
	}
	sealer, err := crypt.OpenHost(dir)
	if err != nil {
		return Round{}, err
	}
	c := audit.Config{
		Dir: dir + "/log", Origin: "interlock.local/bench/serve/main", Seed: core.NewSecret(make([]byte, 32)), Sealer: sealer,
	}
	l, err := ready(func() (*audit.Log, error) { return audit.Open(context.Background(), c) })
	if err != nil {
		return Round{}, err
	}
	r, err := run(func(w int) error {
		_, err := l.Append(context.Background(), entries[w])
		return err
	})
	return r, errors.Join(err, l.Close(), os.RemoveAll(dir))
}

// ready opens a log that has its next segment filled already: closing waits
// for that.
func ready[L io.Closer](open func() (L, error)) (L, error) {
	l, err := open()
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		return l, err
	}
	return open()
}

var entries = func() (list [writers]audit.Entry) {
	for w := range list {
		list[w] = audit.Entry{
			Type: audit.TypeIntent, Actor: "person/anna", Action: "device.quarantine", Object: fmt.Sprintf("device/press-%d", w),
			Outcome: "permitted", Class: audit.ClassSecurity,
			Body: json.RawMessage(`{"reason":"case opened","policies":["base-7"],"site":"hall-2"}`),
		}
	}
	return list
}()

// run lets the writers append in a closed loop.
func run(write func(writer int) error) (Round, error) {
	var wg sync.WaitGroup
	var took [writers][]time.Duration
	var errs [writers]error
	begin := time.Now()
	for w := range writers {
		wg.Go(func() {
			for time.Since(begin) < roundTime && errs[w] == nil {
				t := time.Now()
				errs[w] = write(w)
				took[w] = append(took[w], time.Since(t))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	all := slices.Concat(took[:]...)
	slices.Sort(all)
	return Round{float64(len(all)) / elapsed.Seconds(), all[len(all)/2]}, errors.Join(errs[:]...)
}
