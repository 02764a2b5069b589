package osrelease

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

func TestEcosystem(t *testing.T) {
	for text, want := range map[string]string{
		"ID=debian\nVERSION_ID=\"12\"":                                               "Debian:12",
		"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux trixie/sid\"":                     "Debian?",
		"ID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.3 LTS (Jammy Jellyfish)\"": "Ubuntu:22.04:LTS",
		"ID=ubuntu\nVERSION_ID='23.10'\nVERSION='23.10 (Mantic Minotaur)'":           "Ubuntu:23.10",
		"ID=alpine\nVERSION_ID=3.20.3":                                               "Alpine:v3.20",
		"ID=alpine\nVERSION_ID=3.21_alpha20240923":                                   "Alpine:edge?",
		"ID=wolfi\nVERSION_ID=20230201":                                              "Wolfi",
		"ID=\"rhel\"\nVERSION_ID=\"9.2\"":                                            "Red Hat:enterprise_linux:9",
		"ID=\"rocky\"\nVERSION_ID=\"8.8\"":                                           "Rocky Linux:8",
		"ID=\"almalinux\"\nVERSION_ID=\"9.4\"":                                       "AlmaLinux:9",
		"ID=\"opensuse-leap\"\nVERSION_ID=\"15.5\"":                                  "openSUSE:Leap 15.5",
		"ID=\"opensuse-tumbleweed\"\nVERSION_ID=\"20240101\"":                        "openSUSE:Tumbleweed",
		"ID=\"sles\"\nVERSION_ID=\"15.5\"":                                           "SUSE:Linux Enterprise Server 15 SP5",
		"ID=\"sles\"\nVERSION_ID=\"12\"":                                             "SUSE:Linux Enterprise Server 12",
		"ID=\"sles\"\nVERSION_ID=\"16.0\"":                                           "SUSE:Linux Enterprise Server 16.0",
		"ID=\"sles\"\nVERSION_ID=\"16.1\"":                                           "SUSE:Linux Enterprise Server 16.1",
		"ID=\"sles\"\nVERSION_ID=\"15.0\"":                                           "SUSE:Linux Enterprise Server 15",
		"ID=azurelinux\nVERSION_ID=3.0":                                              "Azure Linux:3",
		"ID=\"amzn\"\nNAME=\"Amazon Linux\"\nVERSION_ID=\"2023\"":                    "Amazon Linux:2023?",
		"ID=\"sle-micro\"\nVERSION_ID=\"5.3\"":                                       "SUSE:Linux Enterprise Micro 5.3",
		"ID=\"sl-micro\"\nVERSION_ID=\"6.0\"":                                        "SUSE:Linux Micro 6.0",
		"ID=\"sle_hpc\"\nVERSION_ID=\"15.4\"":                                        "SUSE:Linux Enterprise High Performance Computing 15 SP4",
		"ID=\"opensuse-leap-micro\"\nVERSION_ID=\"5.5\"":                             "openSUSE:Leap Micro 5.5",
		"ID=\"openEuler\"\nVERSION_ID=\"22.03\"\nVERSION=\"22.03 (LTS-SP3)\"":        "openEuler:22.03-LTS-SP3",
		"ID=\"openEuler\"\nVERSION_ID=\"23.09\"\nVERSION=\"23.09\"":                  "openEuler:23.09",
		"ID=mariner\nVERSION_ID=\"2.0\"":                                             "Azure Linux:2",
		"ID=alpaquita\nVERSION_ID=23":                                                "Alpaquita:23",
		"ID=alpaquita\nVERSION_ID=stream":                                            "Alpaquita:stream",
		"ID=minimos\nVERSION_ID=20240101":                                            "MinimOS",
		"ID=echo\nVERSION_ID=1":                                                      "Echo",
		"ID=\"centos\"\nNAME=\"CentOS Linux\"\nVERSION_ID=\"7\"":                     "Red Hat:enterprise_linux:7",
		"ID=\"centos\"\nNAME=\"CentOS Stream\"\nVERSION_ID=\"9\"":                    "CentOS Stream:9?",
		"ID=arch\nNAME=\"Arch Linux\"":                                               "Arch Linux?",
		"# nothing\nNAME":                                                            "Linux?",
	} {
		got, ok := Parse([]byte(text)).Ecosystem()
		if !ok {
			got += "?"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestQuotes(t *testing.T) {
	r := Parse([]byte("ID=\"a\\\"b\"\r\n  NAME='c d'\nVERSION_ID=\"\nID_LIKE=\"rhel fedora\"\n"))
	if r.ID != `a"b` || r.Name != "c d" || r.VersionID != `"` || len(r.Like) != 2 {
		t.Errorf("%+v", r)
	}
}

// The file is a symlink in most trees; it is followed within the tree, as from
// its root.
func TestWhereItStands(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/etc", "a/usr/lib", "b/etc", "c/etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "a/usr/lib/os-release"), []byte("ID=debian\nVERSION_ID=12\n"), 0o600),
		os.Symlink("../usr/lib/os-release", filepath.Join(dir, "a/etc/os-release")),
		os.Symlink("../../../../etc/os-release", filepath.Join(dir, "c/etc/os-release")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	in := &extract.Input{FS: os.DirFS(dir), Path: "x", Limits: extract.Defaults}
	if r, err := Of(in, "a"); err != nil || r.Distro() != "debian-12" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Of(in, "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tree without a release: %v", err)
	}
	if _, err := Of(in, "c"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a release that leads out of the tree: %v", err)
	}
	sink := extract.NewSink("x", 1)
	if _, eco := For(in, "c", "Debian", sink); eco != "Debian" {
		t.Errorf("what is unknown is %s", eco)
	}
	if _, gaps := sink.Told(); len(gaps) != 2 {
		t.Errorf("gaps %v", gaps)
	}
	if _, err := Of(&extract.Input{FS: fstest.MapFS{"etc/os-release": {Data: []byte("ID=x")}}, Path: "x", Limits: extract.Defaults}, ""); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ID=debian\nVERSION_ID=\"12\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if name, _ := Parse(data).Ecosystem(); name == "" {
			t.Fatal("no name")
		}
	})
}
