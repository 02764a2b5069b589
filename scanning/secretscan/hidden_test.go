package secretscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/sarif"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

// whoHid names what the report says of who hid something in a file.
func whoHid(r *scanning.Report, file string) string {
	for _, s := range r.Suppressed {
		if s.Finding.Location.File == file {
			return fmt.Sprint(s.By, " ", s.InSource)
		}
	}
	return ""
}

// TestWhatHidesALeakIsNamed has every way in which who writes to a repository can keep
// a leak out of its report. None of them may look like a leak that was mended.
func TestWhatHidesALeakIsNamed(t *testing.T) {
	line, value := leak("hidden")
	marked := strings.TrimSuffix(line, "\n") + " # gitleaks" + ":allow\n"
	rule := scan(t, Options{}, folder(func() string {
		dir := t.TempDir()
		write(t, dir, "app.env", line)
		return dir
	}())).Findings[0].Rule
	own, acme := "[[rules]]\nid = \"acme\"\nregex = '''ACME-[0-9]{8}'''\nkeywords = [\"acme-\"]\n", "ACME"+"-00112233\n"
	for name, c := range map[string]struct {
		files map[string]string
		by    string // "" where no leak is named, but the file
		count string
	}{
		"in the line":      {map[string]string{"app.env": marked}, "in the line true", "allowed in the line"},
		"a value":          {map[string]string{"app.env": line, ".gitleaks.toml": "[allowlist]\nregexes = ['''vQ7''']\n"}, ".gitleaks.toml false", "allowed by .gitleaks.toml"},
		"a stop word":      {map[string]string{"app.env": line, ".gitleaks.toml": "[[allowlists]]\nstopwords = [\"zx9k\"]\n"}, ".gitleaks.toml false", "allowed by .gitleaks.toml"},
		"a path":           {map[string]string{"app.env": line, ".gitleaks.toml": "[allowlist]\npaths = ['''app''']\n"}, "", "texts left out by .gitleaks.toml"},
		"its rule's path":  {map[string]string{"app.env": acme, ".gitleaks.toml": own + "[[rules.allowlists]]\npaths = ['''app''']\n"}, ".gitleaks.toml false", "allowed by .gitleaks.toml"},
		"its rule's value": {map[string]string{"app.env": acme, ".gitleaks.toml": own + "[[rules.allowlists]]\nregexes = ['''0011''']\n"}, ".gitleaks.toml false", "allowed by .gitleaks.toml"},
		"an ignore file":   {map[string]string{"app.env": line, ".gitleaksignore": "app.env:" + rule + ":1\n"}, ".gitleaksignore false", "listed in .gitleaksignore"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				write(t, dir, file, text)
			}
			r := scan(t, Options{}, folder(dir))
			wantFiles(t, r)
			if got := whoHid(r, "app.env"); got != c.by {
				t.Errorf("hidden by %q, want %q: %+v", got, c.by, r.Suppressed)
			}
			if r.Scanned[c.count] != 1 || !slices.Contains(r.Scope.Excluded, "app.env") {
				t.Errorf("counts %v, excluded %v", r.Scanned, r.Scope.Excluded)
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), value) {
				t.Errorf("the report holds the secret, or %v", err)
			}
			wantSuppression(t, r, c.by)
			seen := lifecycle.Sighting{Tool: Tool, Kind: scanning.ScopeFolder, Scope: "test", Present: true, Version: "1.0.0", Rule: rule, File: "app.env"}
			r.Tool.Version, r.Started = "1.1.0", time.Now() // a later version counts whatever its rules
			f := scanning.Finding{Rule: rule, Class: scanning.ClassSecret, Location: scanning.Location{File: "app.env"}}
			if lifecycle.Covers(r, seen, &f) {
				t.Error("its silence proves that the leak is gone")
			}
		})
	}
}

// TestWhatIsHiddenAndNotNamedIsCounted has more than are named one by one, and samples:
// nobody said that they may stand there.
func TestWhatIsHiddenAndNotNamedIsCounted(t *testing.T) {
	r := &run{Options: &Options{}, report: &scanning.Report{}, rules: &ruleset{}, progress: new(source.Progress), hidden: newHidden()}
	for i := range mostTold + 3 {
		l := &detect.Leak{Rule: "r", Sample: true, Fingerprint: fmt.Sprint(i)}
		if l.Path = "a"; r.keep(l) {
			t.Fatal("a sample is told")
		}
	}
	r.keep(&detect.Leak{Rule: "r", Allowed: detect.AllowedInLine})
	r.keep(&detect.Leak{Allowed: ".gitleaks.toml"}) // a text, which has no line of its own
	r.finish()
	if n, list := r.report.Scanned[unnamed], r.report.Suppressed; n != 4 || len(list) != mostTold || !list[0].Guessed {
		t.Errorf("%d not named, %d named, %v", n, len(list), r.report.Scanned)
	}
	if got, want := Hidden(r.report), "1 allowed in the line, 1003 samples, 1 texts left out by .gitleaks.toml"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Hidden(&scanning.Report{Scanned: map[string]int64{"files": 3}}); got != "" {
		t.Errorf("%q, and nothing is hidden", got)
	}
}

// wantSuppression wants what is hidden in the SARIF log, as results that count for
// nothing.
func wantSuppression(t *testing.T, r *scanning.Report, by string) {
	t.Helper()
	var b bytes.Buffer
	if err := sarif.Write(&b, []scanning.Report{*r}); err != nil {
		t.Fatal(err)
	}
	want := by != ""
	if got := strings.Contains(b.String(), `"suppressions"`); got != want {
		t.Errorf("suppressed in SARIF: %v, want %v", got, want)
	}
	if got := strings.Contains(b.String(), `"inSource"`); got != strings.HasSuffix(by, "true") {
		t.Errorf("suppressed in the source: %v, and hidden by %s", got, by)
	}
}

// TestARuleThatAProjectReplacedIsNotAsked has a rule of ours that a scanned folder says
// it knows better.
func TestARuleThatAProjectReplacedIsNotAsked(t *testing.T) {
	dir := t.TempDir()
	line, _ := leak("replaced")
	write(t, dir, "app.env", line)
	r := scan(t, Options{}, folder(dir))
	rule := r.Findings[0].Rule
	if r.Tool.Detectors != nil {
		t.Errorf("all rules were asked, and the report names %d", len(r.Tool.Detectors))
	}
	write(t, dir, ".gitleaks.toml", "[[rules]]\nid = \"acme\"\nregex = '''ACME-[0-9]{8}'''\nkeywords = [\"acme-\"]\n[[rules]]\nid = \"github-pat\"\nregex = '''nothing has this'''\n")
	r = scan(t, Options{}, folder(dir))
	for name, want := range map[string]bool{"github-pat": false, "acme": true, rule: true} {
		if got := slices.Contains(r.Tool.Detectors, name); got != want {
			t.Errorf("%s was asked: %v, want %v", name, got, want)
		}
	}
}

// TestAProjectsRulesThatDoNotHoldAreAGap and leave ours at work.
func TestAProjectsRulesThatDoNotHoldAreAGap(t *testing.T) {
	above := t.TempDir()
	line, _ := leak("extended")
	write(t, above, "outside.toml", "[allowlist]\npaths = ['''app''']\n")
	write(t, above, "project/app.env", line)
	write(t, above, "project/.gitleaks.toml", "[extend]\npath = \"../outside.toml\"\n")
	dir := filepath.Join(above, "project")
	r := scan(t, Options{}, folder(dir))
	wantFiles(t, r, "app.env")
	if len(r.Gaps) != 1 || !strings.Contains(r.Gaps[0].Why, "outside of what is scanned") {
		t.Errorf("gaps %+v", r.Gaps)
	}
	// Who scans may say that it holds.
	r = scan(t, Options{Config: filepath.Join(dir, ".gitleaks.toml")}, folder(dir))
	wantFiles(t, r)
	if len(r.Gaps) != 0 {
		t.Errorf("gaps %+v", r.Gaps)
	}
}

// TestAHostileConfigurationIsAGap that names the file, and ours find what is there.
func TestAHostileConfigurationIsAGap(t *testing.T) {
	line, _ := leak("hostile")
	for _, text := range []string{
		"a=" + strings.Repeat("[", 1<<19), "a=" + strings.Repeat("{a=", 1<<18), "a=" + strings.Repeat("[", 4<<20),
		strings.Repeat("a.", 1<<18) + "a=1", "[" + strings.Repeat("a.", 1<<18) + "a]",
	} {
		dir := t.TempDir()
		write(t, dir, "app.env", line)
		write(t, dir, ".gitleaks.toml", text)
		r := scan(t, Options{}, folder(dir))
		wantFiles(t, r, "app.env")
		if len(r.Gaps) != 1 || r.Gaps[0].Reason != scanning.ReasonTooLarge || !strings.Contains(r.Gaps[0].Why, ".gitleaks.toml") {
			t.Errorf("%.20s: gaps %+v", text, r.Gaps)
		}
	}
}

// TestNothingThatRunsIsASample: no process has a made-up password to show how it is used.
func TestNothingThatRunsIsASample(t *testing.T) {
	for running, samples := range map[bool]int{true: 0, false: 1} {
		rules, err := New(Options{Running: running}).rules(scanning.Target{})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		text := detect.Text{Path: "etc/examples/app.env", Body: []byte("DB_PASS" + "WORD=zebra" + "fish\n")}
		rules.detector.Scan(text, func(l *detect.Leak) {
			if l.Sample {
				got++
			}
		})
		if got != samples {
			t.Errorf("running %v: %d samples, want %d", running, got, samples)
		}
	}
}
