// Command indexer is a journal, the index stage and the real events process in a
// process of their own, so that a test can kill it: it writes frames of a
// thousand events into the journal until there are as many as it was told, and
// says where it stands as JSON, a line each. When all is indexed it counts what
// the store holds, says that and ends.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/index"
)

// FrameEvents is how many events a frame has.
const FrameEvents = 1000

// Line is what is said.
type Line struct {
	Child  int // the events process
	Starts int
	State  index.State
	Final  bool
	// Offsets is how many frames the store knows, Wrong which of them it does
	// not hold exactly once, with what it holds.
	Offsets int
	Wrong   map[string]string
}

var tenant = core.MustID[core.TenantID]("main")

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: indexer PROGRAM DIR FRAMES")
		os.Exit(2)
	}
	frames, err := strconv.Atoi(os.Args[3])
	if err == nil {
		err = run(context.Background(), os.Args[1], os.Args[2], uint64(frames))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "indexer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, dir string, frames uint64) error {
	state, err := open(ctx, filepath.Join(dir, "state.db"), journal.Migrations())
	if err != nil {
		return err
	}
	raw, err := open(ctx, filepath.Join(dir, "journal.db"), journal.RawMigrations())
	if err != nil {
		return err
	}
	j, err := journal.OpenRaw(ctx, raw, journal.RawOptions{State: state})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	child := &events.Supervisor{
		Args: []string{"child", "events"}, Program: program, Installation: core.MustID[core.ServiceID]("test"), Stderr: os.Stderr, Clock: core.SystemClock{}, Log: log,
		Start: events.Start{Dir: filepath.Join(dir, "events"), Memory: 64 << 20, Disk: 4 << 30, Retention: 90 * 24 * time.Hour, Flush: time.Second},
	}
	ix := index.New(index.Config{Frames: j, State: state, Store: child.Client(), Flush: time.Second, Clock: core.SystemClock{}, Log: log})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- child.Run(ctx) }()
	go func() { ended <- ix.Run(ctx, nil) }()
	writing := make(chan error, 1)
	go func() { writing <- write(ctx, j, frames) }()
	err = watch(ctx, ix, child, writing, frames)
	cancel()
	<-ended
	<-ended
	return err
}

func open(ctx context.Context, path string, m store.Migrations) (*store.DB, error) {
	db, err := store.Open(ctx, store.Config{Driver: "sqlite", Path: path, Key: core.NewSecret(make([]byte, 32))})
	if err == nil {
		err = db.Migrate(ctx, m)
	}
	return db, err
}

// writers append at the same time.
const writers = 4

// write appends frames until the journal has so many.
func write(ctx context.Context, j *journal.Raw, frames uint64) error {
	next, err := j.Next(ctx, 0)
	if err != nil {
		return err
	}
	var taken atomic.Uint64
	taken.Store(next - 1)
	failed := make(chan error, writers)
	for range writers {
		go func() {
			for n := taken.Add(1); n <= frames; n = taken.Add(1) {
				if err := appendFrame(ctx, j, n); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range writers {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// appendFrame writes a frame of events of about 400 bytes.
func appendFrame(ctx context.Context, j *journal.Raw, frame uint64) error {
	now := time.Now()
	at := now.UTC().Format(time.RFC3339Nano)
	records := make([][]byte, FrameEvents)
	for i := range records {
		n := frame*FrameEvents + uint64(i)
		records[i] = fmt.Appendf(nil, `{"id":"%s","time":"%s","received":"%s","tenant":"main","source":"device/press-%d","provenance":"device-signed","device":"press-%d","class":5002,`+
			`"type":"case_intrusion","severity":"high","sequence":%d,"fields":{"sensor":"lid","state":"alarm","count":%d,"message":"the lid of the press was opened, for the %dth time"}}`,
			core.NewUUID(now), at, at, n%50, n%50, n+1, n, n)
	}
	_, err := j.Append(ctx, journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Source: "device/press", Received: now, Records: records})
	return err
}

// watch says where all stands until the store holds every frame.
func watch(ctx context.Context, ix *index.Index, child *events.Supervisor, writing <-chan error, frames uint64) error {
	out := json.NewEncoder(os.Stdout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for written := false; ; {
		line := Line{Child: child.PID(), Starts: child.Starts(), State: ix.State()}
		if written && line.State.Cursor > frames {
			line.Final = true
			if err := count(ctx, child.Client(), &line); err != nil {
				return err
			}
		}
		if err := out.Encode(line); err != nil || line.Final {
			return err
		}
		select {
		case err := <-writing:
			if err != nil {
				return err
			}
			written = true
		case <-tick.C:
		}
	}
}

// count asks the store for each offset how many rows it holds, and of how many
// different events.
func count(ctx context.Context, c *events.Client, line *Line) error {
	hits, err := c.Search(ctx, events.Query{
		Tenant: tenant, Limit: events.MaxLimit,
		LogsQL: `* | stats by ("journal.offset") count() rows, count_uniq("journal.index") different`,
	})
	if err != nil {
		return err
	}
	line.Offsets, line.Wrong = len(hits), map[string]string{}
	want := strconv.Itoa(FrameEvents)
	for _, h := range hits {
		if h.Fields["rows"] != want || h.Fields["different"] != want {
			line.Wrong[h.Fields[events.FieldOffset]] = h.Fields["rows"] + " rows of " + h.Fields["different"] + " events"
		}
	}
	return nil
}
