package rpm

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/knqyf263/go-rpmdb/pkg/bdb"
	"github.com/knqyf263/go-rpmdb/pkg/ndb"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

// databases are real ones of several distributions, which the module go-rpmdb
// has among its tests' data.
func databases(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "pkg", "testdata")
}

func all(t *testing.T, form blobs, file string) (headers [][]byte) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	err = form(f, info.Size(), func(b []byte) error {
		headers = append(headers, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return headers
}

// The same databases, read by another implementation.
func TestAgainstAnotherReader(t *testing.T) {
	dir := databases(t)
	for _, name := range []string{"centos5-plain", "centos7-plain", "ubi8-s390x", "libuuid"} {
		db, err := bdb.Open(filepath.Join(dir, name, "Packages"))
		if err != nil {
			t.Fatal(err)
		}
		var want [][]byte
		for e := range db.Read() {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
			want = append(want, e.Value)
		}
		same(t, name, all(t, berkeley, filepath.Join(dir, name, "Packages")), want)
	}
	db, err := ndb.Open(filepath.Join(dir, "sle15-bci", "Packages.db"))
	if err != nil {
		t.Fatal(err)
	}
	var want [][]byte
	for e := range db.Read() {
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		want = append(want, e.Value)
	}
	same(t, "sle15-bci", all(t, slots, filepath.Join(dir, "sle15-bci", "Packages.db")), want)
}

// same compares headers by what they say: what follows a header's own length is
// not the header's.
func same(t *testing.T, name string, got, want [][]byte) {
	t.Helper()
	if len(got) == 0 || len(got) != len(want) {
		t.Errorf("%s: %d packages, the other reader has %d", name, len(got), len(want))
		return
	}
	for i := range got {
		a, err := parse(got[i])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, err := parse(want[i])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(a.store, b.store) {
			t.Errorf("%s: package %d is %s, the other reader has %s", name, i, a.text(tagName), b.text(tagName))
		}
	}
}

func tree(t *testing.T, database, osRelease string) fs.FS {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(databases(t), database))
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"var/lib/rpm/" + filepath.Base(database): {Data: data},
		"etc/os-release":                         {Data: []byte(osRelease)},
	}
}

func TestRealDatabases(t *testing.T) {
	for _, c := range []struct {
		file, release string
		some          string
	}{
		{"fedora35/rpmdb.sqlite", "ID=fedora\nNAME=Fedora Linux\nVERSION_ID=35\n", "Fedora Linux:35 bash "},
		{"cbl-mariner-2.0/rpmdb.sqlite", "ID=mariner\nNAME=Mariner\nVERSION_ID=2.0\n", "Azure Linux:2 bash "},
		{"centos7-plain/Packages", "ID=rhel\nVERSION_ID=7.9\n", "Red Hat:enterprise_linux:7 openssl-libs 1:1.0."},
		{"centos8-modularitylabel/Packages", "ID=almalinux\nVERSION_ID=8.9\n", "rpmmod="},
		{"sle15-bci/Packages.db", "ID=sles\nVERSION_ID=15.3\n", "SUSE:Linux Enterprise Server 15 SP3 bash "},
	} {
		packages, gaps := extracttest.Ask(t, tree(t, c.file, c.release), Extractors())
		text := extracttest.Show(packages, nil)
		if len(packages) < 20 || !strings.Contains(text, c.some) || strings.Contains(text, "gpg-pubkey") {
			t.Errorf("%s: %d packages, without %q; gaps %v", c.file, len(packages), c.some, gaps)
		}
		for _, g := range gaps {
			if g.Reason != scanning.ReasonUnsupported {
				t.Errorf("%s: %v", c.file, g)
			}
		}
	}
}

func TestFilesOfPackages(t *testing.T) {
	for _, c := range []struct{ file, release, some string }{
		{"ubi8-s390x/Packages", "ID=rhel\nVERSION_ID=8.4\n", "usr/lib/python3.6/site-packages/"},
		{"centos8-modularitylabel/Packages", "ID=centos\nNAME=\"CentOS Linux\"\nVERSION_ID=8\n", "usr/share/java/"},
		{"centos7-python35/Packages", "ID=centos\nNAME=\"CentOS Linux\"\nVERSION_ID=7\n", "opt/rh/rh-python35/root/usr/lib/python3.5/site-packages/"},
		// Packages that the distribution did not build.
		{"fedora35/rpmdb.sqlite", "ID=rocky\nVERSION_ID=9\n", ""},
		{"centos8-modularitylabel/Packages", "ID=almalinux\nVERSION_ID=8.9\n", ""},
		{"fedora35/rpmdb.sqlite", "ID=fedora\nVERSION_ID=35\n", ""},
	} {
		owned, fsys := "", tree(t, c.file, c.release)
		in := &extract.Input{FS: fsys, Path: "var/lib/rpm/" + filepath.Base(c.file), Limits: extract.Defaults, Owned: func(f string) { owned += f + "\n" }}
		if err := read(t.Context(), in, extract.NewSink(in.Path, extract.Defaults.Packages)); err != nil {
			t.Fatal(err)
		}
		if c.some == "" && owned != "" || !strings.Contains(owned, c.some) {
			t.Errorf("%s: %q is not among\n%s", c.file, c.some, owned)
		}
	}
}

func TestSource(t *testing.T) {
	for file, want := range map[string][2]string{
		"openssl-3.0.7-24.el9.src.rpm": {"openssl", "3.0.7-24.el9"},
		"a-b-c-1-2.nosrc.rpm":          {"a-b-c", "1-2"},
		"none":                         {"", ""}, "": {"", ""}, "-1-2.src.rpm": {"", ""},
	} {
		if name, version := sourceOf(file); name != want[0] || version != want[1] {
			t.Errorf("%s: %s %s", file, name, version)
		}
	}
}

func TestChangesNotWrittenYetAreAGap(t *testing.T) {
	fsys := tree(t, "cbl-mariner-2.0/rpmdb.sqlite", "ID=rocky\nVERSION_ID=9.1\n").(fstest.MapFS)
	fsys["var/lib/rpm/rpmdb.sqlite-wal"] = &fstest.MapFile{Data: []byte("x")}
	packages, gaps := extracttest.Ask(t, fsys, Extractors())
	if len(packages) == 0 || packages[0].Ecosystem != "Rocky Linux:9" || len(gaps) != 1 || gaps[0].What != "var/lib/rpm/rpmdb.sqlite-wal" {
		t.Errorf("%d packages, %v", len(packages), gaps)
	}
}

// damaged cuts and turns bytes of a real database; whatever comes of it, it ends.
func TestDamagedDatabases(t *testing.T) {
	dir := databases(t)
	for file, form := range map[string]blobs{"libuuid/Packages": berkeley, "sle15-bci/Packages.db": slots, "cbl-mariner-2.0/rpmdb.sqlite": sqlite} {
		good, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		good = good[:min(len(good), 400<<10)]
		for i := range 60 {
			bad := bytes.Clone(good)
			for k := range 8 {
				bad[(i*7919+k*104729)%len(bad)] ^= byte(1 + i)
				bad[(i*31+k*13)%min(len(bad), 9000)] ^= byte(k + 1)
			}
			drain(form, bad[:len(bad)-i*17])
		}
	}
}

func drain(form blobs, data []byte) {
	_ = form(bytes.NewReader(data), int64(len(data)), func(b []byte) error {
		if h, err := parse(b); err == nil {
			distribution{ecosystem: "x"}.tell(h, extract.NewSink("f", 10))
			h.files(func(string, string) {})
		}
		return nil
	})
}

func fuzz(f *testing.F, form blobs, seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		file, err := os.Open(filepath.Join(databases(f), s))
		if err != nil {
			f.Fatal(err)
		}
		data, err := io.ReadAll(io.LimitReader(file, 64<<10))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) { drain(form, data) })
}

func FuzzBerkeley(f *testing.F) { fuzz(f, berkeley, "libuuid/Packages") }
func FuzzSlots(f *testing.F)    { fuzz(f, slots, "sle15-bci/Packages.db") }
func FuzzSQLite(f *testing.F)   { fuzz(f, sqlite, "cbl-mariner-2.0/rpmdb.sqlite") }
