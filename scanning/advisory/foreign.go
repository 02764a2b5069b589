package advisory

import (
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/pelletier/go-toml/v2"

	"github.com/interlock-security/interlock/platform/tomlcheck"
)

// maxForeign bounds what is given to the YAML and TOML readers; real ones are a
// few kilobytes.
const maxForeign = 1 << 20

// parsePyPA reads an advisory of the Python Packaging Advisory Database: OSV's
// record in YAML.
func parsePyPA(data []byte) (a *Advisory, err error) {
	if len(data) > maxForeign {
		return nil, malformed("", fmt.Sprintf("is %d bytes of YAML, and the limit is %d", len(data), maxForeign))
	}
	defer func() {
		if recover() != nil {
			a, err = nil, malformed("", "is no YAML")
		}
	}()
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, malformed("", "is no YAML: "+firstLine(err.Error()))
	}
	return ParseOSV(text)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// rustsec is the front matter of a RustSec advisory.
type rustsec struct {
	Advisory struct {
		ID        string   `toml:"id"`
		Package   string   `toml:"package"`
		Date      any      `toml:"date"`
		Withdrawn any      `toml:"withdrawn"`
		URL       string   `toml:"url"`
		Aliases   []string `toml:"aliases"`
		Related   []string `toml:"related"`
		CVSS      string   `toml:"cvss"`
		Info      string   `toml:"informational"`
	} `toml:"advisory"`
	Versions struct {
		Patched    []string `toml:"patched"`
		Unaffected []string `toml:"unaffected"`
	} `toml:"versions"`
}

// parseRustSec reads an advisory of RustSec: TOML between fences, then the text.
// It names what is not affected; the record gets what is left of the line.
func parseRustSec(data []byte) (a *Advisory, err error) {
	defer func() {
		if recover() != nil {
			a, err = nil, malformed("", "has front matter that is no TOML")
		}
	}()
	if len(data) > maxForeign {
		return nil, malformed("", fmt.Sprintf("is %d bytes of Markdown, and the limit is %d", len(data), maxForeign))
	}
	_, rest, _ := strings.Cut(string(data), "```toml")
	front, text, ok := strings.Cut(rest, "```")
	if !ok {
		return nil, malformed("", "has no front matter that ends")
	}
	if err := tomlcheck.Check([]byte(front)); err != nil {
		return nil, malformed("", "has front matter that is not read: "+err.Error())
	}
	var r rustsec
	if err := toml.Unmarshal([]byte(front), &r); err != nil {
		return nil, malformed(r.Advisory.ID, "has front matter that is no TOML: "+err.Error())
	}
	if !goodName(r.Advisory.ID) || !goodName(r.Advisory.Package) {
		return nil, malformed(r.Advisory.ID, "names no id or no package")
	}
	return r.record(strings.TrimSpace(text))
}

func (r *rustsec) record(text string) (*Advisory, error) {
	a := &Advisory{ID: r.Advisory.ID, Aliases: without(r.Advisory.Aliases, r.Advisory.ID), Related: r.Advisory.Related, Details: text}
	for _, n := range append(append([]string{}, a.Aliases...), a.Related...) {
		if !goodName(n) {
			return nil, malformed(a.ID, fmt.Sprintf("names %.100q, which is no id", n))
		}
	}
	a.Published, a.Withdrawn = tomlDate(r.Advisory.Date), tomlDate(r.Advisory.Withdrawn)
	if a.Published.IsZero() || r.Advisory.Withdrawn != nil && a.Withdrawn.IsZero() {
		return nil, malformed(a.ID, "has a date that is none")
	}
	// The file has no date of its last change; a later source with one wins.
	a.Modified = a.Published
	if heading, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(heading, "# ") {
		a.Summary = strings.TrimSpace(heading[2:])
	}
	if r.Advisory.CVSS != "" {
		a.Severity = []Severity{{"CVSS_V3", r.Advisory.CVSS}}
	}
	if r.Advisory.Info != "" {
		a.Rating = "LOW" // unmaintained, unsound, notice: no vulnerability by itself
	}
	if r.Advisory.URL != "" {
		a.References = []Reference{{"ADVISORY", r.Advisory.URL}}
	}
	events, err := affectedLine(append(append([]string{}, r.Versions.Patched...), r.Versions.Unaffected...))
	if err != nil {
		return nil, malformed(a.ID, err.Error())
	}
	e := Entry{Ecosystem: "crates.io", Name: r.Advisory.Package}
	if len(events) > 0 {
		e.Ranges = []Range{{Type: RangeSemver, Events: events}}
	}
	a.Affected = []Entry{e}
	return a, nil
}

func tomlDate(v any) time.Time {
	switch d := v.(type) {
	case toml.LocalDate:
		return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, time.UTC)
	case time.Time:
		return d.UTC()
	case string:
		if t, err := time.Parse(time.DateOnly, d); err == nil {
			return t
		}
	}
	return time.Time{}
}
