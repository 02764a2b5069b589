// Package apk reads Alpine's package database.
package apk

import (
	"bytes"
	"context"
	"io/fs"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/osrelease"
)

// Extractors are those of Alpine.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "apk/installed", Ecosystem: "Alpine", Names: []string{"installed"}, Wants: wants, Read: read, Installed: true, Database: true,
		Shown: []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"},
		Reads: "installed packages with origin, licence and edges; branch from etc/os-release, without which there is a gap",
	}}
}

// paths are where the database stands; the second since /lib moved into /usr.
var paths = []string{"usr/lib/apk/db/installed", "lib/apk/db/installed"}

func root(file string) (string, bool) {
	for _, p := range paths {
		if before, ok := strings.CutSuffix("/"+file, "/"+p); ok {
			return strings.TrimPrefix(before, "/"), true
		}
	}
	return "", false
}

func wants(file string, _ fs.DirEntry) bool {
	_, ok := root(file)
	return ok
}

// entry is one package: P name, V version, A architecture, o origin, L licence,
// D what it needs, p what it provides, F a folder and R a file in it.
type entry struct {
	name, version, arch, origin, license string
	needs, provides                      []string
	line                                 int
	folder                               string
}

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	at, _ := root(in.Path)
	r, eco := osrelease.For(in, at, "Alpine", out)
	distro, namespace := r.Distro(), r.ID
	if namespace == "" {
		namespace = "alpine"
	}
	own := func(string, string) {}
	if _, published := r.Ecosystem(); published {
		own = func(folder, file string) { in.Own(at, folder, file) }
	}
	all, err := entries(data, own)
	provides := map[string]string{}
	for _, e := range all {
		url := e.purl(namespace, distro)
		provides[e.name] = url
		for _, p := range e.provides {
			if provides[bare(p)] == "" {
				provides[bare(p)] = url
			}
		}
	}
	for _, e := range all {
		e.tell(eco, namespace, distro, provides, out)
	}
	return err
}

// entries parts the database, and calls own with the folder and the name of each
// file: a folder that is written once may be that of millions.
func entries(data []byte, own func(folder, file string)) ([]entry, error) {
	var all []entry
	e := entry{line: 1}
	number := 0
	flush := func() {
		if e.name != "" {
			all = append(all, e)
		}
		e = entry{line: number + 1}
	}
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			flush()
			continue
		}
		if len(text) < 2 || text[1] != ':' {
			return all, extract.Malformed(number, "no field: %.60q", text)
		}
		e.set(text[0], text[2:])
		if text[0] == 'R' && e.name != "" && e.version != "" {
			own(e.folder, text[2:])
		}
	}
	flush()
	return all, nil
}

func (e *entry) set(key byte, value string) {
	switch key {
	case 'P':
		e.name = value
	case 'V':
		e.version = value
	case 'A':
		e.arch = value
	case 'o':
		e.origin = value
	case 'L':
		e.license = value
	case 'D':
		e.needs = strings.Fields(value)
	case 'p':
		e.provides = strings.Fields(value)
	case 'F':
		e.folder = value
	}
}

func (e *entry) purl(namespace, distro string) string {
	return extract.PURL("apk", namespace+"/"+e.name, e.version, "arch", e.arch, "distro", distro)
}

// bare is a wish without its version.
func bare(wish string) string {
	if i := strings.IndexAny(wish, "<>=~@"); i >= 0 {
		return wish[:i]
	}
	return wish
}

func (e *entry) tell(eco, namespace, distro string, provides map[string]string, out *extract.Sink) {
	if e.version == "" {
		out.Unknown(e.line, e.name, "the database gives no version of it")
		return
	}
	p := scanning.Package{Ecosystem: eco, Name: e.name, Version: e.version, PURL: e.purl(namespace, distro)}
	if e.origin != "" && e.origin != e.name {
		p.Source, p.SourceVersion = e.origin, e.version
	}
	if e.license != "" {
		p.Licenses = []string{e.license}
	}
	for _, wish := range e.needs {
		if to := provides[bare(wish)]; to != "" && !strings.HasPrefix(wish, "!") && to != p.PURL {
			p.Requires = append(p.Requires, to)
		}
	}
	out.Add(p)
}
