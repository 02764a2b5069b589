package purl

import (
	"testing"

	"github.com/interlock-security/interlock/scanning"
)

func TestPackage(t *testing.T) {
	for _, c := range []struct{ purl, ecosystem, name, version, source, sourceVersion string }{
		{"pkg:golang/github.com/BurntSushi/toml@v1.3.2", "Go", "github.com/BurntSushi/toml", "v1.3.2", "", ""},
		{"pkg:npm/%40babel/core@7.0.0", "npm", "@babel/core", "7.0.0", "", ""},
		{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "Maven", "org.apache.logging.log4j:log4j-core", "2.14.1", "", ""},
		{"pkg:pypi/Django@1.0", "PyPI", "django", "1.0", "", ""},
		{"pkg:composer/symfony/http-kernel@v4", "Packagist", "symfony/http-kernel", "v4", "", ""},
		{"pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc", "Debian:12", "libc6", "2.36-9", "glibc", ""},
		{"pkg:deb/debian/libc6@2.36-9?distro=bookworm&upstream=glibc%402.36-8", "Debian:12", "libc6", "2.36-9", "glibc", "2.36-8"},
		{"pkg:deb/debian/glibc@2.36-9?upstream=glibc", "Debian", "glibc", "2.36-9", "", ""},
		{"pkg:deb/ubuntu/bash@5?distro=ubuntu-22.04", "Ubuntu:22.04:LTS", "bash", "5", "", ""},
		{"pkg:deb/ubuntu/bash@5?distro=ubuntu-25.10", "Ubuntu:25.10", "bash", "5", "", ""},
		{"pkg:apk/alpine/musl@1.2?distro=alpine-3.22_alpha20250108", "Alpine:edge", "musl", "1.2", "", ""},
		{"pkg:apk/alpine/musl@1.2?distro=alpine-3.19.1", "Alpine:v3.19", "musl", "1.2", "", ""},
		{"pkg:apk/wolfi/musl@1.2?distro=wolfi-20230201", "Wolfi", "musl", "1.2", "", ""},
		{"pkg:rpm/redhat/bash@5.1-2.el9?distro=rhel-9.4&epoch=1&upstream=bash-5.1-2.el9.src.rpm", "Red Hat:enterprise_linux:9", "bash", "1:5.1-2.el9", "bash", "5.1-2.el9"},
		{"pkg:rpm/opensuse/bash@5?distro=opensuse-leap-15.5", "openSUSE:Leap 15.5", "bash", "5", "", ""},
		{"pkg:rpm/suse/bash@5?distro=sles-15.5", "SUSE:Linux Enterprise Server 15 SP5", "bash", "5", "", ""},
		{"pkg:generic/openssl@1.1", "", "openssl", "1.1", "", ""},
	} {
		p, err := Package(c.purl)
		if err != nil || p.Ecosystem != c.ecosystem || p.Name != c.name || p.Version != c.version || p.Source != c.source || p.SourceVersion != c.sourceVersion {
			t.Errorf("%s: %+v %v", c.purl, p, err)
		}
	}
}

func TestMissing(t *testing.T) {
	for s, gap := range map[string]bool{
		"pkg:deb/debian/bash@5":                  true,
		"pkg:deb/debian/bash@5?distro=debian-12": false,
		"pkg:npm/left-pad":                       true,
		"pkg:generic/x@1":                        true,
		"pkg:apk/wolfi/musl@1":                   false,
	} {
		p, err := Package(s)
		if got := Missing(&p); err != nil || (got != "") != gap {
			t.Errorf("%s: %q %v", s, got, err)
		}
	}
}

func TestOfIsTheWayBack(t *testing.T) {
	for _, s := range []string{
		"pkg:npm/%40babel/core@7.0.0", "pkg:maven/a.b/c@2", "pkg:deb/debian/libc6@2?distro=debian-12&upstream=glibc",
		"pkg:apk/alpine/musl@1.2?distro=alpine-3.19", "pkg:rpm/opensuse/bash@5?distro=opensuse-leap-15.5",
		"pkg:rpm/suse/bash@5?distro=sles-15.5", "pkg:rpm/redhat/bash@5?distro=rhel-9", "pkg:deb/ubuntu/bash@5?distro=ubuntu-22.04",
		"pkg:golang/golang.org/x/crypto@v0.1.0",
	} {
		p, err := Package(s)
		if err != nil {
			t.Fatal(err)
		}
		p.PURL = ""
		if got := Of(&p); got != s {
			t.Errorf("%s came back as %s", s, got)
		}
	}
}

func TestMatches(t *testing.T) {
	have := scanning.Package{Ecosystem: "Debian:12", Name: "bash", Version: "5.2", Source: "bash-src", SourceVersion: "5.0", PURL: "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12"}
	for product, want := range map[string]bool{
		"pkg:deb/debian/bash":                        true,
		"pkg:deb/debian/bash@5.2":                    true,
		"pkg:deb/debian/bash@5.3":                    false,
		"pkg:deb/debian/bash@5.2?arch=arm64":         false,
		"pkg:deb/debian/bash@5.2?distro=debian-12":   true,
		"pkg:deb/debian/bash@5.2?distro=debian-11":   false,
		"pkg:deb/debian/bash@5.2?distro=debian-12.5": true,
		"pkg:deb/debian/bash@5.2?distro=bookworm":    true,
		"pkg:deb/debian/bash-src@5.0?arch=src":       true,
		"pkg:deb/debian/bash-src@5.2?arch=source":    false,
		"pkg:deb/debian/bash?arch=src":               false,
		"pkg:deb/ubuntu/bash@5.2":                    false,
		"pkg:deb/debian/dash@5.2":                    false,
		"not a purl":                                 false,
		"pkg:deb/debian/bash@5.2?checksum=sha1:abcd": true,
	} {
		if got := Matches(product, &have); got != want {
			t.Errorf("%s: %v", product, got)
		}
	}
}

func FuzzPackage(f *testing.F) {
	for _, s := range []string{"pkg:golang/github.com/A/b@v1", "pkg:deb/debian/a@1?distro=bookworm&upstream=b@2", "pkg:npm/%40a/b@1#c", "pkg:rpm/opensuse/a@1?distro=leap-15.5", "pkg:apk/a@1?distro=alpine-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Package(s)
		if err != nil {
			return
		}
		_ = Missing(&p)
		_ = Matches(s, &p)
		p.PURL = ""
		_ = Of(&p)
	})
}
