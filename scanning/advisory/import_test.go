package advisory_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

func leftPad(id, fixed string, extra object) object {
	return record(id, extra, pkg("npm", "left-pad", span("SEMVER", "introduced", "0", "fixed", fixed)))
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zipped(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// found lists the advisories that hit left-pad 1.0.0.
func found(t *testing.T, dir string) []string {
	t.Helper()
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	findings, _ := match(db, installed("npm", "left-pad", "1.0.0"))
	var ids []string
	for _, f := range findings {
		ids = append(ids, f.Rule)
	}
	slices.Sort(ids)
	return ids
}

func TestEveryFormIsRead(t *testing.T) {
	one := marshal(t, leftPad("GHSA-1", "2.0.0", nil))
	for name, data := range map[string][]byte{
		"one.json":     one,
		"array.json":   []byte(" [" + string(one) + "\n]"),
		"lines.ndjson": []byte(string(one) + "\n\n"),
		"all.zip":      zipped(t, map[string][]byte{"GHSA-1.json": one, "README.txt": []byte("no")}),
		"all.tar.gz":   tarred(t, map[string][]byte{"a/b/GHSA-1.json": one}),
		"pysec.yaml":   []byte("id: GHSA-1\nmodified: \"2026-11-20T10:00:00Z\"\naffected:\n- package:\n    ecosystem: npm\n    name: left-pad\n  ranges:\n  - type: SEMVER\n    events:\n    - introduced: \"0\"\n    - fixed: 2.0.0\n  versions:\n  - \"1.0\"\n"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := load(t, dir, write(t, filepath.Join(t.TempDir(), name), data))
			if s.Read != 1 || s.Added != 1 || s.Incomplete() || !slices.Equal(found(t, dir), []string{"GHSA-1"}) {
				t.Errorf("%+v, found %v", s, found(t, dir))
			}
			if info, err := os.Stat(filepath.Join(dir, "advisories.db")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v %v", info, err)
			}
		})
	}
}

func TestNewerWinsWhateverTheOrder(t *testing.T) {
	old := leftPad("GHSA-1", "1.0.0", object{"modified": "2026-01-01T00:00:00Z"})
	newer := leftPad("GHSA-1", "2.0.0", object{"modified": "2026-02-01T00:00:00Z"})
	for _, order := range [][]object{{old, newer}, {newer, old}} {
		dir := t.TempDir()
		load(t, dir, source(t, order[0]))
		s := load(t, dir, source(t, order[1]))
		if len(found(t, dir)) != 1 || s.Added != 0 || s.Updated+s.Older != 1 {
			t.Errorf("%v, %+v", found(t, dir), s)
		}
	}
}

func TestImportingAgainChangesNothing(t *testing.T) {
	dir, src := t.TempDir(), source(t, leftPad("GHSA-1", "2.0.0", nil), leftPad("GHSA-2", "2.0.0", nil))
	load(t, dir, src)
	before, err := os.ReadFile(filepath.Join(dir, "advisories.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, dir, src)
	after, err := os.ReadFile(filepath.Join(dir, "advisories.db"))
	if err != nil || !bytes.Equal(before, after) || s.Unchanged != 2 || s.Added+s.Updated+s.Older != 0 {
		t.Errorf("%+v, equal: %v, %v", s, bytes.Equal(before, after), err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestMalformedAdvisoriesAreNamedAndMakeEveryScanIncomplete(t *testing.T) {
	src := source(t, leftPad("GHSA-1", "2.0.0", nil))
	for name, data := range map[string]string{
		"cut.json":      `{"id": "GHSA-2", "modified": "2026-`,
		"noid.json":     `{"modified": "2026-01-01T00:00:00Z"}`,
		"notime.json":   `{"id": "GHSA-3"}`,
		"badtime.json":  `{"id": "GHSA-3", "modified": "yesterday"}`,
		"range.json":    `{"id": "GHSA-4", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "ranges": [{"type": "VAGUE", "events": []}]}]}`,
		"nobegin.json":  `{"id": "GHSA-5", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "ranges": [{"type": "SEMVER", "events": [{"fixed": "1"}]}]}]}`,
		"two.json":      `{"id": "GHSA-6", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0", "fixed": "1"}]}]}]}`,
		"noname.json":   `{"id": "GHSA-7", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm"}, "versions": ["1"]}]}`,
		"deep.json":     strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100),
		"control.json":  `{"id": "GHSA-8", "modified": "2026-01-01T00:00:00Z", "aliases": ["a\u001b[31m"]}`,
		"list.json":     `{"id": ["GHSA-9"]}`,
		"pysec.yaml":    "id: [",
		"RUSTSEC-1.md":  "```toml\n[advisory]\nid = 3\n```\n",
		"RUSTSEC-2.md":  "```toml\n[advisory]\nid = \"RUSTSEC-2\"\npackage = \"x\"\ndate = \"2026-01-01\"\n[versions]\npatched = [\"huh\"]\n```\n",
		"README.md":     "# not an advisory\n",
		"unrelated.txt": "nor this",
	} {
		write(t, filepath.Join(src, name), []byte(data))
	}
	dir := t.TempDir()
	s := load(t, dir, src)
	if len(s.Problems) != 14 || !s.Incomplete() || s.Read != 1 {
		t.Fatalf("%d problems: %v", len(s.Problems), s.Problems)
	}
	for _, p := range s.Problems {
		if p.Source == "" || p.Entry == "" || p.What == "" {
			t.Errorf("not named: %+v", p)
		}
	}
	db := open(t, dir)
	findings, gaps := match(db, installed("npm", "left-pad", "1.0.0"))
	if len(findings) != 1 || len(gaps) != 1 || gaps[0].Reason != scanning.ReasonMalformed || !strings.Contains(gaps[0].Why, "14 advisories") {
		t.Errorf("%v %v", findings, gaps)
	}
	if db.Status().Problems == nil {
		t.Error("the status must name them")
	}
	// A corrected source takes its problems away, another one does not.
	load(t, dir, source(t, leftPad("GHSA-77", "2.0.0", nil)))
	if got := open(t, dir).Check(nil, now, 0); len(got) != 1 {
		t.Errorf("another source's import hides the problems: %v", got)
	}
	for _, name := range []string{"deep.json", "control.json", "list.json", "cut.json", "noid.json", "notime.json", "badtime.json", "range.json", "nobegin.json", "two.json", "noname.json", "pysec.yaml", "RUSTSEC-1.md", "RUSTSEC-2.md"} {
		if err := os.Remove(filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	load(t, dir, src)
	if got := open(t, dir).Check(nil, now, 0); len(got) != 0 {
		t.Errorf("corrected, and still: %v", got)
	}
}

func TestABrokenArchiveChangesNothing(t *testing.T) {
	whole := zipped(t, map[string][]byte{"GHSA-2.json": marshal(t, leftPad("GHSA-2", "2.0.0", nil))})
	gz := tarred(t, map[string][]byte{"GHSA-2.json": marshal(t, leftPad("GHSA-2", "2.0.0", nil))})
	for name, data := range map[string][]byte{
		"cut.zip": whole[:len(whole)-30], "no.zip": []byte("PK"), "cut.tar.gz": gz[:len(gz)/2], "no.tgz": []byte("no"),
		"odd.exe": []byte("MZ"), "kev.json": []byte(`{"catalogVersion": "1", "vulnerabilities": [{"cveID": "CVE-1"}]}`), "scores.csv": []byte("cve,epss\n"),
		"no.csv.gz": []byte("no"), "no.ilkdb": []byte("no"),
	} {
		dir := t.TempDir()
		load(t, dir, source(t, leftPad("GHSA-1", "2.0.0", nil)))
		before, _ := os.ReadFile(filepath.Join(dir, "advisories.db"))
		_, err := advisory.Import(context.Background(), dir, options(), write(t, filepath.Join(t.TempDir(), name), data))
		after, _ := os.ReadFile(filepath.Join(dir, "advisories.db"))
		if err == nil || !bytes.Equal(before, after) {
			t.Errorf("%s: %v, unchanged: %v", name, err, bytes.Equal(before, after))
		}
	}
}

func TestBombsAndLinksAreNamed(t *testing.T) {
	src := t.TempDir()
	write(t, filepath.Join(src, "GHSA-1.json"), leftPad("GHSA-1", "2.0.0", nil))
	if err := os.Symlink("/etc/hostname", filepath.Join(src, "link.json")); err != nil {
		t.Fatal(err)
	}
	s := load(t, t.TempDir(), src)
	if len(s.Problems) != 1 || s.Problems[0].Entry != "link.json" {
		t.Errorf("%v", s.Problems)
	}
	bomb := write(t, filepath.Join(t.TempDir(), "bomb.zip"), zipped(t, map[string][]byte{"bomb.json": bytes.Repeat([]byte(" "), 2<<20)}))
	if s := load(t, t.TempDir(), bomb); len(s.Problems) != 1 || !strings.Contains(s.Problems[0].What, "would expand") {
		t.Errorf("%v", s.Problems)
	}
}

func TestWithdrawnAdvisoriesAreKeptAndMatchNothing(t *testing.T) {
	dir := t.TempDir()
	load(t, dir, source(t, leftPad("GHSA-1", "2.0.0", object{"withdrawn": "2026-11-21T00:00:00Z", "aliases": []string{"CVE-2099-0001"}})))
	db := open(t, dir)
	a, err := db.Get("CVE-2099-0001")
	if err != nil || a.ID != "GHSA-1" || a.Withdrawn.IsZero() || db.Status().Withdrawn != 1 || len(found(t, dir)) != 0 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestGetReturnsTheRecordWhole(t *testing.T) {
	in := record("PYSEC-1", object{
		"aliases": []string{"CVE-2099-0001"}, "related": []string{"CVE-2099-0002"}, "upstream": []string{"CVE-2099-0003"}, "details": "Long\ntext.",
		"references": []object{{"type": "FIX", "url": "https://example.com/1"}}, "severity": []object{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}},
	}, pkg("Go", "example.com/m", object{"versions": []string{"1.0"}, "ecosystem_specific": object{"imports": []object{{"path": "example.com/m/p", "symbols": []string{"F"}, "goos": []string{"linux"}}}}}))
	dir := t.TempDir()
	s := load(t, dir, source(t, in))
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0].What, "CVSS:3.1/AV:N") || s.Incomplete() {
		t.Errorf("a vector that can't be read is named: %+v", s)
	}
	a, err := open(t, dir).Get("PYSEC-1")
	if err != nil {
		t.Fatal(err)
	}
	e := a.Affected[0]
	got := fmt.Sprint(a.ID, a.Aliases, a.Related, a.Upstream, a.Details, a.References, a.Severity, e.Name, e.Versions, e.Imports)
	want := `PYSEC-1[CVE-2099-0001] [CVE-2099-0002] [CVE-2099-0003]Long
text.[{FIX https://example.com/1}] [{CVSS_V3 CVSS:3.1/AV:N}]example.com/m[1.0] [{example.com/m/p [F] [linux] []}]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := open(t, dir).Get("CVE-1999-1"); err == nil {
		t.Error("an unknown one must be an error")
	}
}

func TestEditingAnyByteIsRefused(t *testing.T) {
	dir := t.TempDir()
	load(t, dir, source(t, leftPad("GHSA-1", "2.0.0", nil), record("GO-1", nil, pkg("Go", "example.com/m", span("SEMVER", "introduced", "0")))))
	path := filepath.Join(dir, "advisories.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if db, err := advisory.Open(dir); err == nil {
			_ = db.Close()
			t.Fatalf("byte %d of %d was changed and nobody noticed", i, len(whole))
		}
	}
	for _, bad := range [][]byte{nil, whole[:len(whole)-1], whole[1:], append(slices.Clone(whole), 0)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := advisory.Open(dir); err == nil {
			t.Fatalf("%d bytes of %d were accepted", len(bad), len(whole))
		}
		if _, err := advisory.Import(context.Background(), dir, options(), source(t, leftPad("GHSA-2", "2.0.0", nil))); err == nil {
			t.Fatal("an import into a damaged database would lose what it had")
		}
	}
}

func TestAMissingDatabaseSaysHowToGetOne(t *testing.T) {
	_, err := advisory.Open(t.TempDir())
	if err == nil || !strings.Contains(fmt.Sprint(err), "no advisory database") {
		t.Errorf("%v", err)
	}
}

func TestAgeIsAGapAndNeverHidden(t *testing.T) {
	dir := t.TempDir()
	load(t, dir, source(t, leftPad("GHSA-1", "2.0.0", object{"modified": "2026-11-01T00:00:00Z"})))
	db := open(t, dir)
	p := []scanning.Package{installed("npm", "right-pad", "1.0.0")}
	for _, row := range []struct {
		age  time.Duration
		want int
	}{{0, 1}, {30 * 24 * time.Hour, 0}, {24 * time.Hour, 1}} {
		_, gaps := db.Match(p, advisory.MatchOptions{Now: now, MaxAge: row.age})
		if len(gaps) != row.want || row.want == 1 && (gaps[0].Reason != scanning.ReasonStale || !strings.Contains(gaps[0].Why, "2026-11-01")) {
			t.Errorf("%v: %v", row.age, gaps)
		}
	}
	if e := db.Status().Ecosystems["npm"]; e.Advisories != 1 || e.AsOf.Format(time.DateOnly) != "2026-11-01" {
		t.Errorf("%+v", e)
	}
	// One new advisory does not make ten old ones any newer.
	var many []object
	for i := range 10 {
		many = append(many, leftPad(fmt.Sprint("GHSA-", i), "2.0.0", object{"modified": "2026-11-01T00:00:00Z"}))
	}
	load(t, dir, source(t, many...))
	load(t, dir, source(t, leftPad("GHSA-new", "2.0.0", nil)))
	if e := open(t, dir).Status().Ecosystems["npm"]; e.AsOf.Format(time.DateOnly) != "2026-11-01" || e.Advisories != 11 {
		t.Errorf("%+v", e)
	}
	// Nor does a date from the future, unless the caller says of when they are.
	load(t, dir, source(t, leftPad("GHSA-0", "2.0.0", object{"modified": "2099-11-01T00:00:00Z"})))
	opt := advisory.Options{Clock: clocktest.New(now), AsOf: now.Add(time.Hour)}
	if _, err := advisory.Import(context.Background(), dir, opt, source(t, leftPad("GHSA-new", "2.0.0", nil))); err != nil {
		t.Fatal(err)
	}
	if e := open(t, dir).Status().Ecosystems["npm"]; !e.AsOf.Equal(now) {
		t.Errorf("%+v", e)
	}
}

func TestAFewSharedAdvisoriesDoNotMakeAnEcosystemKnown(t *testing.T) {
	shared := record("GHSA-2", nil, pkg("npm", "both", span("SEMVER", "introduced", "0")), pkg("Maven", "org.a:both", span("ECOSYSTEM", "introduced", "0")))
	dir := t.TempDir()
	load(t, dir, source(t, leftPad("GHSA-1", "2.0.0", nil), shared))
	db := open(t, dir)
	findings, gaps := match(db, installed("Maven", "org.a:other", "1.0"), installed("npm", "left-pad", "2.0.0"))
	if len(findings) != 0 || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "no advisories for Maven") {
		t.Errorf("%v %v", findings, gaps)
	}
	if findings, gaps = match(db, installed("Maven", "org.a:both", "1.0")); len(findings) != 1 || len(gaps) != 1 {
		t.Errorf("what is known is found all the same: %v %v", findings, gaps)
	}
	load(t, dir, source(t, record("GHSA-3", nil, pkg("Maven", "org.a:third", span("ECOSYSTEM", "introduced", "0")))))
	if _, gaps = match(open(t, dir), installed("Maven", "org.a:other", "1.0")); len(gaps) != 0 {
		t.Errorf("%v", gaps)
	}
}

func TestAReleaseThatNoAdvisoryNamesIsAGap(t *testing.T) {
	dir := t.TempDir()
	load(t, dir, source(t, record("DSA-1", nil, pkg("Debian:12", "bash", span("ECOSYSTEM", "introduced", "0")))))
	db := open(t, dir)
	for release, want := range map[string]int{"Debian:12": 0, "Debian:bookworm": 0, "Debian": 0, "Debian:13": 1} {
		if _, gaps := match(db, installed(release, "zsh", "1")); len(gaps) != want || want == 1 && !strings.Contains(gaps[0].Why, "Debian:13") {
			t.Errorf("%s: %v", release, gaps)
		}
	}
}

const kev = `{"title": "t", "catalogVersion": "2026.11.20", "dateReleased": "2026-11-20T10:00:00.1234Z", "count": 2, "vulnerabilities": [
{"cveID": "CVE-2099-0001", "dateAdded": "2026-03-01", "knownRansomwareCampaignUse": "Known"},
{"cveID": "CVE-2099-0002", "dateAdded": "2026-04-01", "knownRansomwareCampaignUse": "Unknown"}]}`

const epss = "#model_version:v2025.03.14,score_date:2026-11-21T12:55:00Z\ncve,epss,percentile\nCVE-2099-0001,0.94321,0.99912\nCVE-2099-0003,0.00042,0.1\n"

func TestKEVAndEPSSRaiseWhatTheyName(t *testing.T) {
	dir, src := t.TempDir(), t.TempDir()
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = g.Write([]byte(epss))
	_ = g.Close()
	s := load(t, dir, source(t, leftPad("GHSA-1", "2.0.0", object{"aliases": []string{"CVE-2099-0001"}}), leftPad("GHSA-3", "2.0.0", object{"aliases": []string{"CVE-2099-0003"}})),
		write(t, filepath.Join(src, "kev.json"), []byte(kev)), write(t, filepath.Join(src, "epss.csv.gz"), z.Bytes()))
	if s.KEV == nil || s.KEV.Entries != 2 || s.EPSS == nil || s.EPSS.Entries != 2 || s.Incomplete() {
		t.Fatalf("%+v", s)
	}
	db := open(t, dir)
	findings, _ := match(db, installed("npm", "left-pad", "1.0.0"))
	r := findings[0].Risk
	if findings[0].Rule != "GHSA-1" || r.KEV.Format(time.DateOnly) != "2026-03-01" || !r.Ransomware || r.EPSS != 0.94321 || r.SSVC != "Act" {
		t.Errorf("%s %+v", findings[0].Rule, r)
	}
	if r := findings[1].Risk; !r.KEV.IsZero() || r.EPSS != 0.00042 || r.SSVC != "Track" {
		t.Errorf("%+v", r)
	}
	st := db.Status()
	if st.KEV.Version != "2026.11.20" || st.KEV.AsOf.Format(time.DateOnly) != "2026-11-20" || st.EPSS.AsOf.Format(time.DateOnly) != "2026-11-21" {
		t.Errorf("%+v %+v", st.KEV, st.EPSS)
	}
	if _, p := db.Likelihood("CVE-2099-0001"); p != 0.99912 {
		t.Errorf("percentile %v", p)
	}
}

// TestAListOfWhatIsExploited that is old or was never imported makes priorities
// worse, which is said, and hides no match: it is no gap.
func TestAListOfWhatIsExploited(t *testing.T) {
	src := t.TempDir()
	both := []string{write(t, filepath.Join(src, "kev.json"), []byte(kev)), write(t, filepath.Join(src, "epss.csv"), []byte(epss))}
	p := []scanning.Package{installed("npm", "left-pad", "1.0.0")}
	const command = "; get what is new with: interlock scan db update"
	for _, row := range []struct {
		lists     []string
		days      int
		age       time.Duration
		gap, want string
	}{
		{both, 5, 0, "", ""},
		{both, 28, 0, "npm advisories", ""},
		{both, 31, 90 * 24 * time.Hour, "", ""},
		{both, 33, 0, "npm advisories", "KEV list is 34 days old, what has been exploited since then counts as not exploited; " +
			"EPSS list is 33 days old, how likely exploitation is has changed since then" + command},
		{both[:1], 0, 0, "", "EPSS list was never imported, how likely exploitation is counts as not known" + command},
		{nil, 0, 0, "", "KEV list was never imported, what is known to be exploited counts as not exploited; " +
			"EPSS list was never imported, how likely exploitation is counts as not known" + command},
	} {
		dir, at := t.TempDir(), now.AddDate(0, 0, row.days)
		load(t, dir, append([]string{source(t, leftPad("GHSA-1", "2.0.0", nil))}, row.lists...)...)
		db := open(t, dir)
		_, gaps := db.Match(p, advisory.MatchOptions{Now: at, MaxAge: row.age})
		got := ""
		for _, g := range gaps {
			got += g.What
		}
		if got != row.gap {
			t.Errorf("after %d days: %v", row.days, gaps)
		}
		if got := advisory.Warning(db.Lacks(at, row.age)); got != row.want {
			t.Errorf("after %d days:\n%s, want\n%s", row.days, got, row.want)
		}
	}
}

func TestADistributionsAdvisoryHasTheRiskOfWhatIsUpstream(t *testing.T) {
	dir := t.TempDir()
	load(t, dir, write(t, filepath.Join(t.TempDir(), "kev.json"), []byte(kev)), source(t, record("DSA-1", object{"upstream": []string{"CVE-2099-0001", "CVE-2099-0009"}},
		pkg("Debian:12", "bash", span("ECOSYSTEM", "introduced", "0")))))
	findings, _ := match(open(t, dir), installed("Debian:12", "bash", "1"))
	f := findings[0]
	if f.Risk.KEV.IsZero() || f.Risk.SSVC != "Act" || len(f.Aliases) != 0 || f.Detail != "Covers CVE-2099-0001, CVE-2099-0009." {
		t.Errorf("%+v", f)
	}
}

func TestTheWorstVectorCountsAndVersion2OnlyAlone(t *testing.T) {
	v2, v3, v4 := object{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}, object{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:L/A:N"}, object{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N"}
	for want, list := range map[float64][]object{10: {v2}, 4.3: {v2, v3}, 5.1: {v2, v3, v4}} {
		findings, _ := match(database(t, leftPad("GHSA-1", "2.0.0", object{"severity": list})), installed("npm", "left-pad", "1.0.0"))
		if findings[0].Risk.Score != want {
			t.Errorf("%v, want %v", findings[0].Risk.Score, want)
		}
	}
	for word, want := range map[string]string{"MODERATE": "medium", "critical": "critical", "odd": "medium"} {
		findings, _ := match(database(t, leftPad("GHSA-1", "2.0.0", object{"database_specific": object{"severity": word}})), installed("npm", "left-pad", "1.0.0"))
		if string(findings[0].Severity) != want || slices.Contains(findings[0].Tags, advisory.TagUnrated) != (word == "odd") {
			t.Errorf("%s: %v %v", word, findings[0].Severity, findings[0].Tags)
		}
	}
}

func TestABundleCarriesEverythingAndItsDates(t *testing.T) {
	from, to, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "advisories.ilkdb")
	src := source(t, leftPad("GHSA-1", "2.0.0", object{"modified": "2026-11-01T00:00:00Z", "aliases": []string{"CVE-2099-0001"}}))
	write(t, filepath.Join(src, "broken.json"), []byte("{"))
	load(t, from, src, write(t, filepath.Join(t.TempDir(), "kev.json"), []byte(kev)), write(t, filepath.Join(t.TempDir(), "epss.csv"), []byte(epss)))
	if err := advisory.Export(from, file); err != nil {
		t.Fatal(err)
	}
	s := load(t, to, file)
	a, b := open(t, from), open(t, to)
	if s.Read != 1 || a.Content() != b.Content() || !a.Status().Ecosystems["npm"].AsOf.Equal(b.Status().Ecosystems["npm"].AsOf) {
		t.Errorf("%+v %+v", a.Status(), b.Status())
	}
	x, _ := match(a, installed("npm", "left-pad", "1.0.0"))
	y, gaps := match(b, installed("npm", "left-pad", "1.0.0"))
	if string(marshal(t, x)) != string(marshal(t, y)) || len(gaps) != 2 {
		t.Errorf("%s\n%s\n%v", marshal(t, x), marshal(t, y), gaps)
	}
	whole, _ := os.ReadFile(file)
	for i := 0; i < len(whole); i += 97 {
		bad := slices.Clone(whole)
		bad[i] ^= 0x20
		if _, err := advisory.Import(context.Background(), t.TempDir(), options(), write(t, filepath.Join(t.TempDir(), "bad.ilkdb"), bad)); err == nil {
			t.Fatalf("byte %d was changed and nobody noticed", i)
		}
	}
	if err := advisory.Export(from, filepath.Join(t.TempDir(), "x.zip")); err == nil {
		t.Error("a bundle by another name would be read as something else")
	}
}

func TestTwoImportsAtOnceAreRefused(t *testing.T) {
	dir := t.TempDir()
	src := source(t, leftPad("GHSA-1", "2.0.0", nil))
	opt := options()
	var second error
	ran := false
	opt.Clock = hook{clocktest.New(now), func() {
		if !ran {
			ran = true
			_, second = advisory.Import(context.Background(), dir, options(), src)
		}
	}}
	if _, err := advisory.Import(context.Background(), dir, opt, src); err != nil || second == nil || !strings.Contains(second.Error(), "another import") {
		t.Errorf("%v, %v", err, second)
	}
}

// hook calls back when somebody asks for the time.
type hook struct {
	*clocktest.Clock
	f func()
}

func (h hook) Now() time.Time { h.f(); return h.Clock.Now() }
