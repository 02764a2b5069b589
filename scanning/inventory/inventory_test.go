package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func take(t *testing.T, tree fs.FS, opts inventory.Options) ([]scanning.Package, []scanning.Gap) {
	t.Helper()
	packages, gaps, err := inventory.FS(context.Background(), tree, opts)
	if err != nil {
		t.Fatal(err)
	}
	return packages, gaps
}

func files(list map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range list {
		tree[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return tree
}

const lock = `{"lockfileVersion": 3, "packages": {"node_modules/%s": {"version": "1.0.0"}}}`

func TestEveryPackageOfATreeInOrder(t *testing.T) {
	tree := files(map[string]string{
		"web/package-lock.json":                       fmt.Sprintf(lock, "x"),
		"web/node_modules/x/package.json":             `{"name": "x", "version": "1.0.0"}`,
		"web/node_modules/y/package.json":             `{"name": "y", "version": "2.0.0"}`,
		"go.mod":                                      "module m\n\ngo 1.24\n\nrequire example.com/b v1.0.0\n",
		"etc/os-release":                              "ID=debian\nVERSION_ID=12\n",
		"var/lib/dpkg/status":                         "Package: bash\nStatus: install ok installed\nVersion: 5\n",
		".git/package-lock.json":                      fmt.Sprintf(lock, "not-this"),
		"go/pkg/mod/example.com/b@v1.0.0/go.mod":      "module example.com/b\n\ngo 1.24\n\nrequire example.com/c v1.0.0\n",
		"go/pkg/mod/cache/download/example.com/b/x.y": "",
		"broken/package-lock.json":                    "{",
		"left/out/package-lock.json":                  fmt.Sprintf(lock, "not-this"),
	})
	packages, gaps := take(t, tree, inventory.Options{Skip: []string{"left/"}})
	want := `Go example.com/b v1.0.0 direct
  pkg:golang/example.com/b@v1.0.0 in go.mod
Go stdlib 1.24.0 direct
  pkg:golang/stdlib@1.24.0 in go.mod
Debian:12 bash 5
  pkg:deb/debian/bash@5?distro=debian-12 in var/lib/dpkg/status
npm y 2.0.0
  pkg:npm/y@2.0.0 in web/node_modules/y/package.json
npm x 1.0.0
  pkg:npm/x@1.0.0 in web/package-lock.json
gap malformed broken/package-lock.json:1: not JSON: unexpected end of JSON input
`
	if got := extracttest.Show(packages, gaps); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// An image of Arch, or a chiselled one, is not clean because its packages are kept
// in a form that nobody here reads.
func TestASystemWithoutADatabaseThatIsRead(t *testing.T) {
	for name, row := range map[string]struct {
		tree map[string]string
		want string
	}{
		"arch":    {map[string]string{"etc/os-release": "ID=arch\nNAME=\"Arch Linux\"\n", "var/lib/pacman/local/ALPM_DB_VERSION": "9\n"}, "this is Arch Linux, and no package database"},
		"chisel":  {map[string]string{"usr/lib/os-release": "ID=ubuntu\nVERSION_ID=\"24.04\"\n"}, "this is ubuntu 24.04, and no package database"},
		"debian":  {map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=12\n", "var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n"}, ""},
		"scratch": {map[string]string{"app/readme": "x"}, ""},
		"below":   {map[string]string{"fixtures/etc/os-release": "ID=arch\n"}, ""},
	} {
		_, gaps := take(t, files(row.tree), inventory.Options{})
		if row.want == "" && len(gaps) > 0 || row.want != "" && (len(gaps) != 1 || !strings.HasPrefix(gaps[0].Why, row.want)) {
			t.Errorf("%s: %v", name, gaps)
		}
	}
}

// What apk or rpm installed is theirs to mend; what pip put beside it is not.
func TestWhatADistributionInstalledIsToldOnce(t *testing.T) {
	const site = "usr/lib/python3.12/site-packages/"
	tree := func(release string) fstest.MapFS {
		return files(map[string]string{
			"etc/os-release": release,
			"lib/apk/db/installed": "P:py3-requests\nV:2.31.0-r1\no:py3-requests\nF:" + site + "requests-2.31.0.dist-info\nR:METADATA\nR:RECORD\nF:usr/share/java\nR:x.jar\n\n" +
				"P:app\nV:1-r0\nF:usr/share/app/django-2.0.dist-info\nR:METADATA\n",
			"usr/share/app/django-2.0.dist-info/METADATA": "Name: django\nVersion: 2.0\n",
			site + "requests-2.31.0.dist-info/METADATA":   "Name: requests\nVersion: 2.31.0\n",
			site + "flask-1.0.dist-info/METADATA":         "Name: flask\nVersion: 1.0\n",
		})
	}
	packages, gaps := take(t, tree("ID=alpine\nVERSION_ID=3.20.3\n"), inventory.Options{})
	var names []string
	for _, p := range packages {
		names = append(names, p.Name)
	}
	// What an application brings in a folder of its own, no distribution writes of.
	if want := []string{"app", "py3-requests", "flask", "django"}; !slices.Equal(names, want) || len(gaps) != 0 {
		t.Errorf("%v %v", names, gaps)
	}
	// Of edge nobody publishes advisories: then PyPI's are better than none.
	if packages, _ := take(t, tree("ID=alpine\nVERSION_ID=3.21_alpha20240923\n"), inventory.Options{}); len(packages) != 5 {
		t.Errorf("%v", packages)
	}
}

func TestOnlySomeExtractors(t *testing.T) {
	tree := files(map[string]string{"package-lock.json": fmt.Sprintf(lock, "x"), "go.mod": "module m\n\ngo 1.24\n"})
	packages, _ := take(t, tree, inventory.Options{Only: []string{"go"}})
	if len(packages) != 1 || packages[0].Name != "stdlib" {
		t.Errorf("got %v", packages)
	}
	_, _, err := inventory.FS(context.Background(), tree, inventory.Options{Only: []string{"cobol"}})
	if core.KindOf(err) != core.KindInvalid {
		t.Errorf("an extractor that there is not: %v", err)
	}
}

func TestBudgetsAreGaps(t *testing.T) {
	tree := fstest.MapFS{}
	for i := range 500 {
		tree[fmt.Sprintf("d%04d/package-lock.json", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, lock, "x")}
	}
	for name, c := range map[string]struct {
		opts inventory.Options
		want scanning.Reason
	}{
		"files":    {inventory.Options{MaxFiles: 100}, scanning.ReasonTooMany},
		"packages": {inventory.Options{MaxPackages: 100}, scanning.ReasonTooMany},
		"bytes":    {inventory.Options{Limits: extract.Limits{Text: 10}}, scanning.ReasonTooLarge},
		"objects":  {inventory.Options{Limits: extract.Limits{Objects: 1}}, scanning.ReasonTooMany},
	} {
		_, gaps := take(t, tree, c.opts)
		if len(gaps) == 0 || gaps[0].Reason != c.want {
			t.Errorf("%s: gaps %v, want %s", name, gaps[:min(1, len(gaps))], c.want)
		}
	}
}

func TestTimeIsAGapAndCancellingAnError(t *testing.T) {
	tree := fstest.MapFS{}
	for i := range 2000 {
		tree[fmt.Sprintf("f%04d", i)] = &fstest.MapFile{}
	}
	gone, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	<-gone.Done()
	_, gaps, err := inventory.FS(gone, tree, inventory.Options{})
	if err != nil || len(gaps) != 1 || gaps[0].Reason != scanning.ReasonTimeout {
		t.Errorf("after the deadline: %v, %v", gaps, err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, _, err = inventory.FS(stopped, tree, inventory.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A real file system: what a tree must not be able to do to a scan.
func TestHostileTrees(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "package-lock.json")
	write(t, outside, fmt.Sprintf(lock, "outside"))
	write(t, filepath.Join(dir, "real/lock.json"), fmt.Sprintf(lock, "inside"))
	write(t, filepath.Join(dir, "name\x1b[2J/package-lock.json"), "{")
	for link, target := range map[string]string{
		"loop/package-lock.json": "package-lock.json",
		"up/package-lock.json":   outside,
		"up/requirements":        "..",
		"in/package-lock.json":   "../real/lock.json",
		"dangling/go.mod":        "nowhere",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	sparse(t, filepath.Join(dir, "huge/package-lock.json"))
	packages, gaps := take(t, os.DirFS(dir), inventory.Options{})
	want := `npm inside 1.0.0
  pkg:npm/inside@1.0.0 in real/lock.json
gap malformed "name\x1b[2J/package-lock.json:1": not JSON: unexpected end of JSON input
gap unreadable dangling/go.mod: a symlink: there is no such file in the scope
gap too-large huge/package-lock.json: 10737418240 bytes, and at most 67108864 are read
gap too-deep loop/package-lock.json: a symlink: symlinks that lead in a circle
gap unreadable up/package-lock.json: a symlink: there is no such file in the scope
`
	got := extracttest.Show(packages, gaps)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sparse(t *testing.T, name string) {
	t.Helper()
	write(t, name, "")
	if err := os.Truncate(name, 10<<30); err != nil {
		t.Fatal(err)
	}
}

// TestMachine asks the machine's own package database what it has, and dpkg.
func TestMachine(t *testing.T) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${source:Package} ${source:Version}\n").Output()
	if err != nil {
		t.Fatalf("dpkg-query: %v", err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "installed "); ok {
			want = append(want, rest)
		}
	}
	root := os.DirFS("/")
	packages, gaps := take(t, only{root, []string{"etc", "usr", "usr/lib", "var", "var/lib", "var/lib/dpkg"}}, inventory.Options{Host: true, Only: []string{"dpkg"}})
	var got []string
	for _, p := range packages {
		source, version := p.Source, p.SourceVersion
		if source == "" {
			source, version = p.Name, p.Version
		}
		if !strings.Contains(p.Ecosystem, ":") {
			t.Fatalf("%s has no release: %s", p.Name, p.Ecosystem)
		}
		got = append(got, strings.Join([]string{p.Name, p.Version, source, version}, " "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if len(gaps) > 0 || !slices.Equal(got, want) {
		t.Errorf("%d packages, dpkg has %d; gaps %v", len(got), len(want), gaps)
	}
}

// only shows some folders of a tree, and none below them.
type only struct {
	fs.FS
	folders []string
}

func (o only) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." && !slices.Contains(o.folders, name) {
		return nil, nil
	}
	return fs.ReadDir(o.FS, name)
}

func (o only) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(o.FS, name) }
func (o only) ReadLink(name string) (string, error)   { return fs.ReadLink(o.FS, name) }

// What a walk costs beyond the reading of folders: one look per folder, one stat
// per file that may be a program, and nothing else.
func TestWalkAsksForNoMoreThanItNeeds(t *testing.T) {
	tree := fstest.MapFS{}
	for i := range 500 {
		tree[fmt.Sprintf("d%d/text.c", i)] = &fstest.MapFile{}
		tree[fmt.Sprintf("d%d/%064x-d", i, i)] = &fstest.MapFile{Mode: 0o755}
		tree[fmt.Sprintf("d%d/tool", i)] = &fstest.MapFile{Mode: 0o644}
	}
	counted := &counting{FS: tree}
	take(t, counted, inventory.Options{})
	if counted.opened > 0 || counted.stats != 500 {
		t.Errorf("%d files were opened, %d looked at", counted.opened, counted.stats)
	}
}

// counting counts files opened and entries looked at.
type counting struct {
	fs.FS
	opened, stats int
}

func (c *counting) Open(name string) (fs.File, error) {
	if strings.Contains(name, "/") {
		c.opened++
	}
	return c.FS.Open(name)
}

func (c *counting) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(c.FS, name)
	for i := range all {
		all[i] = countingEntry{all[i], c}
	}
	return all, err
}

type countingEntry struct {
	fs.DirEntry
	by *counting
}

func (e countingEntry) Info() (fs.FileInfo, error) {
	e.by.stats++
	return e.DirEntry.Info()
}
