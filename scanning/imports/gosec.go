package imports

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

type gosecReport struct {
	Errors map[string][]struct {
		Line  int    `json:"line"`
		Error string `json:"error"`
	} `json:"Golang errors"`
	Issues []json.RawMessage `json:"Issues"`
	Stats  struct {
		Files int64 `json:"files"`
		Lines int64 `json:"lines"`
	} `json:"Stats"`
	Version string `json:"GosecVersion"`
}

type gosecIssue struct {
	Severity   string `json:"severity"`
	Confidence string `json:"confidence"`
	CWE        struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	} `json:"cwe"`
	RuleID       string            `json:"rule_id"`
	Details      string            `json:"details"`
	File         string            `json:"file"`
	Code         string            `json:"code"`
	Line         string            `json:"line"` // "12" or "12-14"
	Column       string            `json:"column"`
	NoSec        bool              `json:"nosec"`
	Suppressions []json.RawMessage `json:"suppressions"`
	Autofix      string            `json:"autofix"`
}

func readGosec(in *importer, b []byte) error {
	var g gosecReport
	if err := json.Unmarshal(b, &g); err != nil {
		return err
	}
	in.report.Tool = scanning.Tool{Name: "gosec", Version: clip(g.Version)}
	in.report.Scope.Kind = scanning.ScopeFolder
	in.report.Scanned = map[string]int64{"files": g.Stats.Files, "lines": g.Stats.Lines}
	for _, file := range slices.Sorted(maps.Keys(g.Errors)) {
		for _, e := range g.Errors[file] {
			in.gap(file, fmt.Sprintf("gosec could not analyse it: %s (line %d)", e.Error, e.Line), scanning.ReasonUnreadable)
		}
	}
	each(in, "issue", g.Issues, in.gosecIssue)
	return nil
}

func (in *importer) gosecIssue(g *gosecIssue) {
	start, end := lines(g.Line)
	column, _ := strconv.Atoi(g.Column)
	f := scanning.Finding{
		Rule: g.RuleID, Class: scanning.ClassCode, Title: g.Details, Severity: severity(g.Severity, 0), Advice: g.Autofix, Links: []string{g.CWE.URL},
		Location: scanning.Location{File: g.File, Line: start, EndLine: end, Column: max(column, 0), Context: marked(g.Code, start)},
		Tags:     []string{"confidence:" + strings.ToLower(g.Confidence)},
	}
	if g.CWE.ID != "" {
		f.Tags = append(f.Tags, "CWE-"+g.CWE.ID)
	}
	if g.NoSec || len(g.Suppressions) > 0 {
		f.Tags = append(f.Tags, "suppressed:inSource")
	}
	in.add(f)
}

func lines(s string) (start, end int) {
	a, b, _ := strings.Cut(s, "-")
	start, _ = strconv.Atoi(a)
	end, _ = strconv.Atoi(b)
	return max(start, 0), max(end, 0)
}

var lineNumber = regexp.MustCompile(`(?m)^\d+: ?`)

// marked is the code without the numbers that gosec writes before its lines, and
// only the line itself if it is there: neighbours come and go.
func marked(code string, line int) string {
	for _, l := range strings.Split(code, "\n") {
		if rest, ok := strings.CutPrefix(l, strconv.Itoa(line)+":"); ok {
			return rest
		}
	}
	return lineNumber.ReplaceAllString(code, "")
}
