// Package dpkg reads Debian's package database, also of the distributions made
// from Debian and of images without dpkg itself.
package dpkg

import (
	"bytes"
	"context"
	"io/fs"
	"path"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/osrelease"
)

// Extractors are those of Debian.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "dpkg/status", Ecosystem: "Debian", Names: []string{"status"}, Wants: isStatus, Read: read, Installed: true, Database: true,
			Shown: []string{"var/lib/dpkg/status"},
			Reads: "installed packages with source package and version; release from etc/os-release, without which there is a gap",
		},
		{
			Name: "dpkg/status.d", Ecosystem: "Debian", Wants: isStatusD, Read: read, Installed: true, Database: true,
			Shown: []string{"var/lib/dpkg/status.d/*"},
			Reads: "the same of distroless images, one file a package",
		},
	}
}

const (
	statusPath  = "var/lib/dpkg/status"
	statusDPath = "var/lib/dpkg/status.d"
)

func isStatus(file string, _ fs.DirEntry) bool {
	return file == statusPath || strings.HasSuffix(file, "/"+statusPath)
}

func isStatusD(file string, _ fs.DirEntry) bool {
	dir := path.Dir(file)
	return (dir == statusDPath || strings.HasSuffix(dir, "/"+statusDPath)) && !strings.HasSuffix(file, ".md5sums")
}

// paragraph is one package's fields that matter here.
type paragraph struct {
	name, version, source, status, arch, depends, predepends string
	line                                                     int
}

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	root := strings.TrimSuffix(in.Path[:strings.LastIndex("/"+in.Path, "/var/lib/dpkg/")], "/")
	r, eco := osrelease.For(in, root, "Debian", out)
	distro, namespace := r.Distro(), r.ID
	if namespace == "" {
		namespace = "debian"
	}
	all, broken := paragraphs(data, out)
	versions := map[string]string{}
	for _, p := range all {
		if p.installed() {
			versions[p.name] = p.purl(namespace, distro)
		}
	}
	for _, p := range all {
		if p.installed() {
			p.tell(eco, namespace, distro, versions, out)
		}
	}
	return broken
}

// paragraphs parts the file. A line that is no field is a gap of its paragraph's.
func paragraphs(data []byte, out *extract.Sink) ([]paragraph, error) {
	var all []paragraph
	p := paragraph{line: 1}
	number, begun := 0, false
	flush := func() {
		if begun {
			if p.name == "" {
				out.Fail(extract.Malformed(p.line, "a paragraph without a Package field"))
			} else {
				all = append(all, p)
			}
		}
		p, begun = paragraph{line: number + 1}, false
	}
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(bytes.TrimSpace(line)) == 0:
			flush()
			continue
		case line[0] == ' ' || line[0] == '\t':
			continue // the rest of a long field; none that matters here is long
		}
		begun = true
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return all, extract.Malformed(number, "no field: %.60q", line)
		}
		p.set(string(key), value)
	}
	flush()
	return all, nil
}

func (p *paragraph) set(key string, value []byte) {
	v := func() string { return string(bytes.TrimSpace(value)) }
	switch key {
	case "Package":
		p.name = v()
	case "Version":
		p.version = v()
	case "Source":
		p.source = v()
	case "Status":
		p.status = v()
	case "Architecture":
		p.arch = v()
	case "Depends":
		p.depends = v()
	case "Pre-Depends":
		p.predepends = v()
	}
}

// installed packages have files in the tree: also those half way. Removed ones
// left their configuration at most. Distroless images say no status.
func (p *paragraph) installed() bool {
	f := strings.Fields(p.status)
	if len(f) == 0 {
		return true
	}
	state := f[len(f)-1]
	return state != "not-installed" && state != "config-files"
}

func (p *paragraph) purl(namespace, distro string) string {
	return extract.PURL("deb", namespace+"/"+p.name, p.version, "arch", p.arch, "distro", distro)
}

func (p *paragraph) tell(eco, namespace, distro string, versions map[string]string, out *extract.Sink) {
	if p.version == "" {
		out.Unknown(p.line, p.name, "the database gives no version of it")
		return
	}
	made := scanning.Package{Ecosystem: eco, Name: p.name, Version: p.version, PURL: p.purl(namespace, distro)}
	if p.source != "" {
		name, version, versioned := strings.Cut(p.source, " ")
		made.Source = name
		if versioned {
			made.SourceVersion = strings.Trim(version, "() ")
		}
		if made.SourceVersion == "" {
			made.SourceVersion = p.version
		}
	}
	for _, wish := range strings.FieldsFunc(p.predepends+","+p.depends, func(r rune) bool { return r == ',' || r == '|' }) {
		name := strings.Fields(wish)
		if len(name) == 0 {
			continue
		}
		bare, _, _ := strings.Cut(name[0], ":")
		if to, ok := versions[bare]; ok {
			made.Requires = append(made.Requires, to)
		}
	}
	out.Add(made)
}
