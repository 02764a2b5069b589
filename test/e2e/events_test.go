package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/index"
)

// indexer runs test/e2e/indexer: it is built as the product is, without the race
// detector, which would be most of a million events.
type indexer struct {
	t      *testing.T
	dir    string
	frames int
	cmd    *exec.Cmd
	out    *output
	lines  chan indexLine
}

// indexLine is what it says.
type indexLine struct {
	Child, Starts int
	State         index.State
	Final         bool
	Offsets       int
	Wrong         map[string]string
}

// indexerProgram builds it once per test run, beside the product.
var indexerProgram = sync.OnceValues(func() (string, error) {
	product, err := binary()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(product), "indexer")
	cmd := exec.Command("go", "build", "-o", path, "./indexer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./indexer: %w\n%s", err, out)
	}
	return path, nil
})

func (x *indexer) start() {
	x.t.Helper()
	program, err := indexerProgram()
	if err != nil {
		x.t.Fatal(err)
	}
	product, err := binary()
	if err != nil {
		x.t.Fatal(err)
	}
	x.cmd = exec.Command(program, product, x.dir, strconv.Itoa(x.frames))
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
	limit := time.NewTimer(5 * time.Minute) // a million events on a busy machine
	defer limit.Stop()
	var last indexLine
	for {
		select {
		case l, more := <-x.lines:
			if !more {
				x.t.Fatalf("the indexer ended at %+v:\n%s", last, x.out.dump())
			}
			if last = l; ok(l) {
				return l
			}
		case <-limit.C:
			x.t.Fatalf("the indexer is at %+v:\n%s", last, x.out.dump())
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
	x := &indexer{t: t, dir: t.TempDir(), frames: 1000, out: newOutput()}
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
		t.Errorf("%d offsets of %d are in the store; not exactly once: %v; %+v\n%s", end.Offsets, x.frames, end.Wrong, end.State, x.out.dump())
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
