// Package junit writes reports as JUnit XML, which every build server shows. It
// stands beside package sarif: one test suite a report, one failed test case a
// finding, one case in error a gap. A clean report is one passed case, so that
// "nothing found" and "nothing ran" look different; an incomplete one never
// passes.
//
// The form is the one that Jenkins, GitLab and GitHub's actions agree on.
package junit

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/vex"
)

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name      string `xml:"name,attr"`
	Tests     int    `xml:"tests,attr"`
	Failures  int    `xml:"failures,attr"`
	Errors    int    `xml:"errors,attr"`
	Skipped   int    `xml:"skipped,attr"`
	Time      string `xml:"time,attr,omitempty"`
	Timestamp string `xml:"timestamp,attr,omitempty"`
	Cases     []test `xml:"testcase"`
}

type test struct {
	Name      string   `xml:"name,attr"`
	Classname string   `xml:"classname,attr"`
	File      string   `xml:"file,attr,omitempty"`
	Line      int      `xml:"line,attr,omitempty"`
	Failure   *problem `xml:"failure,omitempty"`
	Error     *problem `xml:"error,omitempty"`
	Skipped   *skipped `xml:"skipped,omitempty"`
}

// skipped is a test that asks for nothing, and why.
type skipped struct {
	Message string `xml:"message,attr"`
}

type problem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// Write writes a suite for each report, in their order. Names from scanned files
// may hold anything: what XML forbids is replaced.
func Write(w io.Writer, reports []scanning.Report) error {
	all := suites{Name: "interlock scan"}
	for i := range reports {
		s := encode(&reports[i])
		all.Suites = append(all.Suites, s)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return core.Wrap(core.KindUnavailable, "junit.Write", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return core.Wrap(core.KindUnavailable, "junit.Write", err)
	}
	_, err := io.WriteString(w, "\n")
	return core.Wrap(core.KindUnavailable, "junit.Write", err)
}

func encode(r *scanning.Report) suite {
	s := suite{Name: safe(strings.TrimSpace(r.Tool.Name + " " + r.Scope.Name)), Errors: len(r.Gaps)}
	if !r.Started.IsZero() {
		s.Timestamp = r.Started.UTC().Format("2006-01-02T15:04:05")
	}
	if d := r.Finished.Sub(r.Started); !r.Started.IsZero() && d >= 0 && d < 1000*time.Hour {
		s.Time = fmt.Sprintf("%.3f", d.Seconds())
	}
	for i := range r.Findings {
		c := failure(&r.Findings[i])
		if why := silent(&r.Findings[i]); why != "" {
			c.Failure, c.Skipped = nil, &skipped{safe(why)}
			s.Skipped++
		} else {
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	for _, g := range r.Gaps {
		why := safe(g.Why)
		s.Cases = append(s.Cases, test{Name: safe("not scanned: " + g.What), Classname: "gap", Error: &problem{Message: why, Type: safe(string(g.Reason)), Text: safe(g.What + ": " + g.Why)}})
	}
	if len(s.Cases) == 0 {
		s.Cases = []test{{Name: "nothing found", Classname: safe(cmp.Or(r.Tool.Name, "scan"))}}
	}
	s.Tests = len(s.Cases)
	return s
}

// silent says why nothing is to be done about a finding, as the exit code of a
// scan has it: what failed here would stop a build that the scan let through.
func silent(f *scanning.Finding) string {
	switch {
	case f.Reach == scanning.ReachNotImported:
		return "not imported here"
	case vex.Silenced(f):
		return f.VEX.Status + " by " + f.VEX.Source + ": " + cmp.Or(f.VEX.Statement, f.VEX.Justification)
	}
	return ""
}

// failure names the case by what the finding is and where, never by its line:
// build servers follow a case by its name.
func failure(f *scanning.Finding) test {
	where := cmp.Or(f.Location.File, f.Location.URL, "-")
	if len(f.Location.Inner) > 0 {
		where += "!" + strings.Join(f.Location.Inner, "!")
	}
	name := f.Rule + " in " + where
	if f.Package != nil {
		name = f.Rule + " in " + f.Package.Name + " (" + where + ")"
	}
	if len(f.Fingerprint) >= 8 {
		name += " [" + f.Fingerprint[:8] + "]"
	}
	return test{
		Name: safe(name), Classname: safe(cmp.Or(string(f.Class), "finding")), File: safe(f.Location.File), Line: max(f.Location.Line, 0),
		Failure: &problem{Message: safe(f.Title), Type: safe(string(f.Severity)), Text: safe(text(f))},
	}
}

func text(f *scanning.Finding) string {
	lines := []string{f.Title, f.Redacted, f.Detail, f.Advice, strings.Join(f.Links, "\n")}
	if f.Package != nil {
		lines = append(lines, f.Package.Name+" "+f.Package.Version)
	}
	if f.Location.Line > 0 {
		lines = append(lines, fmt.Sprintf("%s:%d", f.Location.File, f.Location.Line))
	}
	lines = append(lines, "fingerprint "+f.Fingerprint)
	var b strings.Builder
	for _, l := range lines {
		if l != "" {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}

// safe drops what XML 1.0 cannot hold at all, escaped or not.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r < 0xFFFE, r >= 0x10000 && r <= 0x10FFFF:
			return r
		}
		return '\uFFFD'
	}, s)
}
