package main

import (
	"bytes"
	"encoding/csv"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

// writeHuntCSV writes the timeline for a spreadsheet.
func writeHuntCSV(path string, res *hunt.Result) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"time", "level", "title", "rule", "author", "link", "host", "file", "event", "events", "fields"})
	for i := range res.Matches {
		l := huntLineOf(&res.Matches[i])
		event := ""
		if l.Event != nil {
			event = strconv.Itoa(*l.Event)
		}
		row := []string{l.Time, string(l.Level), l.Title, l.Rule, l.Author, l.Link, l.Host, l.File, event, refs(l.Events), pairs(res.Matches[i].Fields)}
		for j, cell := range row {
			row[j] = inert(cell)
		}
		_ = w.Write(row)
	}
	w.Flush()
	return core.Wrap(core.KindUnavailable, "hunt --csv", atomicfile.WriteFile(path, b.Bytes(), 0o600))
}

func refs(events []hunt.EventRef) string {
	parts := make([]string, len(events))
	for i, ev := range events {
		parts[i] = ev.File + ":" + strconv.Itoa(ev.Event)
	}
	return strings.Join(parts, " ")
}

func pairs(fields []sigma.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Name + "=" + f.Value
	}
	return strings.Join(parts, "\n")
}

// inert keeps a spreadsheet from running what an event says as a formula.
func inert(cell string) string {
	s := make([]byte, 0, len(cell)+1)
	if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
		s = append(s, '\'')
	}
	lines := strings.Split(cell, "\n")
	for i, line := range lines {
		if i > 0 {
			s = append(s, '\n')
		}
		s = append(s, printable(strings.TrimSuffix(line, "\r"))...)
	}
	return string(s)
}

// huntPage is what the report shows.
type huntPage struct {
	Made                   string
	Events, Files, Size    string
	Matches, Fired, Loaded string
	Levels                 []huntLevel
	Rules                  []huntRule
	Rows                   []huntRow
	Notes                  []string
	Faults                 []hunt.Fault
}

type huntLevel struct {
	Name  sigma.Level
	Count int
}

type huntRule struct {
	Count int
	Level sigma.Level
	Title string
	ID    string
	By    string
	Link  string
}

type huntRow struct {
	huntLine
	Where  string
	Stamp  string
	Values []sigma.Field
}

// writeHuntHTML writes the report.
func writeHuntHTML(path string, res *hunt.Result, rules int) error {
	p := huntPage{
		Made: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Events: count(res.Events, "event"), Files: count(res.Files, "file"), Size: size(res.Bytes),
		Matches: count(len(res.Matches), "match"), Loaded: count(rules, "rule"), Notes: huntNotes(res), Faults: shownFaultsOf(res.Faults),
	}
	n := make(map[sigma.Level]int)
	for i := range res.Matches {
		m := &res.Matches[i]
		n[m.Rule.Level]++
		row := huntRow{huntLine: huntLineOf(m), Where: whereOf(m), Stamp: "-", Values: shown(m.Fields)}
		if !m.Time.IsZero() {
			row.Stamp = m.Time.UTC().Format("2006-01-02 15:04:05.000")
		}
		row.Title, row.Host, row.Author = onOneLine(row.Title), onOneLine(row.Host), onOneLine(row.Author)
		row.Events = slices.Clone(row.Events)
		for j := range row.Events {
			row.Events[j].File = onOneLine(row.Events[j].File)
		}
		p.Rows = append(p.Rows, row)
	}
	for _, l := range levelsFromTop {
		p.Levels = append(p.Levels, huntLevel{l, n[l]})
	}
	fired := firedRules(res)
	p.Fired = count(len(fired), "rule")
	for _, f := range fired {
		p.Rules = append(p.Rules, huntRule{f.n, f.rule.Level, onOneLine(f.rule.Title), f.rule.ID, onOneLine(f.rule.Author), webLink(f.rule)})
	}
	var b bytes.Buffer
	if err := huntTemplate.Execute(&b, p); err != nil {
		return core.Wrap(core.KindInternal, "hunt --html", err)
	}
	return core.Wrap(core.KindUnavailable, "hunt --html", atomicfile.WriteFile(path, b.Bytes(), 0o600))
}

// shown makes control characters visible; the template escapes the rest.
func shown(fields []sigma.Field) []sigma.Field {
	out := make([]sigma.Field, len(fields))
	for i, f := range fields {
		out[i] = sigma.Field{Name: onOneLine(f.Name), Value: printable(strings.ReplaceAll(f.Value, "\r\n", "\n"))}
	}
	return out
}

func shownFaultsOf(faults []hunt.Fault) []hunt.Fault {
	out := slices.Clone(faults)
	for i := range out {
		out[i].File, out[i].Why = onOneLine(out[i].File), onOneLine(out[i].Why)
	}
	return out
}

// webLink is a link that a browser may follow.
func webLink(r *sigma.Rule) string {
	if link := ruleLink(r); strings.HasPrefix(link, "https://") {
		return link
	}
	return ""
}

var huntTemplate = template.Must(template.New("hunt").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Hunt of {{.Made}}</title>
<style>
:root{color-scheme:light dark;--bg:#fff;--fg:#1a1d21;--dim:#5c6670;--line:#d8dde2;--crit:#a4001d;--high:#c2410c;--medium:#8a6100;--low:#2f6f3e;--informational:#5c6670}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e7ea;--dim:#9aa4ad;--line:#30363c;--crit:#ff6b7f;--high:#ff9257;--medium:#e5b93c;--low:#7bc98c;--informational:#9aa4ad}}
body{margin:2rem auto;max-width:90rem;padding:0 1rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:500}.n{text-align:right}.dim{color:var(--dim)}
td.t,code,dd{font-family:ui-monospace,monospace;font-size:.85rem}td.t{white-space:nowrap}
.critical{color:var(--crit);font-weight:700}.high{color:var(--high);font-weight:600}.medium{color:var(--medium)}.low{color:var(--low)}.informational{color:var(--informational)}
dl{margin:.4rem 0;display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem}dt{color:var(--dim)}dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.levels span{margin-right:1.5rem}a{color:inherit}
</style></head><body>
<h1>Hunt of {{.Made}}</h1>
<p>{{.Events}} in {{.Files}} ({{.Size}}), {{.Loaded}} asked: <strong>{{.Matches}}</strong> of {{.Fired}}.</p>
<p class="levels">{{range .Levels}}<span class="{{.Name}}">{{.Name}} {{.Count}}</span>{{end}}</p>
{{with .Notes}}<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>{{end}}
<h2>Rules that fired</h2>
<table><thead><tr><th class="n">Count</th><th>Level</th><th>Rule</th><th>Author</th></tr></thead><tbody>
{{range .Rules}}<tr><td class="n">{{.Count}}</td><td class="{{.Level}}">{{.Level}}</td><td>{{if .Link}}<a href="{{.Link}}" rel="noreferrer">{{.Title}}</a>{{else}}{{.Title}}{{end}} <code class="dim">{{.ID}}</code></td><td>{{.By}}</td></tr>
{{end}}</tbody></table>
<h2>Timeline (UTC)</h2>
<table><thead><tr><th>Time</th><th>Level</th><th>What</th><th>Host</th><th>Event</th></tr></thead><tbody>
{{range .Rows}}<tr><td class="t">{{.Stamp}}</td><td class="{{.Level}}">{{.Level}}</td><td><details><summary>{{.Title}}</summary><dl>{{range .Values}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}{{range .Events}}<dt>event</dt><dd>{{.File}}:{{.Event}}</dd>{{end}}<dt>rule</dt><dd>{{.Rule}} by {{.Author}}</dd></dl></details></td><td>{{.Host}}</td><td class="t">{{.Where}}</td></tr>
{{end}}</tbody></table>
{{with .Faults}}<h2>What could not be read</h2>
<table><thead><tr><th>File</th><th class="n">Line</th><th>Why</th></tr></thead><tbody>
{{range .}}<tr><td class="t">{{.File}}</td><td class="n">{{if .Line}}{{.Line}}{{end}}</td><td>{{.Why}}</td></tr>
{{end}}</tbody></table>{{end}}
<p class="dim">Rules that come from SigmaHQ are under the Detection Rule License 1.1; their authors are named beside them.</p>
</body></html>
`))
