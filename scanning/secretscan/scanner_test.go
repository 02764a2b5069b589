package secretscan

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify/online"
)

// leak makes a line with a password that only this test knows.
func leak(of string) (line, value string) {
	sum := sha256.Sum256([]byte(of))
	value = "vQ7" + hex.EncodeToString(sum[:6]) + "Zx9K"
	return "DB_PASS" + "WORD=" + value + "\n", value
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

func scan(t testing.TB, o Options, target scanning.Target) *scanning.Report {
	t.Helper()
	r := new(scanning.Report)
	if err := New(o).Scan(context.Background(), target, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func folder(dir string) scanning.Target {
	return scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: "test"}, Dir: dir}
}

// wantFiles wants one finding in each of these files.
func wantFiles(t testing.TB, r *scanning.Report, files ...string) {
	t.Helper()
	got := []string{}
	for _, f := range r.Findings {
		got = append(got, strings.Join(append([]string{f.Location.File}, f.Location.Inner...), "!"))
	}
	if !slices.Equal(got, files) {
		t.Errorf("findings in %q, want %q; gaps %v", got, files, r.Gaps)
	}
}

func TestALeakIsAFinding(t *testing.T) {
	dir := t.TempDir()
	line, value := leak("a")
	write(t, dir, "conf/app.env", "HOST=x\n"+line)
	r := scan(t, Options{Version: "v1"}, folder(dir))
	wantFiles(t, r, "conf/app.env")
	f := r.Findings[0]
	switch {
	case f.Class != scanning.ClassSecret, f.Location.Line != 2, f.Fingerprint == "", f.Advice == "", f.Severity.Rank() < 0:
		t.Errorf("finding %+v", f)
	case r.Outcome() != scanning.OutcomeFindings, r.Tool.Name != Tool, r.Tool.Version != "v1", len(r.Tool.Rules) != 32, r.Scanned["files"] != 1:
		t.Errorf("report %+v", r)
	}
	text, err := json.Marshal(r)
	if err != nil || bytes.Contains(text, []byte(value)) || strings.Contains(fmt.Sprintf("%#v", r), value) {
		t.Errorf("the report holds the secret, or %v", err)
	}
}

func TestEveryKindHasARemedy(t *testing.T) {
	for _, k := range []detect.Kind{detect.KindPassword, detect.KindToken, detect.KindCloudKey, detect.KindPrivateKey, detect.KindConnection, detect.KindHash, detect.KindWebhook, detect.KindKey} {
		if remedies[k] == "" {
			t.Errorf("nothing is said of what to do with a %s", k)
		}
	}
}

func TestABaselineTellsNewLeaksOnly(t *testing.T) {
	dir := t.TempDir()
	old, value := leak("old")
	write(t, dir, "old.env", old)
	known := filepath.Join(t.TempDir(), "known.json")
	if err := WriteBaseline(known, nil, scan(t, Options{}, folder(dir))); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(known); bytes.Contains(text, []byte(value)) {
		t.Error("the baseline holds the secret")
	}
	b, err := ReadBaseline(known)
	if err != nil {
		t.Fatal(err)
	}
	fresh, _ := leak("new")
	write(t, dir, "new.env", fresh)
	write(t, dir, "old.env", "# moved down\n\n"+old)
	r := scan(t, Options{Baseline: b}, folder(dir))
	wantFiles(t, r, "new.env")
	if r.Scanned["known leaks"] != 1 || !slices.Contains(r.Scope.Excluded, "old.env") {
		t.Errorf("a known leak is not counted, or its file counts as scanned: %+v", r)
	}
	// What is known stays known when the baseline is written anew.
	if err := WriteBaseline(known, b, r); err != nil {
		t.Fatal(err)
	}
	if b, err = ReadBaseline(known); err != nil || len(b.Leaks) != 2 {
		t.Errorf("the new baseline has %+v, %v", b, err)
	}
	wantFiles(t, scan(t, Options{Baseline: b}, folder(dir)))
}

func TestBrokenBaselinesAreRefused(t *testing.T) {
	for _, text := range []string{"", "[]", `{"version":2}`, `{"version":1,"leaks":[{"fingerprint":1}]}`} {
		if _, err := parseBaseline("b.json", []byte(text)); err == nil {
			t.Errorf("%q is taken for a baseline", text)
		}
	}
}

func FuzzBaseline(f *testing.F) {
	f.Add([]byte(`{"version":1,"leaks":[{"fingerprint":"ab","rule":"r","file":"f"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := parseBaseline("b.json", text)
		if err != nil {
			return
		}
		for _, k := range b.Leaks {
			if !b.Has(k.Fingerprint) {
				t.Fatalf("%q is listed and not known", k.Fingerprint)
			}
		}
	})
}

func TestProjectFilesHold(t *testing.T) {
	dir := t.TempDir()
	one, _ := leak("one")
	two, _ := leak("two")
	write(t, dir, "one.env", one)
	write(t, dir, "two.env", two)
	write(t, dir, "generated/three.env", one)
	write(t, dir, "own.txt", "ACME"+"-00112233\n")
	r := scan(t, Options{}, folder(dir))
	wantFiles(t, r, "generated/three.env", "one.env", "two.env")
	digest := r.Tool.Rules
	write(t, dir, ".gitleaks.toml", "[[rules]]\nid = \"acme\"\ndescription = \"Acme key\"\nregex = '''ACME-[0-9]{8}'''\nkeywords = [\"acme-\"]\n[allowlist]\npaths = ['''^generated/''']\n")
	write(t, dir, ".gitleaksignore", fmt.Sprintf("one.env:%s:1\n", r.Findings[1].Rule))
	r = scan(t, Options{}, folder(dir))
	wantFiles(t, r, "own.txt", "two.env")
	if r.Tool.Rules == digest {
		t.Error("other rules have the same digest")
	}
	r = scan(t, Options{Config: filepath.Join(dir, ".gitleaks.toml"), Alone: true}, folder(dir))
	wantFiles(t, r, "own.txt")
}

func TestExcludedPathsAreWrittenIntoTheScope(t *testing.T) {
	dir := t.TempDir()
	line, _ := leak("x")
	for _, name := range []string{"a.env", "vendor/b.env", "x/vendor/c.env", "docs/deep/d.env", "docs/e.txt"} {
		write(t, dir, name, line)
	}
	for _, c := range []struct {
		patterns []string
		want     []string
	}{
		{[]string{"vendor"}, []string{"a.env", "docs/deep/d.env", "docs/e.txt"}},
		{[]string{"/vendor/b.env"}, []string{"a.env", "docs/deep/d.env", "docs/e.txt", "x/vendor/c.env"}},
		{[]string{"docs/**/*.env", "vendor"}, []string{"a.env", "docs/e.txt"}},
		{[]string{"*.env"}, []string{"docs/e.txt"}},
	} {
		if err := CheckPatterns(c.patterns); err != nil {
			t.Error(err)
		}
		r := scan(t, Options{Exclude: c.patterns}, folder(dir))
		wantFiles(t, r, c.want...)
		if !slices.Equal(r.Scope.Excluded, c.patterns) {
			t.Errorf("excluded is %q, want %q", r.Scope.Excluded, c.patterns)
		}
	}
	for _, bad := range []string{"[", "", "/", "**/**/**/**/x"} {
		if CheckPatterns([]string{bad}) == nil {
			t.Errorf("%q is taken for a pattern", bad)
		}
	}
}

func TestATreeAndAStream(t *testing.T) {
	line, _ := leak("x")
	target := scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeHost, Name: "h"}, FS: fstest.MapFS{"etc/app.env": {Data: []byte(line)}}}
	wantFiles(t, scan(t, Options{}, target), "etc/app.env")
	wantFiles(t, scan(t, Options{Stdin: strings.NewReader(line)}, scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeStream, Name: "stdin"}}), "stdin")
	if err := New(Options{}).Scan(context.Background(), scanning.Target{}, new(scanning.Report)); err == nil {
		t.Error("a target of nothing is clean")
	}
	if err := New(Options{}).Scan(context.Background(), folder("/nonexistent"), new(scanning.Report)); err == nil {
		t.Error("a folder that is not there is clean")
	}
}

// TestAnImagesLayersAreScanned builds what "docker save" writes: a secret that the
// upper layer deletes is leaked all the same, and so is one in the environment.
func TestAnImagesLayersAreScanned(t *testing.T) {
	below, _ := leak("below")
	env, _ := leak("env")
	lower := tarOf(t, "app/.env", below)
	upper := tarOf(t, "app/.wh..env", "")
	name := func(blob string) string { return fmt.Sprintf("blobs/sha256/%x", sha256.Sum256([]byte(blob))) }
	config := fmt.Sprintf(`{"architecture":"amd64","config":{"Env":["PATH=/bin","%s"]},"rootfs":{"type":"layers"}}`, strings.TrimSpace(env))
	image := tarOf(t, name(config), config, name(lower), lower, name(upper), upper,
		"manifest.json", fmt.Sprintf(`[{"Config":%q,"RepoTags":["shop:1"],"Layers":[%q,%q]}]`, name(config), name(lower), name(upper)))
	dir := t.TempDir()
	write(t, dir, "image.tar", image)
	r := scan(t, Options{}, scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeImage, Name: "shop:1"}, Dir: filepath.Join(dir, "image.tar")})
	wantFiles(t, r, "image.tar!"+name(config), "image.tar!"+name(lower)+"!app/.env")
	if len(r.Findings) == 2 && r.Findings[1].Location.Layer != "sha256:"+strings.TrimPrefix(name(lower), "blobs/sha256/") {
		t.Errorf("the layer is %q", r.Findings[1].Location.Layer)
	}
}

func tarOf(t testing.TB, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for p := range slices.Chunk(pairs, 2) {
		if err := w.WriteHeader(&tar.Header{Name: p[0], Size: int64(len(p[1])), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(p[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHistoryAndTreeAreOneReport(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org",
			"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	kept, _ := leak("kept")
	gone, _ := leak("gone")
	loose, _ := leak("loose")
	write(t, dir, "kept.env", kept)
	write(t, dir, "gone.env", gone)
	git("add", "-A")
	git("commit", "-q", "-m", "one")
	git("rm", "-q", "gone.env")
	git("commit", "-q", "-m", "two")
	write(t, dir, "loose.env", loose)
	write(t, dir, "kept.env", "# changed\n"+kept)
	target := folder(dir)
	target.Scope.Kind = scanning.ScopeGit
	r := scan(t, Options{History: true}, target)
	wantFiles(t, r, "gone.env", "kept.env", "loose.env")
	if !slices.Contains(r.Findings[0].Tags, TagGone) || slices.Contains(r.Findings[1].Tags, TagGone) || r.Findings[1].Location.Author != "A <a@example.org>" {
		t.Errorf("findings %+v", r.Findings)
	}
	if len(r.Scope.Excluded) != 0 {
		t.Errorf("a whole scan leaves out %q", r.Scope.Excluded)
	}
	git("add", "-A")
	r = scan(t, Options{Staged: true}, target)
	wantFiles(t, r, "loose.env")
	if !slices.Contains(r.Scope.Excluded, "*") {
		t.Error("a scan of staged changes could prove that something is fixed")
	}
}

func TestDescribe(t *testing.T) {
	if d := New(Options{History: true}).Describe(); d.Tool.Name != Tool || !slices.Contains(d.Needs, "git") {
		t.Errorf("described as %+v", d)
	}
}

// provider is a stand-in that knows one rule.
type provider struct {
	rule   string
	state  online.State
	asked  int
	broken bool
}

func (p *provider) Knows(rule string) bool { return rule == p.rule }

func (p *provider) Ask(_ context.Context, q online.Question) (online.Answer, error) {
	p.asked++
	if p.broken || q.Secret.IsZero() {
		return online.Answer{}, errors.New("not reached")
	}
	return online.Answer{State: p.state, Owner: "anna"}, nil
}

func TestProvidersAreAskedOnceAndOnlyWhenWanted(t *testing.T) {
	dir := t.TempDir()
	line, _ := leak("x")
	write(t, dir, "a.env", line)
	write(t, dir, "b.env", line)
	rule := scan(t, Options{}, folder(dir)).Findings[0].Rule
	p := &provider{rule: rule, state: online.Live}
	r := scan(t, Options{Online: p}, folder(dir))
	if f := r.Findings[1]; p.asked != 1 || !slices.Contains(f.Tags, TagLive) || f.Severity != core.SeverityCritical || !strings.HasPrefix(f.Advice, "it works and is of anna, now: ") {
		t.Errorf("asked %d times, finding %+v", p.asked, f)
	}
	p = &provider{rule: rule, state: online.Dead}
	if r = scan(t, Options{Online: p}, folder(dir)); !slices.Contains(r.Findings[0].Tags, TagDead) {
		t.Errorf("finding %+v", r.Findings[0])
	}
	p = &provider{rule: rule, broken: true}
	if r = scan(t, Options{Online: p}, folder(dir)); r.Scanned["unanswered questions"] != 2 || len(r.Findings) != 2 || len(r.Gaps) != 0 {
		t.Errorf("report %+v", r)
	}
	p = &provider{rule: "another"}
	if scan(t, Options{Online: p}, folder(dir)); p.asked != 0 {
		t.Error("somebody was asked about what they don't know")
	}
}
