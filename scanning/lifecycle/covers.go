package lifecycle

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// Covers reports whether a report's silence proves that what was sighted is gone:
// the same tool, with the rule that found it among those that it asked and not
// older than it was; the same scope, whole where it was; begun later, or the same
// look judged by newer advisories.
//
// Not older means: by the same rules (their hash is equal), or of a higher version,
// with a database that is not older. A version that can't be compared is higher
// than none. Where rules are no database, one version with other rules proves
// nothing: it was configured to look for something else.
func Covers(r *scanning.Report, s Sighting, f *scanning.Finding) bool {
	later := r.Started.After(s.At) || r.Started.Equal(s.At) && r.Tool.Database.After(s.Database)
	return r.Tool.Name == s.Tool && r.Scope.Kind == s.Kind && r.Scope.Name == s.Scope && later &&
		asked(r.Tool.Detectors, s, f) && notOlder(r.Tool, s) && wholeAt(r, s, f)
}

// asked reports whether the rule that found it was asked again.
func asked(detectors []string, s Sighting, f *scanning.Finding) bool {
	return detectors == nil || slices.ContainsFunc(detectors, func(d string) bool {
		return d == s.Rule || f.Package != nil && (d == f.Package.Ecosystem || d == family(f.Package.Ecosystem))
	})
}

// family is an ecosystem without its release.
func family(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}

func notOlder(t scanning.Tool, s Sighting) bool {
	if t.Database.Before(s.Database) {
		return false
	}
	// One version with other rules has been configured otherwise: what it was told
	// not to look for, it does not find.
	if t.Version == s.Version && t.Rules != "" && s.Rules != "" && t.Database.IsZero() {
		return t.Rules == s.Rules
	}
	return t.Rules != "" && t.Rules == s.Rules || t.Version == s.Version || higher(t.Version, s.Version)
}

// higher reports whether version a is above b, number by number. Anything that
// is no row of numbers, such as a pre-release, is higher than nothing.
func higher(a, b string) bool {
	x, okA := versionNumbers(a)
	y, okB := versionNumbers(b)
	return okA && okB && slices.Compare(x, y) > 0
}

func versionNumbers(version string) (list []uint64, ok bool) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "+")
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

// wholeAt reports whether the report left nothing out where the finding was.
func wholeAt(r *scanning.Report, s Sighting, f *scanning.Finding) bool {
	if r.Scope.Parts != nil && !slices.ContainsFunc(r.Scope.Parts, func(p string) bool { return within(s.File, p) }) {
		return false
	}
	if slices.ContainsFunc(r.Scope.Excluded, func(p string) bool { return excludes(p, s.File) }) {
		return false
	}
	return !slices.ContainsFunc(r.Gaps, func(g scanning.Gap) bool { return hides(g, r.Scope, s, f) })
}

// within reports whether a file is a part or below it.
func within(file, part string) bool {
	part = strings.Trim(path.Clean("/"+part), "/")
	file = strings.Trim(path.Clean("/"+file), "/")
	return part == "" || file == part || strings.HasPrefix(file, part+"/")
}

// excludes reports whether a pattern may leave a file out, in doubt yes: what is
// left out on purpose proves nothing.
func excludes(pattern, file string) bool {
	pattern = strings.Trim(strings.ReplaceAll(pattern, "**", "*"), "/")
	if pattern == "" || within(file, pattern) {
		return pattern != ""
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return true
	}
	elements, n := strings.Split(file, "/"), strings.Count(pattern, "/")+1
	for i := range len(elements) - n + 1 { // a star stands for no slash
		if match, _ := path.Match(pattern, strings.Join(elements[i:i+n], "/")); match {
			return true
		}
	}
	// "a/**/z" stands for any depth, which path.Match does not know.
	first, _, deep := strings.Cut(pattern, "*")
	return deep && strings.Contains(pattern, "/") && first != "" && strings.HasPrefix(file, first)
}

// byPlace are the reasons of gaps that stand for one place, where they name one.
var byPlace = []scanning.Reason{
	scanning.ReasonUnreadable, scanning.ReasonTooLarge, scanning.ReasonTooDeep, scanning.ReasonTooMany, scanning.ReasonMalformed, scanning.ReasonUnsupported,
	scanning.ReasonTimeout,
}

// hides reports whether a gap may hide the finding: it is at its place, above it,
// within the archive it is in, or of no place at all.
func hides(g scanning.Gap, scope scanning.Scope, s Sighting, f *scanning.Finding) bool {
	if (g.Reason == scanning.ReasonStale || g.Reason == scanning.ReasonMissingTool) && otherEcosystem(g.What, f) {
		return false
	}
	if !slices.Contains(byPlace, g.Reason) || !isPath(g.What) || g.What == scope.Name {
		return true
	}
	what, _, _ := strings.Cut(g.What, "!")
	file, _, _ := strings.Cut(s.File, "!")
	return within(file, what) || within(what, file) || within(file, withoutLine(what))
}

// withoutLine is a place without the line that readers of lock files add.
func withoutLine(what string) string {
	if i := strings.LastIndexByte(what, ':'); i > 0 && i+1 < len(what) && strings.Trim(what[i+1:], "0123456789") == "" {
		return what[:i]
	}
	return what
}

// isPath reports whether a gap's name is that of a file: it has a folder or an
// ending. One with a space or a quote may be a sentence ("npm a 1.0 in web/x"), or
// a name that was quoted or cut, and is of no place.
func isPath(what string) bool {
	return !strings.ContainsAny(what, " \"…") && (strings.Contains(what, "/") || strings.Contains(strings.TrimLeft(what, "."), "."))
}

// ecosystems are OSV's words.
var ecosystems = []string{
	"Go", "npm", "PyPI", "Maven", "crates.io", "NuGet", "RubyGems", "Packagist", "Debian", "Ubuntu", "Alpine", "Red Hat", "Rocky Linux", "AlmaLinux",
	"SUSE", "openSUSE", "Pub", "Hex", "Hackage", "CRAN", "SwiftURL", "ConanCenter", "GitHub Actions", "Bitnami", "Wolfi", "Chainguard",
}

// otherEcosystem reports whether a gap speaks of an ecosystem that the finding is
// not of.
func otherEcosystem(what string, f *scanning.Finding) bool {
	name := family(what)
	return slices.Contains(ecosystems, name) && (f.Package == nil || family(f.Package.Ecosystem) != name)
}
