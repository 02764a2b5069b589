package advisory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// The limits of one advisory. Real ones stay below a hundredth of each.
const (
	maxAdvisory = 32 << 20 // bytes
	maxDepth    = 64       // of nested JSON
	maxEntries  = 50_000   // affected packages
	maxVersions = 500_000  // enumerated versions and events together
	maxNames    = 2_000    // aliases, related, upstream, references
	maxName     = 1_024    // bytes of an id, name, version or ecosystem
)

type osvRecord struct {
	ID               string          `json:"id"`
	Modified         string          `json:"modified"`
	Published        string          `json:"published"`
	Withdrawn        string          `json:"withdrawn"`
	Aliases          []string        `json:"aliases"`
	Related          relatives       `json:"related"`
	Upstream         []string        `json:"upstream"`
	Summary          string          `json:"summary"`
	Details          string          `json:"details"`
	Severity         []osvSeverity   `json:"severity"`
	Affected         []osvAffected   `json:"affected"`
	References       []osvReference  `json:"references"`
	DatabaseSpecific json.RawMessage `json:"database_specific"`
}

// relatives are ids, or objects that also say how they are related.
type relatives []string

// UnmarshalJSON reads either form.
func (r *relatives) UnmarshalJSON(data []byte) error {
	var plain []string
	if json.Unmarshal(data, &plain) == nil {
		*r = plain
		return nil
	}
	var typed []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(data, &typed); err != nil {
		return err
	}
	for _, t := range typed {
		*r = append(*r, t.ID)
	}
	return nil
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvReference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type osvAffected struct {
	Package           osvPackage      `json:"package"`
	Severity          []osvSeverity   `json:"severity"`
	Ranges            []osvRange      `json:"ranges"`
	Versions          []string        `json:"versions"`
	EcosystemSpecific json.RawMessage `json:"ecosystem_specific"`
	DatabaseSpecific  json.RawMessage `json:"database_specific"`
}

type osvPackage struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	PURL      string `json:"purl"`
}

type osvRange struct {
	Type   string     `json:"type"`
	Repo   string     `json:"repo"`
	Events []osvEvent `json:"events"`
}

type osvEvent struct {
	Introduced   *string `json:"introduced"`
	Fixed        *string `json:"fixed"`
	LastAffected *string `json:"last_affected"`
	Limit        *string `json:"limit"`
}

// ParseOSV reads one OSV record. What does not follow the schema where matching
// depends on it is an error that says what; unknown fields are passed over, as
// the schema asks of readers.
func ParseOSV(data []byte) (*Advisory, error) {
	if len(data) > maxAdvisory {
		return nil, malformed("", fmt.Sprintf("is %d bytes long, and the limit is %d", len(data), maxAdvisory))
	}
	if err := checkDepth(data); err != nil {
		return nil, err
	}
	var r osvRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, malformed(r.ID, "is not an OSV record: "+err.Error())
	}
	return r.advisory()
}

func malformed(id, what string) error {
	if id == "" {
		id = "advisory"
	}
	return core.E(core.KindInvalid, "advisory.ParseOSV", fmt.Sprintf("%.100q %s", id, what))
}

// checkDepth bounds nesting before anything is decoded.
func checkDepth(data []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return malformed("", fmt.Sprintf("nests deeper than %d", maxDepth))
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func (r *osvRecord) advisory() (*Advisory, error) {
	a := &Advisory{
		ID: r.ID, Aliases: without(r.Aliases, r.ID), Related: r.Related, Upstream: r.Upstream,
		Summary: strings.TrimSpace(r.Summary), Details: r.Details,
		Severity: severities(r.Severity), Rating: rating(r.DatabaseSpecific),
	}
	if err := r.head(a); err != nil {
		return nil, err
	}
	for _, ref := range r.References {
		a.References = append(a.References, Reference(ref))
	}
	if len(r.Affected) > maxEntries {
		return nil, malformed(r.ID, fmt.Sprintf("names %d packages, and the limit is %d", len(r.Affected), maxEntries))
	}
	versions := 0
	for i := range r.Affected {
		e, err := r.Affected[i].entry()
		if err != nil {
			return nil, malformed(r.ID, fmt.Sprintf("affected[%d]: %v", i, err))
		}
		if versions += e.size(); versions > maxVersions {
			return nil, malformed(r.ID, fmt.Sprintf("has more than %d versions and events", maxVersions))
		}
		a.Affected = append(a.Affected, e)
	}
	return a, nil
}

func (e *Entry) size() int {
	n := len(e.Versions)
	for i := range e.Ranges {
		n += 1 + len(e.Ranges[i].Events)
	}
	return n
}

// head reads the id and the times, which every record must have.
func (r *osvRecord) head(a *Advisory) error {
	switch {
	case !goodName(r.ID):
		return malformed(r.ID, "has no usable id")
	case len(r.Aliases)+len(r.Related)+len(r.Upstream)+len(r.References) > maxNames*4:
		return malformed(r.ID, fmt.Sprintf("has more than %d aliases and references", maxNames*4))
	}
	for _, list := range [][]string{r.Aliases, r.Related, r.Upstream} {
		for _, n := range list {
			if !goodName(n) {
				return malformed(r.ID, fmt.Sprintf("names %.100q, which is no id", n))
			}
		}
	}
	var err error
	if a.Modified, err = when(r.Modified); err != nil || a.Modified.IsZero() {
		return malformed(r.ID, fmt.Sprintf("was modified at %.40q, which is no time", r.Modified))
	}
	if a.Published, err = when(r.Published); err != nil {
		return malformed(r.ID, fmt.Sprintf("was published at %.40q, which is no time", r.Published))
	}
	if a.Withdrawn, err = when(r.Withdrawn); err != nil {
		return malformed(r.ID, fmt.Sprintf("was withdrawn at %.40q, which is no time", r.Withdrawn))
	}
	return nil
}

// goodName refuses what can't be a name: empty, endless, or with bytes that a
// terminal or a list would misread.
func goodName(s string) bool {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

func when(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() > 2200 {
		return time.Time{}, fmt.Errorf("%.40q is no time of RFC 3339", s)
	}
	if t.Year() < 1970 {
		// Tools write their zero time for unknown; that is older than anything.
		t = time.Unix(0, 1)
	}
	return t.UTC(), nil
}

func without(names []string, id string) []string {
	var out []string
	for _, n := range names {
		if n != id {
			out = append(out, n)
		}
	}
	return out
}

func severities(in []osvSeverity) []Severity {
	var out []Severity
	for _, s := range in {
		if len(s.Score) <= maxName && len(s.Type) <= maxName {
			out = append(out, Severity(s))
		}
	}
	return out
}

// rating is the word that databases without vectors give.
func rating(raw json.RawMessage) string { return wordOf(raw, "severity") }

// urgency is Debian's word for what a vulnerability means in its package, and
// empty for the one that says that nobody has looked yet.
func urgency(raw json.RawMessage) string {
	word := wordOf(raw, "urgency")
	if known(word) || ratingFlags[word] != 0 {
		return word
	}
	return ""
}

func wordOf(raw json.RawMessage, key string) string {
	if !bytes.Contains(raw, []byte(`"`+key+`"`)) {
		return ""
	}
	var s map[string]json.RawMessage
	var word string
	if json.Unmarshal(raw, &s) != nil || json.Unmarshal(s[key], &word) != nil || len(word) > maxName {
		return ""
	}
	return strings.ToUpper(word)
}

func (o *osvAffected) entry() (Entry, error) {
	e := Entry{
		Ecosystem: o.Package.Ecosystem, Name: o.Package.Name, PURL: o.Package.PURL,
		Severity: severities(o.Severity), Rating: rating(o.DatabaseSpecific), Versions: o.Versions,
	}
	if e.Rating == "" {
		e.Rating = rating(o.EcosystemSpecific)
	}
	if strings.HasPrefix(e.Ecosystem, "Debian") {
		if u := urgency(o.EcosystemSpecific); u != "" {
			e.Rating = u
		}
	}
	for _, r := range o.Ranges {
		if err := r.read(&e); err != nil {
			return Entry{}, err
		}
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	e.Imports = imports(e.Ecosystem, o.EcosystemSpecific)
	return e, nil
}

// check says whether the entry names a package. One without is allowed if it
// speaks of a repository.
func (e *Entry) check() error {
	for _, v := range e.Versions {
		if !goodName(v) {
			return fmt.Errorf("%.100q is no version", v)
		}
	}
	if e.Ecosystem == "" && e.Name == "" && e.repo() != "" {
		return nil
	}
	if !goodName(e.Ecosystem) || !goodName(e.Name) {
		return fmt.Errorf("package %.100q of ecosystem %.100q is no package", e.Name, e.Ecosystem)
	}
	return nil
}

func (e *Entry) repo() string {
	for _, r := range e.Ranges {
		if r.Type == RangeGit && r.Repo != "" {
			return r.Repo
		}
	}
	return ""
}

func (o *osvRange) read(e *Entry) error {
	r := Range{Repo: o.Repo}
	switch o.Type {
	case "SEMVER":
		r.Type = RangeSemver
	case "ECOSYSTEM":
		r.Type = RangeEcosystem
	case "GIT":
		r.Type = RangeGit
	default:
		return fmt.Errorf("a range of type %.40q is not known", o.Type)
	}
	introduced := false
	for _, ev := range o.Events {
		event, err := ev.read()
		if err != nil {
			return err
		}
		introduced = introduced || event.Kind == Introduced
		r.Events = append(r.Events, event)
	}
	if !introduced {
		return fmt.Errorf("a range of %d events never introduces anything", len(o.Events))
	}
	e.Ranges = append(e.Ranges, r)
	return nil
}

// read takes the one event of an object.
func (o *osvEvent) read() (Event, error) {
	var found []Event
	for kind, v := range []*string{Introduced: o.Introduced, Fixed: o.Fixed, LastAffected: o.LastAffected, Limit: o.Limit} {
		if v != nil {
			found = append(found, Event{EventKind(kind), *v})
		}
	}
	if len(found) != 1 {
		return Event{}, fmt.Errorf("an event says %d things, and must say one", len(found))
	}
	if !goodName(found[0].Version) {
		return Event{}, fmt.Errorf("%.100q is no version", found[0].Version)
	}
	return found[0], nil
}

// imports reads what the Go database says of the vulnerable packages. What can't
// be read is left out: then the whole module counts.
func imports(ecosystem string, raw json.RawMessage) []GoPackage {
	if ecosystem != "Go" || !bytes.Contains(raw, []byte(`"imports"`)) {
		return nil
	}
	var s struct {
		Imports []struct {
			Path    string   `json:"path"`
			Symbols []string `json:"symbols"`
			GOOS    []string `json:"goos"`
			GOARCH  []string `json:"goarch"`
		} `json:"imports"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	var out []GoPackage
	for _, i := range s.Imports {
		if !goodName(i.Path) {
			return nil
		}
		out = append(out, GoPackage{Path: i.Path, Symbols: i.Symbols, GOOS: i.GOOS, GOARCH: i.GOARCH})
	}
	return out
}
