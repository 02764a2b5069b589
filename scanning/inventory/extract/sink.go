package extract

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/interlock-security/interlock/scanning"
)

// Longest names and versions that any registry takes, with room.
const (
	maxName    = 1024
	maxVersion = 512
	maxGaps    = 1000 // of one file; what follows is counted, not listed
	// maxLicenses is how many one package keeps.
	maxLicenses = 50
)

// Sink is told what stands in a file.
type Sink struct {
	file     string
	limit    int
	packages []scanning.Package
	index    map[string]int // of packages by purl
	gaps     []scanning.Gap
	dropped  int
}

// NewSink takes what stands in file, at most limit packages.
func NewSink(file string, limit int) *Sink {
	return &Sink{file: file, limit: limit, index: map[string]int{}}
}

// Add tells of a package. The same one told twice in a file is one: direct if it
// ever was, for development only if it always was.
func (s *Sink) Add(p scanning.Package) {
	if err := tame(&p); err != nil {
		s.Gap(scanning.ReasonMalformed, s.file, err.Error())
		return
	}
	if p.File == "" {
		p.File = s.file
	}
	// A url folds case where the ecosystem may not, so that the name belongs to it.
	key := strings.Join([]string{p.File, p.Ecosystem, p.Name, p.Version, p.PURL}, "\x00")
	if i, ok := s.index[key]; ok {
		merge(&s.packages[i], &p)
		return
	}
	if len(s.packages) >= s.limit {
		s.dropped++
		return
	}
	s.index[key] = len(s.packages)
	s.packages = append(s.packages, p)
}

// tame refuses what is no name in any registry, so that no reader of reports and
// terminals has to.
func tame(p *scanning.Package) error {
	if !plain(p.Name, maxName) || p.Name == "" {
		return fmt.Errorf("%.80q is no package's name", p.Name)
	}
	if !plain(p.Version, maxVersion) || !plain(p.Source, maxName) || !plain(p.SourceVersion, maxVersion) {
		return fmt.Errorf("package %.80q: %.80q is no version", p.Name, p.Version+p.SourceVersion)
	}
	p.Licenses = slices.DeleteFunc(p.Licenses, func(l string) bool { return l == "" || !plain(l, maxName) })
	return nil
}

func plain(s string, longest int) bool {
	return len(s) <= longest && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func merge(into, p *scanning.Package) {
	into.Direct = into.Direct || p.Direct
	into.Dev = into.Dev && p.Dev
	into.Requires = append(into.Requires, p.Requires...)
	for _, l := range p.Licenses {
		if len(into.Licenses) < maxLicenses && !slices.Contains(into.Licenses, l) {
			into.Licenses = append(into.Licenses, l)
		}
	}
	if into.Hashes == nil {
		into.Hashes = p.Hashes
		return
	}
	maps.Copy(into.Hashes, p.Hashes)
}

// Gap tells of something in the file that was not read.
func (s *Sink) Gap(reason scanning.Reason, what, why string) {
	if len(s.gaps) >= maxGaps {
		s.dropped++
		return
	}
	s.gaps = append(s.gaps, scanning.Gap{What: Printable(what), Why: Printable(why), Reason: reason})
}

// Unknown tells of a package whose version the file does not say.
func (s *Sink) Unknown(line int, name, why string) {
	s.Gap(scanning.ReasonUnsupported, s.At(line), fmt.Sprintf("%s: %s", name, why))
}

// At is the file with a line.
func (s *Sink) At(line int) string { return At(s.file, line) }

// At is a file with a line; 0 is the whole file.
func At(file string, line int) string {
	if line <= 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// Fail turns an error into a gap.
func (s *Sink) Fail(err error) {
	f := AsFault(err)
	s.Gap(f.Reason, s.At(f.Line), f.Msg)
}

// Told gives what was told, in an order that depends on nothing else.
func (s *Sink) Told() ([]scanning.Package, []scanning.Gap) {
	if s.dropped > 0 {
		s.gaps = append(s.gaps, scanning.Gap{
			What: Printable(s.file), Reason: scanning.ReasonTooMany,
			Why: fmt.Sprintf("%d more packages or gaps than one file may hold", s.dropped),
		})
	}
	for i := range s.packages {
		p := &s.packages[i]
		slices.Sort(p.Requires)
		p.Requires = slices.Compact(p.Requires)
	}
	slices.SortStableFunc(s.packages, Compare)
	return s.packages, s.gaps
}

// Compare orders packages.
func Compare(a, b scanning.Package) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File), cmp.Compare(a.Ecosystem, b.Ecosystem),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.PURL, b.PURL),
	)
}

// Printable quotes what a terminal or a log would take for more than text.
func Printable(s string) string {
	const longest = 400
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	if plain(s, 2*longest) {
		return s
	}
	return fmt.Sprintf("%q", s)
}
