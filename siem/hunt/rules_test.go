package hunt_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

// numbered is a rule with an id of its own.
func numbered(n int, detection string) string {
	return fmt.Sprintf("title: Rule %d\nid: 00000000-0000-4000-8000-%012d\nname: rule_%d\nauthor: Test\n%s", n, n, n, detection)
}

const (
	plainDetection = "logsource: {product: test}\ndetection:\n  s: {what: evil}\n  condition: s\n"
	badExpression  = "logsource: {product: test}\ndetection:\n  s: {what|re: '('}\n  condition: s\n"
	countsNothing  = "correlation:\n  type: event_count\n  rules: [rule_99]\n  timespan: 1m\n  condition: {gte: 2}\n"
	filtersOne     = "logsource: {product: test}\nfilter:\n  rules: [rule_1]\n  s: {who: anna}\n  condition: not s\n"
)

func tarball(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for name, text := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = tw.Close(), zw.Close()
	path := filepath.Join(t.TempDir(), "rules.tar.gz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadRules(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.yml": numbered(1, plainDetection), "sub/b.yaml": numbered(2, plainDetection), "c.txt": "no rule", "sub/d.yml.bak": "no rule"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archive := tarball(t, map[string]string{"x/e.yml": numbered(3, plainDetection), "x/README": "no rule"})
	files, err := hunt.ReadRules([]string{dir, archive, filepath.Join(dir, "a.yml")})
	if err != nil {
		t.Fatal(err)
	}
	rules, faults := hunt.Parse(files)
	if len(files) != 4 || len(rules) != 3 || len(faults) != 0 {
		t.Errorf("%d files, %d rules, %v; the file that is given twice counts once", len(files), len(rules), faults)
	}
	for path, kind := range map[string]core.Kind{
		filepath.Join(dir, "nowhere"): core.KindNotFound,
		t.TempDir():                   core.KindNotFound,
		tarball(t, nil):               core.KindNotFound,
	} {
		if _, err := hunt.ReadRules([]string{path}); core.KindOf(err) != kind {
			t.Errorf("%s: %v", path, err)
		}
	}
	cut, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, cut[:len(cut)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := hunt.ReadRules([]string{archive}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("half of an archive: %v", err)
	}
}

// TestBrokenRulesAreLeftOut: each is told with its place, and the others hunt.
func TestBrokenRulesAreLeftOut(t *testing.T) {
	rules, faults := hunt.Parse([]hunt.RuleFile{
		{Name: "good.yml", Text: []byte(numbered(1, plainDetection))},
		{Name: "yaml.yml", Text: []byte("title: [")},
		{Name: "same.yml", Text: []byte(numbered(1, plainDetection))},
		{Name: "regex.yml", Text: []byte(numbered(2, badExpression))},
		{Name: "counts.yml", Text: []byte(numbered(3, countsNothing) + "---\n" + numbered(4, plainDetection))},
		{Name: "filter.yml", Text: []byte(numbered(5, filtersOne))},
	})
	engine, more, err := hunt.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range append(faults, more...) {
		if f.Line == 0 || f.Why == "" {
			t.Errorf("a fault without a place: %+v", f)
		}
		told = append(told, strings.SplitN(f.String(), ":", 2)[0])
	}
	if got := strings.Join(told, " "); got != "yaml.yml regex.yml same.yml counts.yml" {
		t.Errorf("left out: %s (%v %v)", got, faults, more)
	}
	if len(engine.Rules()) != 2 || len(engine.Correlations()) != 0 {
		t.Errorf("%d rules, %d correlations", len(engine.Rules()), len(engine.Correlations()))
	}
	res := runConfig(t, hunt.Config{Engine: engine, Paths: []string{"-"}, Stdin: strings.NewReader(`{"what":"evil","who":"anna"}`)})
	if len(res.Matches) != 1 || res.Matches[0].Rule.Title != "Rule 4" {
		t.Errorf("the filter is not in force: %+v", res.Matches)
	}
}

func TestParseLogsource(t *testing.T) {
	for s, want := range map[string]sigma.Logsource{
		"windows/process_creation": {Product: "windows", Category: "process_creation"},
		"Linux/-/auditd":           {Product: "linux", Service: "auditd"},
		"*/proxy":                  {Category: "proxy"},
		"macos":                    {Product: "macos"},
	} {
		if got, err := hunt.ParseLogsource(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "-/-/-", "a/b/c/d"} {
		if _, err := hunt.ParseLogsource(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
