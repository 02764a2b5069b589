// Package rpm reads the package databases of Red Hat's, SUSE's and their kin's
// distributions: SQLite, Berkeley DB and SUSE's own format. It reads the files
// themselves and not through a database driver or rpm, because they come from
// images and may be crafted: each reader is bounded and never follows a page
// twice.
package rpm

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/osrelease"
)

// Extractors are those of rpm.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "rpm/database", Ecosystem: "Red Hat", Names: []string{"rpmdb.sqlite", "Packages", "Packages.db"},
		Wants: wants, Read: read, Installed: true, Database: true,
		Shown: []string{"var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "usr/lib/sysimage/rpm/*", "usr/share/rpm/*"},
		Reads: "installed packages with epoch, source package, module and licence (Red Hat, Rocky Linux, AlmaLinux, SUSE, openSUSE and others by etc/os-release)",
	}}
}

// folders are where distributions keep the database.
var folders = []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"}

func root(file string) (string, bool) {
	dir := "/" + path.Dir(file)
	for _, f := range folders {
		if before, ok := strings.CutSuffix(dir, "/"+f); ok {
			return strings.TrimPrefix(before, "/"), true
		}
	}
	return "", false
}

func wants(file string, _ fs.DirEntry) bool {
	_, ok := root(file)
	return ok
}

// blobs calls yield with each package's header as the database holds it.
type blobs func(r io.ReaderAt, size int64, yield func([]byte) error) error

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if in.Entry != nil {
		if info, err := in.Entry.Info(); err == nil && info.Size() == 0 {
			return nil // left empty by an rpm that moved to another format
		}
	}
	r, size, done, err := in.ReaderAt()
	if err != nil {
		return err
	}
	defer done()
	if waiting(in) {
		out.Gap(scanning.ReasonUnsupported, in.Path+"-wal", "changes that were not written into the database yet are not read; end what uses it, or run: rpmdb --rebuilddb")
	}
	d := release(in, out)
	form := map[string]blobs{"rpmdb.sqlite": sqlite, "Packages": berkeley, "Packages.db": slots}[path.Base(in.Path)]
	return form(r, size, func(blob []byte) error {
		h, err := parse(blob)
		if err != nil {
			out.Fail(err)
			return nil // the next one may be whole
		}
		d.tell(h, out)
		if in.Owned != nil && d.built(h) {
			h.files(func(folder, name string) { in.Own(d.root, folder, name) })
		}
		return nil
	})
}

// waiting reports whether a write-ahead log with changes stands beside the
// database.
func waiting(in *extract.Input) bool {
	if !strings.HasSuffix(in.Path, ".sqlite") {
		return false
	}
	info, err := fs.Stat(in.FS, in.Path+"-wal")
	return err == nil && info.Size() > 0
}

type distribution struct {
	ecosystem, namespace, distro string
	// root is where the tree of the database begins; published says that there
	// are advisories of its release.
	root      string
	published bool
}

func release(in *extract.Input, out *extract.Sink) distribution {
	at, _ := root(in.Path)
	r, eco := osrelease.For(in, at, "Linux", out)
	namespace := r.ID
	if known := map[string]string{"rhel": "redhat", "sles": "suse", "sled": "suse", "opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse"}[r.ID]; known != "" {
		namespace = known
	}
	_, published := r.Ecosystem()
	return distribution{ecosystem: eco, namespace: namespace, distro: r.Distro(), root: at, published: published}
}

// vendors are how distributions sign what they build, each by how the line begins.
// Anybody can make a package, and put it into the same database.
var vendors = map[string][]string{
	"Red Hat": {"Red Hat, Inc.", "CentOS"}, "Rocky Linux": {"Rocky"}, "AlmaLinux": {"AlmaLinux"},
	"SUSE": {"SUSE LLC"}, "openSUSE": {"openSUSE", "SUSE LLC"}, "Mageia": {"Mageia"}, "Photon OS": {"VMware, Inc."},
	"openEuler": {"http://openeuler.org", "openEuler"}, "Azure Linux": {"Microsoft Corporation"},
}

// built reports whether a package is the distribution's own, and of a release of
// which there are advisories.
func (d distribution) built(h *header) bool {
	base, _, _ := strings.Cut(d.ecosystem, ":")
	vendor := h.text(tagVendor)
	return d.published && slices.ContainsFunc(vendors[base], func(v string) bool { return strings.HasPrefix(vendor, v) })
}

func (d distribution) tell(h *header, out *extract.Sink) {
	name := h.text(tagName)
	if name == "gpg-pubkey" {
		return // a key that rpm keeps among the packages
	}
	version, release := h.text(tagVersion), h.text(tagRelease)
	if name == "" || version == "" {
		out.Fail(extract.Malformed(0, "a package without name or version"))
		return
	}
	full, epoch := version+"-"+release, ""
	if n, ok := h.number(tagEpoch); ok && n > 0 {
		epoch = fmt.Sprint(n)
	}
	p := scanning.Package{Ecosystem: d.ecosystem, Name: name, Version: withEpoch(epoch, full)}
	p.PURL = extract.PURL("rpm", d.namespace+"/"+name, full,
		"arch", h.text(tagArch), "epoch", epoch, "distro", d.distro, "upstream", h.text(tagSource), "rpmmod", h.text(tagModule))
	if source, v := sourceOf(h.text(tagSource)); source != "" {
		p.Source, p.SourceVersion = source, withEpoch(epoch, v)
		if source == name && v == full {
			p.Source, p.SourceVersion = "", ""
		}
	}
	if l := h.text(tagLicense); l != "" {
		p.Licenses = []string{l}
	}
	out.Add(p)
}

func withEpoch(epoch, version string) string {
	if epoch == "" {
		return version
	}
	return epoch + ":" + version
}

// sourceOf parts "openssl-3.0.7-24.el9.src.rpm".
func sourceOf(file string) (name, version string) {
	file = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(file, ".rpm"), ".src"), ".nosrc")
	release := strings.LastIndexByte(file, '-')
	if release <= 0 {
		return "", ""
	}
	v := strings.LastIndexByte(file[:release], '-')
	if v <= 0 {
		return "", ""
	}
	return file[:v], file[v+1:]
}
