package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// sshd makes frames of failed logins as a collector does, 400 to 600 bytes an
// event. Ids, times, addresses and ports differ in each.
func sshd(n, salt int) (journal.Frame, error) {
	f := journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Source: "file/auth.log"}
	for i := range n {
		at := start.Add(time.Duration(salt*n+i) * 137 * time.Microsecond)
		fields, err := json.Marshal(map[string]any{
			"message":  fmt.Sprintf("Failed password for invalid user user%d from 203.0.113.%d port %d ssh2", i*7919%1000, i*31%256, 1024+i*7907%60000),
			"hostname": fmt.Sprintf("press-%d", i%40), "process": "sshd", "pid": 1000 + i*13%30000, "facility": "auth", "severity": "info",
		})
		if err != nil {
			return f, err
		}
		event, err := json.Marshal(core.Event{
			ID: core.NewUUID(at), Time: at, Received: at.Add(time.Millisecond), Tenant: tenant, Source: f.Source, Provenance: core.ProvenanceLocal,
			Class: core.ClassAuthentication, Type: "sshd", Severity: core.SeverityLow, Sequence: uint64(i), Fields: fields,
		})
		if err != nil {
			return f, err
		}
		f.Records = append(f.Records, event)
	}
	return f, nil
}

// BenchmarkAppendFrames500 appends frames of 500 events from several collectors
// at once; each waits for its own frame to be on disk.
func BenchmarkAppendFrames500(b *testing.B) {
	const perFrame = 500
	var frames []journal.Frame
	for i := range 16 {
		f, err := sshd(perFrame, i)
		if err != nil {
			b.Fatal(err)
		}
		frames = append(frames, f)
	}
	size := len(bytes.Join(frames[0].Records, nil)) / perFrame
	for _, engine := range storetest.Engines {
		for _, writers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/%dw", engine, writers), func(b *testing.B) {
				w := newWorld(b, engine)
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range writers {
					wg.Go(func() {
						for {
							i := int(next.Add(1))
							if i > b.N {
								return
							}
							if _, err := w.raw.Append(ctx, frames[i%len(frames)]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N*perFrame)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(size), "B/event")
				b.ReportMetric(storedBytes(b, w.rawDB)/float64(b.N*perFrame), "stored-B/event")
			})
		}
	}
}

func storedBytes(b *testing.B, db *store.DB) (n float64) {
	b.Helper()
	err := db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, "SELECT sum(length(body)) FROM journal_raw_frames").Scan(&n)
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
