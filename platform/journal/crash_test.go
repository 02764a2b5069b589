package journal_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// helper is what a child process is told to do.
type helper struct {
	Engine, RawPath, StatePath, DSN string
	Job                             string // "stage" or "append"
	From, Count                     int
}

func (h helper) place() place {
	config := func(path string) store.Config {
		return store.Config{Driver: h.Engine, Path: path, DSN: h.DSN, Key: storetest.Key(), MaxConns: 4}
	}
	return place{Raw: config(h.RawPath), State: config(h.StatePath)}
}

// TestHelperProcess is not a test: it is the process that the tests kill. It
// prints a line for everything that is durable.
func TestHelperProcess(t *testing.T) {
	var h helper
	if os.Getenv("JOURNAL_HELPER") == "" {
		return
	}
	if err := json.Unmarshal([]byte(os.Getenv("JOURNAL_HELPER")), &h); err != nil {
		t.Fatal(err)
	}
	p := h.place()
	w := &world{place: p}
	w.rawDB, w.state = p.open(t)
	raw, err := journal.OpenRaw(ctx, w.rawDB, journal.RawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if h.Job == "append" {
		appendAll(t, raw, h.From, h.Count)
		return
	}
	stageAll(t, w.state, raw, h.Count)
}

func say(line string) { _, _ = os.Stdout.WriteString(line + "\n") }

// appendAll sends batches as a device does: the next one after the receipt.
func appendAll(t *testing.T, raw *journal.Raw, from, count int) {
	for seq := from; seq <= count; seq++ {
		out, err := raw.Append(ctx, batch(seq))
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Fork {
			t.Fatalf("batch %d is called a fork", seq)
		}
		say(fmt.Sprintf("ack %d", seq))
	}
	say("done")
}

func batch(seq int) journal.Frame {
	f := events(fmt.Sprint(seq), strings.Repeat("x", 5000))
	f.Key = &journal.Key{Tenant: tenant, Device: core.MustID[core.DeviceID]("d"), Epoch: "e", First: uint64(seq), Last: uint64(seq), Hash: [32]byte{byte(seq)}}
	return f
}

// stageAll runs a stage with an effect and an outgoing record for each frame.
func stageAll(t *testing.T, state *store.DB, raw *journal.Raw, count int) {
	out := journal.NewTopic("out")
	s := journal.Stage{Name: "s", From: raw, Batch: 1 + rand.IntN(3), Handle: func(ctx context.Context, tx *store.Tx, f journal.Frame) error {
		if err := record(tx, "s", f, "x"); err != nil {
			return err
		}
		tx.OnCommit(func() { say("committed") })
		return out.Publish(ctx, tx, f.Tenant, fmt.Append(nil, f.Offset))
	}}
	runUntil(t, state, s, uint64(count))
	say("done")
}

// crashLoop starts the helper and kills it with SIGKILL after a few lines, over
// and over until one of them gets to the end. lines sees every line.
func crashLoop(t *testing.T, next func() helper, lines func(string)) (kills int) {
	for {
		job, err := json.Marshal(next())
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
		cmd.Env = append(os.Environ(), "JOURNAL_HELPER="+string(job))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		finished, fuse := false, 3+rand.IntN(12)
		scan := bufio.NewScanner(out)
		var said []string
		for scan.Scan() {
			said = append(said, scan.Text())
			lines(scan.Text())
			if scan.Text() == "done" {
				finished, fuse = true, 1<<30
			}
			if fuse--; fuse == 0 { // the pipe is read on: what was said before the end counts
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if finished {
			return kills
		}
		if len(said) == 0 || fuse > 0 {
			t.Fatalf("the helper ended by itself: %s", strings.Join(said, "\n"))
		}
		kills++
	}
}

func helperFor(p place, engine, job string, count int) helper {
	return helper{Engine: engine, RawPath: p.Raw.Path, StatePath: p.State.Path, DSN: p.Raw.DSN, Job: job, From: 1, Count: count}
}

// Statement 1. The process is killed at any moment; cursor, effect and outgoing
// record must have happened together, and once.
func TestEffectsHappenOnceThroughKills(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			const count = 60
			p := newPlace(t, engine)
			w := &world{place: p}
			w.rawDB, w.state = p.open(t)
			raw, err := journal.OpenRaw(ctx, w.rawDB, journal.RawOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range count {
				mustAppend(t, raw, events(fmt.Sprint(i+1)))
				want = append(want, fmt.Sprintf("%d:x", i+1))
			}
			kills := crashLoop(t, func() helper { return helperFor(p, engine, "stage", count) }, func(string) {})
			if got := done(t, w.state, "s"); got != strings.Join(want, " ") {
				t.Errorf("after %d kills the effects are %s", kills, got)
			}
			for i, f := range mustRead(t, journal.NewTopic("out").Bind(w.state), 0, 1) {
				if string(f.Records[0]) != fmt.Sprint(i+1) || f.Offset != uint64(i)+1 {
					t.Errorf("after %d kills, record %d is %s", kills, i+1, text([]journal.Frame{f}))
				}
			}
			if kills == 0 {
				t.Error("nothing was killed")
			}
		})
	}
}

// Every acknowledged batch is there once, whenever the process is killed. The
// batch without an acknowledgement is sent again, as a device does.
func TestAcknowledgedBatchesSurviveKills(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			const count = 60
			p := newPlace(t, engine)
			acked := 0
			kills := crashLoop(t, func() helper {
				h := helperFor(p, engine, "append", count)
				h.From = max(1, acked) // the last acknowledged one too: its answer is a duplicate
				return h
			}, func(line string) {
				var seq int
				if _, err := fmt.Sscanf(line, "ack %d", &seq); err == nil {
					acked = max(acked, seq)
				}
			})
			w := &world{place: p}
			w.rawDB, w.state = p.open(t)
			raw, err := journal.OpenRaw(ctx, w.rawDB, journal.RawOptions{})
			if err != nil {
				t.Fatal(err)
			}
			frames := mustRead(t, raw, 0, 1)
			if len(frames) != count {
				t.Fatalf("after %d kills there are %d frames, want %d", kills, len(frames), count)
			}
			for i, f := range frames {
				if f.Offset != uint64(i)+1 || string(f.Records[0]) != fmt.Sprint(i+1) || f.Key.First != uint64(i)+1 {
					t.Errorf("frame %d is batch %s", f.Offset, f.Records[0])
				}
			}
			if kills == 0 {
				t.Error("nothing was killed")
			}
		})
	}
}
