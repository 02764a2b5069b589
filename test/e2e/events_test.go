package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	eventstore "github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/index"
)

// indexRig is a journal, the index stage and the real events process, without
// the rest of the server: a million events would be most of its test.
type indexRig struct {
	t      *testing.T
	state  *store.DB
	frames *journal.Raw
	dir    string
	out    *output
	tenant core.TenantID
	child  *eventstore.Supervisor
	index  *index.Index
	end    func()
}

func newIndexRig(t *testing.T) *indexRig {
	t.Helper()
	r := &indexRig{t: t, dir: t.TempDir(), out: newOutput(), tenant: core.MustID[core.TenantID]("main")}
	open := func(name string, m store.Migrations) *store.DB {
		db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", Path: filepath.Join(r.dir, name), Key: core.NewSecret(make([]byte, 32))})
		if err == nil {
			err = db.Migrate(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	r.state = open("state.db", journal.Migrations())
	raw := open("journal.db", journal.RawMigrations())
	var err error
	if r.frames, err = journal.OpenRaw(t.Context(), raw, journal.RawOptions{State: r.state}); err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(func() { r.end() })
	return r
}

// start runs the events process and the index, as a start of serve does.
func (r *indexRig) start() {
	r.t.Helper()
	program, err := binary()
	if err != nil {
		r.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(r.out, nil))
	r.child = &eventstore.Supervisor{
		Args: []string{"child", "events"}, Program: program, Installation: core.MustID[core.ServiceID]("test"), Stderr: r.out, Clock: core.SystemClock{}, Log: log,
		Start: eventstore.Start{Dir: filepath.Join(r.dir, "events"), Memory: 64 << 20, Disk: 4 << 30, Retention: 90 * 24 * time.Hour, Flush: time.Second},
	}
	r.index = index.New(index.Config{Frames: r.frames, State: r.state, Store: r.child.Client(), Flush: time.Second, Clock: core.SystemClock{}, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	childEnded, indexEnded := make(chan struct{}), make(chan struct{})
	child, ix := r.child, r.index
	go func() { defer close(childEnded); _ = child.Run(ctx) }()
	go func() { defer close(indexEnded); _ = ix.Run(ctx, nil) }()
	r.end = func() { cancel(); <-childEnded; <-indexEnded }
}

// crash kills the events process at once and forgets what the index knew, as
// when the machine loses power; then all is started again.
func (r *indexRig) crash() {
	r.kill()
	r.end()
	r.start()
}

// kill kills the events process.
func (r *indexRig) kill() {
	if pid := r.child.PID(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// record is an event of about 400 bytes.
func (r *indexRig) record(n int, now time.Time) []byte {
	at := now.UTC().Format(time.RFC3339Nano)
	return fmt.Appendf(nil, `{"id":"%s","time":"%s","received":"%s","tenant":"main","source":"device/press-%d","provenance":"device-signed","device":"press-%d","class":5002,`+
		`"type":"case_intrusion","severity":"high","sequence":%d,"fields":{"sensor":"lid","state":"alarm","count":%d,"message":"the lid of the press was opened, for the %dth time"}}`,
		core.NewUUID(now), at, at, n%50, n%50, n+1, n, n)
}

// append puts frames of a thousand events into the journal.
func (r *indexRig) append(frames int, from int) {
	now := time.Now()
	records := make([][]byte, 1000)
	for f := range frames {
		for i := range records {
			records[i] = r.record((from+f)*1000+i, now)
		}
		if _, err := r.frames.Append(r.t.Context(), journal.Frame{Kind: journal.KindEvents, Tenant: r.tenant, Source: "device/press", Received: now, Records: records}); err != nil {
			r.t.Error(err)
			return
		}
	}
}

// settled waits until the cursor has passed all.
func (r *indexRig) settled() {
	r.t.Helper()
	next, err := r.frames.Next(r.t.Context(), 0)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	for r.index.State().Cursor < next {
		select {
		case <-ctx.Done():
			r.t.Fatalf("the index did not settle: %+v of %d\n%s", r.index.State(), next, r.out.dump())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exactlyOnce asks the store for each offset how many events it holds, and how
// many different ones.
func (r *indexRig) exactlyOnce(frames int) {
	r.t.Helper()
	hits, err := r.child.Client().Search(r.t.Context(), eventstore.Query{
		Tenant: r.tenant, Limit: eventstore.MaxLimit,
		LogsQL: `* | stats by ("journal.offset") count() rows, count_uniq("journal.index") different`,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	wrong := 0
	for _, h := range hits {
		if h.Fields["rows"] != "1000" || h.Fields["different"] != "1000" {
			wrong++
			r.t.Errorf("offset %s has %s rows of %s events", h.Fields[eventstore.FieldOffset], h.Fields["rows"], h.Fields["different"])
		}
	}
	if len(hits) != frames || wrong > 0 {
		r.t.Errorf("%d offsets are in the store, want %d; %d of them are not exactly once; %+v\n%s", len(hits), frames, wrong, r.index.State(), r.out.dump())
	}
}

// TestEachEventIsIndexedOnceThroughKills streams a million events into the
// journal while the events process is killed again and again, and all of the
// indexing once; after it has settled each event is in the store exactly once.
func TestEachEventIsIndexedOnceThroughKills(t *testing.T) {
	frames := 1000
	if n, err := strconv.Atoi(os.Getenv("INTERLOCK_FRAMES")); err == nil {
		frames = n
	}
	r := newIndexRig(t)
	began := time.Now()
	const writers = 4
	done := make(chan struct{}, writers)
	for w := range writers {
		go func() {
			r.append(frames/writers, w*frames/writers)
			done <- struct{}{}
		}()
	}
	for kills := 1; kills <= 6; kills++ {
		part := uint64(frames * kills / 7)
		await(t, "the stream", r.out.dump, func() bool { return r.index.State().Next > part })
		if kills == 3 {
			r.crash()
		} else {
			r.kill()
		}
		t.Logf("kill %d at %s: %+v", kills, time.Since(began), r.index.State())
	}
	for range writers {
		<-done
	}
	t.Logf("written after %s", time.Since(began))
	r.settled()
	t.Logf("settled after %s: %+v, %d starts", time.Since(began), r.index.State(), r.child.Starts())
	r.exactlyOnce(frames)
}

// searchSite is a site whose server takes syslog in and whose event store lies
// on a small disk of its own.
type searchSite struct {
	*site
	syslog string
	sent   int
}

const smallDisk = 64 << 20

// newSearchSite mounts a tmpfs for the event store, which takes root.
func newSearchSite(t *testing.T) *searchSite {
	t.Helper()
	s := &searchSite{site: newSite(t), syslog: freePort(t)}
	dir := filepath.Join(s.data, "events")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", smallDisk)); err != nil {
		t.Fatalf("mount a tmpfs at %s: %v; this test needs root, or: unshare --user --map-root-user --mount", dir, err)
	}
	t.Cleanup(func() {
		s.kill()
		await(t, "the end of the mount", func() string { return dir }, func() bool { return syscall.Unmount(dir, 0) == nil })
	})
	s.configure("collect:\n  syslog:\n    tcp: " + s.syslog + "\nevents:\n  memory_mb: 16\n  disk_mb: 1024\n  free_mb: 0\n")
	return s
}

// log sends lines to the server's syslog listener.
func (s *searchSite) log(n int, word string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.syslog)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	var b strings.Builder
	for range n {
		s.sent++
		fmt.Fprintf(&b, "<86>1 %s host app 1 - - %s line %d %s\n", time.Now().UTC().Format(time.RFC3339Nano), word, s.sent, strings.Repeat("x", 100))
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		s.t.Fatal(err)
	}
}

// found counts events with a word; -1 while searching is unavailable.
func (s *searchSite) found(word string) int {
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), path, "--data", s.data, "--json", "events", "search", word+" | stats count() n, count_uniq(\"journal.offset\", \"journal.index\") different")
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if code := exitCode(cmd.Run()); code != 0 {
		if code != 2 || !strings.Contains(errOut.String(), "event store") || !strings.Contains(errOut.String(), "next: ") {
			s.t.Errorf("exit %d: %s", code, errOut.String())
		}
		return -1
	}
	var hits []struct {
		Event struct {
			N, Different int `json:",string"`
		} `json:"event"`
	}
	if err := json.Unmarshal(out.Bytes(), &hits); err != nil || len(hits) != 1 || hits[0].Event.N != hits[0].Event.Different {
		s.t.Errorf("%v: %s", err, out.String())
		return -1
	}
	return hits[0].Event.N
}

// TestAFullDiskEndsTheEventStoreAndNothingElse fills the disk under the event
// store: its process ends, the server goes on, searching says that it is
// unavailable, and when there is room again nothing was missed.
func TestAFullDiskEndsTheEventStoreAndNothingElse(t *testing.T) {
	s := newSearchSite(t)
	s.serve()
	s.awaitHealthy()
	s.log(500, "early")
	await(t, "the first lines", s.out.dump, func() bool { return s.found("early") == 500 })

	fill := filepath.Join(s.data, "events", "fill")
	if err := os.WriteFile(fill, make([]byte, smallDisk), 0o600); err == nil {
		t.Fatal("the disk is larger than it should be")
	}
	status := func() api.Status {
		st, err := get[api.Status](s.site, "/v1/status")
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	part := func() core.Health { return status().Parts["events"] }
	await(t, "the end of the events process", s.out.dump, func() bool {
		s.log(100, "late")
		return part() != core.HealthHealthy
	})
	await(t, "a search that is unavailable", s.out.dump, func() bool { return s.found("late") < 0 })

	if !strings.Contains(s.out.dump(), "the events process ended") {
		t.Errorf("the process did not end:\n%s", s.out.dump())
	}

	// Everything else goes on.
	before := status().Audit.Size
	s.must([]int{0}, "token", "create", "--device", "press-9")
	s.must([]int{0, 1}, "stop", "--fleet", "--reason", "the disk of the event store is full")
	if after := status().Audit.Size; after <= before {
		t.Errorf("the audit log stands still at %d", after)
	}
	if n := len(s.events(5)); n != 5 {
		t.Errorf("the journal gives %d of the last 5 events", n)
	}
	if err := s.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the server ended: %v", err)
	}

	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	late := s.sent - 500
	await(t, "a search that misses nothing", s.out.dump, func() bool { return s.found("late") == late && s.found("early") == 500 })
	await(t, "an event store that is well", s.out.dump, func() bool { return part() == core.HealthHealthy })
}
