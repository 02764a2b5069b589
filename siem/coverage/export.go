package coverage

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// WriteCSV writes a line for each rule.
func (r *Coverage) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"rule", "title", "author", "level", "logsource", "state", "lacks", "events", "tags", "file", "link"}); err != nil {
		return err
	}
	for _, rule := range r.Rules {
		row := []string{
			rule.ID, rule.Title, rule.Author, string(rule.Level), rule.Logsource, string(rule.State),
			strings.Join(rule.Lacks, " "), strconv.FormatUint(rule.Events, 10), strings.Join(rule.Tags, " "), rule.File, rule.Link,
		}
		for i := range row {
			row[i] = inert(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// inert keeps a spreadsheet from taking a text of a rule file for a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// listed bounds the tables of the page; the CSV has all.
const listed = 25

// WriteMarkdown writes a page for people: the totals, what is missing, and which
// logsources were seen.
func (r *Coverage) WriteMarkdown(w io.Writer) error {
	p := &page{w: w}
	p.line("# Rule coverage")
	p.line("")
	p.line("%d of %d rules can fire, by %d events%s.", r.Totals.Of[CanFire], r.Totals.All, r.Counts.Events, r.span())
	p.line("")
	p.table([]string{"state", "rules"})
	for _, s := range States {
		if n := r.Totals.Of[s]; n > 0 {
			p.row(string(s), strconv.Itoa(n))
		}
	}
	p.head("By product", "product", "can fire", "rules")
	for _, g := range r.Products {
		p.row(g.Name, strconv.Itoa(g.Of[CanFire]), strconv.Itoa(g.All))
	}
	if len(r.Sources) > 0 {
		p.head("Logsources that would light up most rules", "logsource", "rules", "its events are")
		for _, m := range r.Sources[:min(listed, len(r.Sources))] {
			p.row(m.Logsource, strconv.Itoa(m.Rules), m.First())
		}
	}
	if len(r.Fields) > 0 {
		p.head("Fields and kinds of events that would light up most rules", "logsource", "field", "rules")
		for _, m := range r.Fields[:min(listed, len(r.Fields))] {
			p.row(m.Logsource, m.Field, strconv.Itoa(m.Rules))
		}
	}
	p.head("Seen", "logsource", "events", "fields")
	for _, s := range r.Seen {
		p.row(s.Logsource, strconv.FormatUint(s.Events, 10), strconv.Itoa(len(s.Fields)))
	}
	return p.err
}

func (r *Coverage) span() string {
	if r.From.IsZero() {
		return ""
	}
	return fmt.Sprintf(" from %s to %s", r.From.UTC().Format("2006-01-02 15:04"), r.To.UTC().Format("2006-01-02 15:04"))
}

// First is the best known way to get the logsource.
func (m Missing) First() string {
	if len(m.How) == 0 {
		return "whatever a collector says is " + m.Logsource
	}
	return m.How[0]
}

type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) head(title string, columns ...string) {
	p.line("\n## %s\n", title)
	p.table(columns)
}

func (p *page) table(columns []string) {
	p.row(columns...)
	p.line("|%s", strings.Repeat("---|", len(columns)))
}

var cell = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;")

func (p *page) row(cells ...string) {
	for i := range cells {
		cells[i] = cell.Replace(cells[i])
	}
	p.line("| %s |", strings.Join(cells, " | "))
}

// Domain is a matrix of ATT&CK.
type Domain string

// The matrices that tags of rules name.
const (
	Enterprise Domain = "enterprise-attack"
	ICS        Domain = "ics-attack"
)

// layer is a file of the ATT&CK Navigator, format 4.5.
type layer struct {
	Name        string      `json:"name"`
	Versions    versions    `json:"versions"`
	Domain      Domain      `json:"domain"`
	Description string      `json:"description"`
	Sorting     int         `json:"sorting"`
	Techniques  []technique `json:"techniques"`
	Gradient    gradient    `json:"gradient"`
	Legend      []legend    `json:"legendItems"`
}

type versions struct {
	Attack    string `json:"attack"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

type technique struct {
	ID      string `json:"techniqueID"`
	Score   int    `json:"score"`
	Comment string `json:"comment"`
	Enabled bool   `json:"enabled"`
}

type gradient struct {
	Colors []string `json:"colors"`
	Min    int      `json:"minValue"`
	Max    int      `json:"maxValue"`
}

type legend struct {
	Label string `json:"label"`
	Color string `json:"color"`
}

var techniqueTag = regexp.MustCompile(`^attack\.(t[0-9]{4}(?:\.[0-9]{3})?)$`)

// WriteNavigator writes a layer for the ATT&CK Navigator: each technique that a
// rule names, with the number of its rules that can fire as its score.
func (r *Coverage) WriteNavigator(w io.Writer, domain Domain) error {
	out := layer{
		Name: "Rules that can fire", Versions: versions{"17", "5.1.0", "4.5"}, Domain: domain, Sorting: 3,
		Description: fmt.Sprintf("%d of %d rules can fire%s", r.Totals.Of[CanFire], r.Totals.All, r.span()),
		Gradient:    gradient{[]string{"#f4c7c3", "#fff2cc", "#b7e1cd"}, 0, 10},
		Legend:      []legend{{"rules are there, none can fire", "#f4c7c3"}, {"ten rules or more can fire", "#b7e1cd"}},
		Techniques:  r.techniques(domain),
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (r *Coverage) techniques(domain Domain) []technique {
	able, all := make(map[string]int), make(map[string]int)
	for _, rule := range r.Rules {
		for _, tag := range rule.Tags {
			m := techniqueTag.FindStringSubmatch(strings.ToLower(tag))
			if m == nil || DomainOf(m[1]) != domain {
				continue
			}
			id := strings.ToUpper(m[1])
			all[id]++
			if rule.State == CanFire {
				able[id]++
			}
		}
	}
	out := []technique{}
	for id, n := range all {
		out = append(out, technique{id, able[id], fmt.Sprintf("%d of %d rules can fire", able[id], n), true})
	}
	slices.SortFunc(out, func(a, b technique) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// DomainOf says which matrix a technique is of: those for industrial control
// systems begin with T0.
func DomainOf(technique string) Domain {
	if strings.HasPrefix(strings.ToUpper(technique), "T0") {
		return ICS
	}
	return Enterprise
}
