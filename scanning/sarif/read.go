package sarif

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

// Limits of a log. What is over them within a run becomes a gap.
const (
	maxRuns    = 1000
	maxResults = 200_000
	maxRules   = 50_000
	maxText    = 16 << 10
)

// Read reads a log of any tool: one report for each run. A log that isn't SARIF
// 2.1 or is over the limits is an error; what a run leaves open is a gap of its
// report.
func Read(r io.Reader) ([]scanning.Report, error) {
	b, err := untrusted.JSON(r, untrusted.Limits{})
	if err != nil {
		return nil, err
	}
	return Decode(b)
}

// Decode is [Read] of a document that [untrusted.JSON] has let through.
func Decode(b []byte) ([]scanning.Report, error) {
	const op = "sarif.Read"
	l, err := decodeLog(b)
	switch {
	case err != nil:
		return nil, err
	case !strings.HasPrefix(l.Version, "2.1"):
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("the log says version %.20q and not 2.1.0", l.Version)).
			WithHint("have the tool write SARIF 2.1.0")
	case len(l.Runs) == 0:
		return nil, core.E(core.KindInvalid, op, "the log has no runs, so nothing says that anything was scanned").
			WithHint("look at what the tool printed when it wrote the log")
	case len(l.Runs) > maxRuns:
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("the log has %d runs, more than %d", len(l.Runs), maxRuns))
	}
	reports := make([]scanning.Report, len(l.Runs))
	for i := range l.Runs {
		reports[i] = decodeRun(&l.Runs[i])
	}
	return reports, nil
}

// decodeLog reads one document and nothing behind it: a file that two processes
// wrote is worth no guess.
func decodeLog(b []byte) (sarifLog, error) {
	const op = "sarif.Read"
	var l sarifLog
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&l); err != nil {
		return l, core.E(core.KindInvalid, op, "the log is not the JSON of SARIF: "+untrusted.Explain(b, err)).
			WithHint("check that the tool finished writing, and that the file is SARIF 2.1.0")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return l, core.E(core.KindInvalid, op, "something follows the end of the log").WithHint("give one log a file")
	}
	return l, nil
}

// reader is what the results of one run are read with.
type reader struct {
	run    *run
	rules  ruleIndex
	report scanning.Report
	seen   map[string]int // how often a fingerprint occurred
}

func decodeRun(r *run) scanning.Report {
	rd := reader{run: r, rules: indexRules(&r.Tool), seen: map[string]int{}}
	d := r.Tool.Driver
	rd.report = scanning.Report{
		Tool:     scanning.Tool{Name: clip(cmp.Or(d.Name, d.FullName, "unnamed")), Version: clip(cmp.Or(d.SemanticVersion, d.Version))},
		Scope:    decodeScope(r),
		Findings: []scanning.Finding{},
	}
	if ours(r) {
		rd.report.Tool.Version = clip(d.Version)
		decodeOurTool(r, &rd.report)
	}
	rd.readInvocations()
	rd.readResults()
	if ours(r) {
		rd.readAside()
	}
	return rd.report
}

// ours reports whether the run was written by [Write]. It decides which words
// are read, never how far they are trusted.
func ours(r *run) bool { return r.Tool.Driver.InformationURI == InformationURI }

func decodeOurTool(r *run, rep *scanning.Report) {
	var t struct {
		Rules     string    `json:"rules"`
		Database  time.Time `json:"database"`
		Detectors []string  `json:"detectors"`
	}
	if decodeProperty(r.Tool.Driver.Properties, "interlock", &t) {
		rep.Tool.Rules, rep.Tool.Database, rep.Tool.Detectors = t.Rules, t.Database, t.Detectors
	}
	var p struct {
		Scanned map[string]int64 `json:"scanned"`
		Scope   scanning.Scope   `json:"scope"`
	}
	if decodeProperty(r.Properties, "interlock", &p) {
		rep.Scanned, rep.Scope = p.Scanned, p.Scope
	}
}

// decodeScope takes the repository where the run names one, else the category.
func decodeScope(r *run) scanning.Scope {
	for _, v := range r.VersionControlProvenance {
		if v.RepositoryURI != "" {
			return scanning.Scope{Kind: scanning.ScopeGit, Name: clip(withoutCredentials(v.RepositoryURI)), Revision: clip(v.RevisionID)}
		}
	}
	s := scanning.Scope{Kind: scanning.ScopeFolder}
	if r.AutomationDetails != nil {
		s.Name = clip(r.AutomationDetails.ID)
	}
	return s
}

func (rd *reader) gap(what, why string, reason scanning.Reason) {
	rd.report.Gaps = append(rd.report.Gaps, scanning.Gap{What: clip(what), Why: clip(why), Reason: reason})
}

// readInvocations turns what the tool says went wrong into gaps. Warnings are
// not: tools warn of what they handled.
func (rd *reader) readInvocations() {
	for i := range rd.run.Invocations {
		v := &rd.run.Invocations[i]
		before := len(rd.report.Gaps)
		for _, n := range v.ToolExecutionNotifications {
			rd.readNotification(n)
		}
		for _, n := range v.ToolConfigurationNotifications {
			rd.readNotification(n)
		}
		if !v.ExecutionSuccessful && len(rd.report.Gaps) == before {
			why := "the tool says that its execution failed"
			if v.ExitCodeDescription != "" {
				why += ": " + v.ExitCodeDescription
			}
			rd.gap(rd.report.Tool.Name, why, scanning.ReasonUnreadable)
		}
		rd.readTimes(v)
	}
}

func (rd *reader) readTimes(v *invocation) {
	if t, err := time.Parse(time.RFC3339, v.StartTimeUTC); err == nil && (rd.report.Started.IsZero() || t.Before(rd.report.Started)) {
		rd.report.Started = t.UTC()
	}
	if t, err := time.Parse(time.RFC3339, v.EndTimeUTC); err == nil && t.After(rd.report.Finished) {
		rd.report.Finished = t.UTC()
	}
}

func (rd *reader) readNotification(n notification) {
	if n.Level != "error" {
		return
	}
	var g struct{ What, Why string }
	if ours(rd.run) && decodeProperty(n.Properties, "interlock", &g) && n.Descriptor != nil {
		rd.gap(g.What, g.Why, scanning.Reason(clip(n.Descriptor.ID)))
		return
	}
	what := rd.report.Tool.Name
	for _, l := range n.Locations {
		if at := rd.place(l, nil); at.File != "" {
			what = at.File
		}
	}
	rd.gap(what, cmp.Or(plain(n.Message.Text), n.Message.ID, "the tool reports an error without a message"), scanning.ReasonUnreadable)
}

func (rd *reader) readResults() {
	r := rd.run
	if r.ExternalPropertyFileReferences != nil && len(r.ExternalPropertyFileReferences.Results) > 0 {
		rd.gap(rd.report.Tool.Name, "the results are kept in another file, which is not followed; have the tool write one file", scanning.ReasonUnsupported)
	}
	if r.Results == nil && len(rd.report.Gaps) == 0 {
		rd.gap(rd.report.Tool.Name, "the run has no list of results: the tool didn't scan or failed before it could", scanning.ReasonUnreadable)
	}
	if len(r.Tool.Driver.Rules) > maxRules {
		rd.gap(rd.report.Tool.Name, fmt.Sprintf("the tool lists %d rules; those after %d are read without their descriptions", len(r.Tool.Driver.Rules), maxRules), scanning.ReasonTooMany)
	}
	for i, raw := range r.Results {
		if i == maxResults {
			rd.gap(rd.report.Tool.Name, fmt.Sprintf("the run has %d results; those after %d were not read", len(r.Results), maxResults), scanning.ReasonTooMany)
			return
		}
		if f, ok := rd.readRaw(i, raw); ok {
			rd.report.Findings = append(rd.report.Findings, f)
		}
	}
}

func (rd *reader) readRaw(i int, raw json.RawMessage) (scanning.Finding, bool) {
	var res result
	if err := json.Unmarshal(raw, &res); err != nil {
		rd.gap(fmt.Sprintf("result %d", i), "malformed: "+err.Error(), scanning.ReasonMalformed)
		return scanning.Finding{}, false
	}
	return rd.readResult(i, &res)
}

// decodeProperty reads one member of a property bag; a member of another form
// is another tool's and means nothing to us.
func decodeProperty(b bag, key string, v any) bool {
	raw, ok := b[key]
	return ok && json.Unmarshal(raw, v) == nil
}

func clip(s string) string { return untrusted.Clip(s, maxText) }
