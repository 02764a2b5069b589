package advisory

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
)

// Red Hat names what an advisory is about by CPE: the product, its version, and
// behind two colons the repository. A package database says of neither which
// repository a package came from; what can be known is in the package's release.

// sameRedHat compares product and version of the two CPEs and not the
// repository. A plain number is a release of Enterprise Linux. Products that are
// installed on top of it are of the release that their CPE ends with; which of
// its packages are meant, [page.elsewhere] says.
func sameRedHat(advisory, pkg string) bool {
	if a, b := enterprise(advisory), enterprise(pkg); a != "" || b != "" {
		return a == b
	}
	a, b := cpe(advisory), cpe(pkg)
	return a[0] == b[0] && (a[1] == b[1] || a[1] == "" || b[1] == "")
}

func cpe(s string) [2]string {
	parts := append(strings.Split(s, ":"), "")
	return [2]string{parts[0], parts[1]}
}

// enterprise is the major release of Enterprise Linux that a CPE is of, and empty
// for streams of a minor release, which have packages of their own.
func enterprise(s string) string {
	if s != "" && digitByte(s[0]) {
		return codename(nil, s, 1)
	}
	if major := layered(s); major != "" {
		return major
	}
	c := cpe(s)
	minor := strings.Contains(c[1], ".")
	switch {
	case c[0] == "enterprise_linux" || c[0] == "rhel":
		return codename(nil, c[1], 1)
	case strings.HasPrefix(c[0], "rhel_") && !minor: // extended life, extras, supplementary
		return c[1]
	}
	return ""
}

// layered is the release that a product is installed on: 9 of
// openshift:4.13::el9.
func layered(s string) string {
	i := strings.LastIndex(s, ":el")
	if i < 0 || strings.HasPrefix(s, "enterprise_linux:") {
		return ""
	}
	major := s[i+len(":el"):]
	if !number(major) {
		return ""
	}
	return major
}

// elsewhere reports whether an entry of a product on top of Enterprise Linux
// means another build of the package: the mark that the product's builds carry
// in their release, el9ost or rhaos4.13, is not that of the installed version.
func (g *page) elsewhere(e *packed, at stand) bool {
	own, known := buildMark([]byte(at.version)), false
	for _, v := range g.ends(e) {
		if bytes.Equal(buildMark(v), own) {
			return false
		}
		known = true
	}
	return known
}

// ends are the versions up to which an entry's ranges go.
func (g *page) ends(e *packed) (all [][]byte) {
	for _, r := range e.ranges {
		for _, ev := range r.events {
			if ev.at > 0 && (ev.kind == Fixed || ev.kind == LastAffected) {
				all = append(all, g.lines[r.line].versions[ev.at-1])
			}
		}
	}
	return all
}

// buildMark is "rhaos4.13" of 1.26.3-9.rhaos4.13.git1.el9, "el9ost" of
// 3.2.12-3.el9ost, and nothing of a build of Enterprise Linux itself.
func buildMark(version []byte) []byte {
	if i := bytes.Index(version, []byte(".rhaos")); i >= 0 {
		mark := version[i+1:]
		end := len("rhaos")
		for end < len(mark) && (digitByte(mark[end]) || mark[end] == '.' && end+1 < len(mark) && digitByte(mark[end+1])) {
			end++
		}
		return mark[:end]
	}
	i := bytes.LastIndex(version, []byte(".el"))
	if i < 0 {
		return nil
	}
	mark := version[i+1:]
	end := len("el")
	for end < len(mark) && digitByte(mark[end]) {
		end++
	}
	digits := end
	for end < len(mark) && 'a' <= mark[end] && mark[end] <= 'z' {
		end++
	}
	if end == digits {
		return nil
	}
	return mark[:end]
}

// moduleMark is in the release of every build of a module and of no other.
const moduleMark = ".module"

// otherModule reports whether an entry is of a module and the version is not, or
// the other way round: the same name, but not the same package.
func (g *page) otherModule(e *packed, at stand) bool {
	own, known := strings.Contains(at.version, moduleMark), false
	for _, r := range e.ranges {
		for _, ev := range r.events {
			if ev.at == 0 || ev.kind != Fixed && ev.kind != LastAffected {
				continue
			}
			if bytes.Contains(g.lines[r.line].versions[ev.at-1], []byte(moduleMark)) == own {
				return false
			}
			known = true
		}
	}
	return known
}

// moduleOf is the module and stream that a package's url says it was built for.
func moduleOf(purl string) (name, stream string) {
	_, label, ok := strings.Cut(purl, "rpmmod=") // ours and Syft's
	if !ok {
		_, label, ok = strings.Cut(purl, "modularitylabel=") // Trivy's
	}
	if !ok {
		return "", ""
	}
	label, _, _ = strings.Cut(label, "&")
	label, _, _ = strings.Cut(label, "#")
	if plain, err := url.QueryUnescape(label); err == nil {
		label = plain
	}
	name, rest, _ := strings.Cut(label, ":")
	stream, _, _ = strings.Cut(rest, ":")
	return name, stream
}

// otherStream reports whether an advisory's title speaks of streams of a module,
// "nodejs:18 security update", and of this one it does not.
func otherStream(title, name, stream string) bool {
	if name == "" || stream == "" {
		return false
	}
	named := false
	for _, word := range strings.Fields(title) {
		module, of, ok := strings.Cut(strings.Trim(word, ",;()"), ":")
		if !ok || module != name || of == "" {
			continue
		}
		if of == stream {
			return false
		}
		named = true
	}
	return named
}

// distTag is the mark of a release of Enterprise Linux: .el7 and .el7_9 of Red
// Hat's, .el7.centos of CentOS's.
var distTag = regexp.MustCompile(`\.el(\d+)(_\d+)?(\.centos)?`)

// rebuilt reports whether CentOS built a version again, with a release of its own.
func rebuilt(f family, v string) bool {
	return f == rpm && (strings.Contains(v, ".centos") || strings.Contains(v, ".module_el"))
}

// level takes off both versions what differs between a build of CentOS's and the
// one of Red Hat's that it was made from: 97.el7.centos.5 is 97.el7_9.5, and
// counts the builds of its modules for itself. Only beside a build of CentOS's:
// among Red Hat's own the minor release tells what is newer.
func level(v, w string) (string, string) {
	if strings.Contains(v, ".centos") || strings.Contains(w, ".centos") {
		return distTag.ReplaceAllString(v, ".el$1"), distTag.ReplaceAllString(w, ".el$1")
	}
	own, _, ofV := strings.Cut(v, ".module_el")
	red, _, ofW := strings.Cut(w, ".module+el")
	if ofV && ofW {
		return own + moduleMark, red + moduleMark
	}
	return v, w
}

// compareRebuilt orders two versions of which one may be CentOS's.
func compareRebuilt(v, w string) (int, error) {
	v, w = level(v, w)
	a, err := parseVersion(rpm, v)
	if err != nil {
		return 0, err
	}
	b, err := parseVersion(rpm, w)
	if err != nil {
		return 0, err
	}
	return a.compare(b)
}

// spotRebuilt is [line.spot] of a version of CentOS's. The line's order is not the
// one of such versions everywhere, so that it is looked through and not searched;
// before the first that is not older is where too much is told and not too little.
func (l *line) spotRebuilt(s string) (at spot, bad error) {
	order := func(i int) int {
		n, err := compareRebuilt(s, string(l.versions[i]))
		if err != nil {
			bad = err
		}
		return n
	}
	for at.lower < len(l.versions) && order(at.lower) > 0 {
		at.lower++
	}
	for at.upper = at.lower; at.upper < len(l.versions) && order(at.upper) == 0; {
		at.upper++
	}
	return at, bad
}
