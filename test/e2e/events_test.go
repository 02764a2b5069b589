package e2e

import (
	"encoding/json"
	"fmt"
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
	"github.com/interlock-security/interlock/siem/index"
	"github.com/interlock-security/interlock/test/rig"
)

// indexer runs test/e2e/indexer: it is built as the product is, without the race
// detector, which would be most of a million events.
type indexer struct {
	t       *testing.T
	program string
	dir     string
	frames  int
	cmd     *exec.Cmd
	out     *rig.Output
	lines   chan indexLine
}

// indexLine is what it says.
type indexLine struct {
	Child, Starts int
	State         index.State
	Final         bool
	Offsets       int
	Wrong         map[string]string
}

func (x *indexer) start() {
	x.t.Helper()
	x.cmd = exec.Command(x.program, rig.Program(x.t, "interlock"), x.dir, strconv.Itoa(x.frames))
	x.cmd.Stderr = x.out
	pipe, err := x.cmd.StdoutPipe()
	if err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		x.t.Fatal(err)
	}
	lines := make(chan indexLine, 1)
	x.lines = lines
	go func() {
		defer close(lines)
		for d := json.NewDecoder(pipe); ; {
			var l indexLine
			if d.Decode(&l) != nil {
				return
			}
			lines <- l
		}
	}()
}

// until reads what it says until ok.
func (x *indexer) until(ok func(indexLine) bool) indexLine {
	x.t.Helper()
	limit := time.NewTimer(10 * time.Minute) // a million events on a busy machine
	defer limit.Stop()
	var last indexLine
	for {
		select {
		case l, more := <-x.lines:
			if !more {
				x.t.Fatalf("the indexer ended at %+v:\n%s", last, x.out.String())
			}
			if last = l; ok(l) {
				return l
			}
		case <-limit.C:
			x.t.Fatalf("the indexer is at %+v:\n%s", last, x.out.String())
		}
	}
}

// crash kills the indexer, and with it the events process, and starts it again.
func (x *indexer) crash() {
	x.t.Helper()
	_ = x.cmd.Process.Kill()
	for range x.lines { // until its end
	}
	_ = x.cmd.Wait()
	x.start()
}

// TestEachEventIsIndexedOnceThroughKills streams a million events into the
// journal. The events process is killed again and again while it takes them in,
// and twice all that writes and indexes, too. After it has settled each event is
// in the store exactly once.
func TestEachEventIsIndexedOnceThroughKills(t *testing.T) {
	bin := t.TempDir()
	if err := rig.Build(bin, "./indexer"); err != nil {
		t.Fatal(err)
	}
	x := &indexer{t: t, program: filepath.Join(bin, "indexer"), dir: t.TempDir(), frames: 1000, out: new(rig.Output)}
	x.start()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		for range x.lines { // until its end
		}
		_ = x.cmd.Wait()
	})
	began := time.Now()
	const kills = 7
	for kill := 1; kill <= kills; kill++ {
		at := x.until(func(l indexLine) bool { return l.Child > 0 && l.State.Next > uint64(x.frames*kill/(kills+1)) })
		if kill%3 == 0 {
			x.crash()
		} else if err := syscall.Kill(at.Child, syscall.SIGKILL); err != nil {
			t.Errorf("kill %d: %v", kill, err)
		}
		t.Logf("kill %d after %s at %+v", kill, time.Since(began).Round(time.Second), at)
	}
	end := x.until(func(l indexLine) bool { return l.Final })
	t.Logf("settled after %s: %d offsets, %+v", time.Since(began).Round(time.Second), end.Offsets, end.State)
	if end.Offsets != x.frames || len(end.Wrong) > 0 || end.State.Missing > 0 {
		t.Errorf("%d offsets of %d are in the store; not exactly once: %v; %+v\n%s", end.Offsets, x.frames, end.Wrong, end.State, x.out.String())
	}
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
	s := &searchSite{site: newSite(t), syslog: rig.Address(t)}
	dir := filepath.Join(s.Data, "events")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", smallDisk)); err != nil {
		t.Fatalf("mount a tmpfs at %s: %v; this test needs root, or: unshare --user --map-root-user --mount", dir, err)
	}
	t.Cleanup(func() {
		s.kill()
		rig.Await(t, "the end of the mount", func() string { return dir }, func() bool { return syscall.Unmount(dir, 0) == nil })
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
	out, complaint, code := s.Run(s.t, "--json", "events", "search", word+" | stats count() n, count_uniq(\"journal.offset\", \"journal.index\") different")
	if code != 0 {
		if code != 2 || !strings.Contains(complaint, "event store") || !strings.Contains(complaint, "next: ") {
			s.t.Errorf("exit %d: %s", code, complaint)
		}
		return -1
	}
	var hits []struct {
		Event struct {
			N, Different int `json:",string"`
		} `json:"event"`
	}
	if err := json.Unmarshal([]byte(out), &hits); err != nil || len(hits) != 1 || hits[0].Event.N != hits[0].Event.Different {
		s.t.Errorf("%v: %s", err, out)
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
	rig.Await(t, "the first lines", s.out.String, func() bool { return s.found("early") == 500 })

	fill := filepath.Join(s.Data, "events", "fill")
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
	rig.Await(t, "the end of the events process", s.out.String, func() bool {
		s.log(100, "late")
		return part() != core.HealthHealthy
	})
	rig.Await(t, "a search that is unavailable", s.out.String, func() bool { return s.found("late") < 0 })

	rig.Await(t, "the server's word that the process ended", s.out.String, func() bool { return strings.Contains(s.out.String(), "the events process ended") })

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
	rig.Await(t, "a search that misses nothing", s.out.String, func() bool { return s.found("late") == late && s.found("early") == 500 })
	rig.Await(t, "an event store that is well", s.out.String, func() bool { return part() == core.HealthHealthy })
}
