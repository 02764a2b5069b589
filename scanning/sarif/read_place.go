package sarif

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// maxBases bounds how far uriBaseIds are followed, cycles included.
const maxBases = 16

// place reads a location. A path that leads out of its root is a gap: such a
// name must not reach anything that opens files.
func (rd *reader) place(l location, result *int) scanning.Location {
	var at scanning.Location
	p := l.PhysicalLocation
	if p == nil || p.ArtifactLocation == nil {
		return at
	}
	uri := rd.resolve(*p.ArtifactLocation)
	file, web := rd.filePath(uri)
	if outside(file) {
		if result != nil {
			rd.gap(fmt.Sprintf("result %d", *result), "its location "+file+" leads out of what was scanned, so it is kept without its place", scanning.ReasonMalformed)
		}
		return at
	}
	at.File, at.URL = clip(file), clip(web)
	if r := p.Region; r != nil {
		at.Line, at.Column, at.EndLine = max(r.StartLine, 0), max(r.StartColumn, 0), max(r.EndLine, 0)
	}
	return at
}

func outside(file string) bool { return file == ".." || strings.HasPrefix(file, "../") }

// resolve follows the artifact's index and the nested bases. The result is
// absolute only if some base is, and relative to the outermost unknown one else.
func (rd *reader) resolve(a artifactLocation) string {
	if a.URI == "" && a.Index != nil && *a.Index >= 0 && *a.Index < len(rd.run.Artifacts) {
		if l := rd.run.Artifacts[*a.Index].Location; l != nil {
			a = *l
		}
	}
	uri := a.URI
	for id, n := a.URIBaseID, 0; id != "" && n < maxBases && !isAbsolute(uri); n++ {
		base, ok := rd.run.OriginalURIBaseIDs[id]
		if !ok {
			break
		}
		if base.URI != "" && isAbsolute(base.URI) {
			break // the scope's root on the machine that scanned
		}
		if base.URI != "" {
			uri = strings.TrimSuffix(base.URI, "/") + "/" + uri
		}
		id = base.URIBaseID
	}
	return uri
}

// filePath turns a URI into a slash path relative to the scope, or a URL.
// Absolute files are cut at the longest root that the run declares.
func (rd *reader) filePath(uri string) (file, web string) {
	if uri == "" {
		return "", ""
	}
	u, err := url.Parse(uri)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https"):
		u.User = nil
		return "", u.String()
	case err == nil && u.Scheme == "file":
		return rd.relative(strings.TrimSuffix(uri, "/"), u.Path), ""
	case err == nil && len(u.Scheme) > 1:
		return "", uri // another scheme: docker, pkg, git
	}
	p, err := url.PathUnescape(uri)
	if err != nil {
		p = uri
	}
	if !strings.Contains(p, "/") {
		p = strings.ReplaceAll(p, `\`, "/") // a Windows path where a URI was due
	}
	if drive(p) || strings.HasPrefix(p, "/") {
		return rd.relative("file:///"+strings.TrimPrefix(p, "/"), p), ""
	}
	return path.Clean(p), ""
}

func drive(p string) bool { return len(p) > 2 && p[1] == ':' && p[2] == '/' }

func (rd *reader) relative(uri, p string) string {
	best := ""
	for _, root := range rd.roots() {
		root = strings.TrimSuffix(root, "/") + "/"
		if len(root) > len("file:///") && strings.HasPrefix(uri, root) && len(root) > len(best) {
			best = root
		}
	}
	if best != "" {
		rest, err := url.PathUnescape(uri[len(best):])
		if err == nil {
			return path.Clean(cmp.Or(rest, "."))
		}
	}
	if len(p) > 3 && p[0] == '/' && drive(p[1:]) {
		p = p[1:]
	}
	return path.Clean(p)
}

func (rd *reader) roots() []string {
	var out []string
	for _, b := range rd.run.OriginalURIBaseIDs {
		if strings.HasPrefix(b.URI, "file:") {
			out = append(out, b.URI)
		}
	}
	for _, v := range rd.run.Invocations {
		if v.WorkingDirectory != nil && strings.HasPrefix(v.WorkingDirectory.URI, "file:") {
			out = append(out, v.WorkingDirectory.URI)
		}
	}
	return out
}

// logical is the full name of a logical location, through the run's table.
func (rd *reader) logical(l logicalLocation) string {
	if l.FullyQualifiedName == "" && l.Index != nil && *l.Index >= 0 && *l.Index < len(rd.run.LogicalLocations) {
		l = rd.run.LogicalLocations[*l.Index]
	}
	return cmp.Or(l.FullyQualifiedName, l.Name)
}
