package source_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/source"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// cpu is what this process and its children have used so far.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var total int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			t.Fatal(err)
		}
		total += r.Utime.Nano() + r.Stime.Nano()
	}
	return time.Duration(total)
}

// longHistory makes a repository of files that grow and change as code does: words in
// lines, edits here and there, a log that is written to at its top.
func longHistory(t testing.TB, commits int) string {
	t.Helper()
	dir := t.TempDir()
	run := func(stdin io.Reader, args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin = dir, stdin
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	run(nil, "init", "-q", "-b", "main")
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("func return the of value error string request handler config when server client index for range if nil int64 bytes test user name path file open close read write map slice append")
	line := func() string {
		var b strings.Builder
		for range 4 + r.IntN(9) {
			fmt.Fprintf(&b, "%s%s", words[r.IntN(len(words))], []string{" ", "(", ".", ", ", " = "}[r.IntN(5)])
		}
		return b.String()
	}
	files := make([][]string, 60)
	var in strings.Builder
	for c := range commits {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata 4\nwork\n", 1_700_000_000+c*3600)
		for range 1 + r.IntN(3) {
			f := r.IntN(len(files))
			if len(files[f]) == 0 {
				for range 100 + r.IntN(300) {
					files[f] = append(files[f], line())
				}
			}
			for range 1 + r.IntN(8) {
				at := r.IntN(len(files[f]))
				files[f] = append(files[f][:at], append([]string{line(), line()}, files[f][min(at+1, len(files[f])):]...)...)
			}
			text := strings.Join(files[f], "\n")
			fmt.Fprintf(&in, "M 100644 inline pkg%d/file%d.go\ndata %d\n%s\n", f%7, f, len(text), text)
		}
	}
	run(strings.NewReader(in.String()), "fast-import", "--quiet")
	run(nil, "gc", "-q")
	return dir
}

// TestHistoryCostsLittleMoreThanGitItself measures processor time against what git
// needs to write the same history as patches, in turn on the same machine. With
// INTERLOCK_REPOSITORY=DIR it measures that repository.
func TestHistoryCostsLittleMoreThanGitItself(t *testing.T) {
	dir := os.Getenv("INTERLOCK_REPOSITORY")
	if dir == "" {
		dir = longHistory(t, commits)
	}
	d, err := detect.New(standard.Config())
	if err != nil {
		t.Fatal(err)
	}
	progress := new(source.Progress)
	ours, floor := time.Hour, time.Hour
	for range rounds {
		began := cpu(t)
		cmd := exec.Command("git", "-C", dir, "log", "-p", "--all")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		floor = min(floor, cpu(t)-began)
		began = cpu(t)
		c := source.Config{Detector: d, Progress: progress}
		if err := source.History(context.Background(), dir, source.HistoryOptions{}, c, source.Sink{Leak: func(source.Found) {}, Gap: func(source.Gap) {}}); err != nil {
			t.Fatal(err)
		}
		ours = min(ours, cpu(t)-began)
	}
	ratio := float64(ours) / float64(floor)
	t.Logf("git log -p: %s, ours: %s, ratio %.2f; %d versions, %d MB", floor, ours, ratio, progress.Blobs.Load()/rounds, progress.Bytes.Load()/rounds>>20)
	if limit := 2.5; ratio > limit && !raced {
		t.Errorf("reading the history costs %.2f times git log -p, at most %.1f is allowed", ratio, limit)
	}
}
