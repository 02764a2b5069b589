package dependencies

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.org"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWhichCommitBroughtAPackage asks a repository whose own configuration names
// programs for everything that git could run on the way.
func TestWhichCommitBroughtAPackage(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	put(t, filepath.Join(dir, "web", "Cargo.lock"), "[[package]]\nname = \"left\"\nversion = \"1.2.0\"\n")
	put(t, filepath.Join(dir, ".gitattributes"), "*.lock filter=evil diff=evil\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "the first")
	first := git(t, dir, "rev-parse", "HEAD")
	pwned := filepath.Join(t.TempDir(), "pwned")
	put(t, filepath.Join(dir, "web", "Cargo.lock"), "# moved\n\n[[package]]\nname = \"left\"\nversion = \"1.2.0\"\n[[package]]\nname = \"right\"\nversion = \"2.0.0\"\n")
	git(t, dir, "commit", "-q", "-a", "-m", "another")
	second := git(t, dir, "rev-parse", "HEAD")
	put(t, filepath.Join(dir, "web", "Cargo.lock"), "[[package]]\nname = \"left\"\nversion = \"1.2.0\"\n[[package]]\nname = \"new\"\nversion = \"3.0.0\"\n")
	put(t, filepath.Join(dir, "ignored"), first+"\n")
	for _, setting := range []string{"filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "diff.evil.command", "core.fsmonitor", "core.pager", "pager.blame"} {
		git(t, dir, "config", setting, "touch "+pwned+"; cat")
	}
	git(t, dir, "config", "blame.ignoreRevsFile", "ignored")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })

	of := func(name, version string) scanning.Finding {
		return scanning.Finding{Rule: "X-1", Class: scanning.ClassVulnerability, Package: &scanning.Package{Ecosystem: "crates.io", Name: name, Version: version, File: "web/Cargo.lock"}, Location: scanning.Location{File: "web/Cargo.lock"}}
	}
	findings := []scanning.Finding{of("left", "1.2.0"), of("right", "2.0.0"), of("new", "3.0.0"), of("gone", "1")}
	target := scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeFolder}, Dir: dir, FS: root.FS()}
	(&Scanner{}).locate(t.Context(), target, findings)
	for i, want := range []struct {
		line   int
		commit string
	}{{3, first}, {0, second}, {6, ""}, {0, ""}} {
		if l := findings[i].Location; l.Line != want.line || l.Commit != want.commit || (want.commit != "") != (l.Author == "Ann <ann@example.org>" && !l.Date.IsZero()) {
			t.Errorf("%s: %+v, want %+v", findings[i].Package.Name, l, want)
		}
	}
	if _, err := os.Stat(pwned); err == nil {
		t.Error("a program of the repository was run")
	}

	// Without a repository, or without time, there is the line and nothing else.
	plain, stop := context.WithCancel(t.Context())
	stop()
	findings = []scanning.Finding{of("left", "1.2.0")}
	(&Scanner{}).locate(plain, target, findings)
	if l := findings[0].Location; l.Line != 3 || l.Commit != "" {
		t.Errorf("%+v", l)
	}
}
