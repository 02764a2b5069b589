package audit_test

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
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/platform/wal"
)

const benchWriters = 64

// roundTime is so short that no round begins a new segment: what is measured
// is appending, not the filling of the next segment beside it.
const roundTime = 400 * time.Millisecond

// round runs 64 writers in a closed loop and returns entries a second and the
// median latency.
func round(b *testing.B, write func(writer int) error) (rate, p50 float64) {
	b.Helper()
	took := make([][]time.Duration, benchWriters)
	begin := time.Now()
	var wg sync.WaitGroup
	for w := range benchWriters {
		wg.Go(func() {
			for time.Since(begin) < roundTime {
				t := time.Now()
				if err := write(w); err != nil {
					b.Error(err)
					return
				}
				took[w] = append(took[w], time.Since(t))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	return float64(len(all)) / time.Since(begin).Seconds(), float64(all[len(all)/2].Microseconds())
}

func benchEntry(w int) audit.Entry {
	return audit.Entry{
		Type: audit.TypeIntent, Actor: "person/anna", Action: "device.quarantine", Object: fmt.Sprintf("device/press-%d", w),
		Outcome: "permitted", Class: audit.ClassSecurity, Time: start,
		Body: json.RawMessage(`{"reason":"case opened","policies":["base-7"],"site":"hall-2"}`),
	}
}

// BenchmarkAppend64 compares the log with the least that could be durable: the
// same number of bytes, group commit, preallocation and fdatasync, and nothing
// else. Both run in every round, one after the other, each on a fresh log. Run
// it with -benchtime 1x.
func BenchmarkAppend64(b *testing.B) {
	var rates, latencies, raws []float64
	for b.Loop() {
		for range 5 {
			rawRate, rawP50 := rawRound(b)
			rate, p50 := auditRound(b)
			rates, latencies, raws = append(rates, rate/rawRate), append(latencies, p50/rawP50), append(raws, rawRate)
			b.Logf("raw %6.0f/s p50 %5.0f us   audit %6.0f/s p50 %5.0f us   %.2fx", rawRate, rawP50, rate, p50, rate/rawRate)
		}
	}
	for _, xs := range [][]float64{rates, latencies, raws} {
		slices.Sort(xs)
	}
	b.ReportMetric(rates[len(rates)/2], "x-raw")
	b.ReportMetric(latencies[len(latencies)/2], "x-raw-p50")
	b.ReportMetric(raws[len(raws)/2], "raw/s")
}

func auditRound(b *testing.B) (rate, p50 float64) {
	b.Helper()
	dir := b.TempDir()
	c := config(b, dir)
	c.SegmentSize = 0
	if err := open(b, c).Close(); err != nil { // waits until the next segment is ready
		b.Fatal(err)
	}
	l := open(b, c)
	defer clean(b, l, dir)
	var entries [benchWriters]audit.Entry
	for w := range entries {
		entries[w] = benchEntry(w)
	}
	return round(b, func(w int) error {
		_, err := l.Append(context.Background(), entries[w])
		return err
	})
}

// rawRound appends as many bytes as an entry has through the same group commit.
func rawRound(b *testing.B) (rate, p50 float64) {
	b.Helper()
	dir := b.TempDir()
	o := wal.Options{Reserve: true}
	l, err := wal.Open(dir, o)
	if err == nil {
		if err = l.Close(); err == nil { // waits until the next segment is ready
			l, err = wal.Open(dir, o)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	defer clean(b, l, dir)
	payload := bytes.Repeat([]byte("x"), 480)
	g := wal.NewGroup(512, func(items [][]byte) error {
		_, err := l.AppendAll(items)
		return err
	})
	return round(b, func(int) error { return g.Do(context.Background(), payload) })
}

// clean gives the disk back before the next round begins.
func clean(b *testing.B, l io.Closer, dir string) {
	b.Helper()
	if err := errors.Join(l.Close(), os.RemoveAll(dir)); err != nil {
		b.Fatal(err)
	}
}
