package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

// secret makes a value that the tests' detector finds and no other.
func secret(of string) string {
	sum := sha256.Sum256([]byte(of))
	return "LEAK" + "-" + hex.EncodeToString(sum[:10])
}

func detector(t testing.TB) *detect.Detector {
	t.Helper()
	d, err := detect.New(detect.Config{Rules: []detect.Rule{{
		ID: "test-leak", Title: "a test's leak", Kind: detect.KindToken, Severity: core.SeverityHigh,
		Keywords: []string{"leak-"}, Regex: `LEAK-[0-9a-f]{20}`,
	}, {
		ID: "test-name", Title: "a key store", Kind: detect.KindPrivateKey, Severity: core.SeverityHigh, Path: `\.p12$`,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told is what a scan told, in order.
type told struct {
	leaks []Found
	gaps  []Gap
	*Progress
}

func collect(t testing.TB, c Config, scan func(Config, Sink) error) *told {
	t.Helper()
	if c.Detector == nil {
		c.Detector = detector(t)
	}
	got := &told{Progress: new(Progress)}
	c.Progress = got.Progress
	if err := scan(c, Sink{
		Leak: func(f Found) { got.leaks = append(got.leaks, f) },
		Gap:  func(g Gap) { got.gaps = append(got.gaps, g) },
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func folderOf(t testing.TB, dir string, c Config) *told {
	t.Helper()
	return collect(t, c, func(c Config, s Sink) error { return Folder(context.Background(), dir, c, s) })
}

// places writes leaks as "path!inner:line".
func (g *told) places() []string {
	out := []string{}
	for _, l := range g.leaks {
		out = append(out, fmt.Sprintf("%s:%d", strings.Join(append([]string{l.Path}, l.Inner...), "!"), l.Line))
	}
	return out
}

func (g *told) wantPlaces(t testing.TB, want ...string) {
	t.Helper()
	if got := g.places(); !slices.Equal(got, want) {
		t.Errorf("leaks at %q, want %q", got, want)
	}
}

// wantGap wants a gap of that reason whose name holds what.
func (g *told) wantGap(t testing.TB, what string, reason Reason) {
	t.Helper()
	if !slices.ContainsFunc(g.gaps, func(gap Gap) bool { return gap.Reason == reason && strings.Contains(gap.What, what) }) {
		t.Errorf("no gap %s of %q among %v", reason, what, g.gaps)
	}
}

func (g *told) wantNoGaps(t testing.TB) {
	t.Helper()
	if len(g.gaps) > 0 {
		t.Errorf("gaps %v, want none", g.gaps)
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// git is a real repository of a test.
type git struct {
	t   testing.TB
	dir string
	day int
}

func newGit(t testing.TB, args ...string) *git {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is not installed: apt-get install git")
	}
	g := &git{t: t, dir: t.TempDir()}
	g.run(append([]string{"init", "-q", "-b", "main"}, args...)...)
	return g
}

func (g *git) run(args ...string) string {
	g.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = g.dir
	date := fmt.Sprintf("2026-01-%02dT12:00:00Z", 1+g.day%28)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=Com Mitter", "GIT_COMMITTER_EMAIL=com@example.org", "GIT_COMMITTER_DATE=" + date,
		"GIT_ALLOW_PROTOCOL=file",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files (name, text, ...), commits them and returns the commit.
func (g *git) commit(files ...string) string {
	g.t.Helper()
	for pair := range slices.Chunk(files, 2) {
		write(g.t, g.dir, pair[0], pair[1])
	}
	g.run("add", "-A")
	g.day++
	g.run("commit", "-q", "--allow-empty", "-m", fmt.Sprintf("commit %d", g.day))
	return g.run("rev-parse", "HEAD")
}

func historyOf(t testing.TB, dir string, o HistoryOptions, c Config) *told {
	t.Helper()
	return collect(t, c, func(c Config, s Sink) error { return History(context.Background(), dir, o, c, s) })
}

// byCommit finds the leak of a secret and wants it from that commit.
func (g *told) byCommit(t testing.TB, value, commit string) Found {
	t.Helper()
	for _, l := range g.leaks {
		if string(l.Secret.Reveal()) == value {
			if l.Commit != commit {
				t.Errorf("%s is told of commit %s, want %s", l.Path, l.Commit, commit)
			}
			return l
		}
	}
	t.Errorf("the leak of commit %s was not found among %v", commit, g.places())
	return Found{Leak: new(detect.Leak)}
}
