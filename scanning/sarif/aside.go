package sarif

import (
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/scanning"
)

// aside is a result that stands in the run's property bag and not among the
// results: whoever shows a log makes an open alert of every result, whatever
// suppressions it has, and a scan that let something through would be louder
// about it than about nothing. Readers of ours lose nothing by it.
type aside struct {
	Result json.RawMessage `json:"result"`
	// Withheld is what the scanner was told not to tell, By whom; else it is a
	// finding of the report that asks for nothing.
	Withheld bool   `json:"withheld,omitempty"`
	By       string `json:"by,omitempty"`
	InSource bool   `json:"in_source,omitempty"`
	Guessed  bool   `json:"guessed,omitempty"`
}

// sortOut divides what a report found into what asks for something and what
// doesn't.
func sortOut(rep *scanning.Report, o Options) (open []scanning.Finding, rest []aside, err error) {
	add := func(f *scanning.Finding, a aside, why []suppression) {
		res := encodeResult(f)
		res.Suppressions = why
		b, failed := marshal(res)
		if failed != nil {
			err = failed
		}
		a.Result = b
		rest = append(rest, a)
	}
	for i := range rep.Findings {
		f := &rep.Findings[i]
		if why := encodeSuppressions(f, o); holds(why) {
			add(f, aside{}, why)
			continue
		}
		open = append(open, *f)
	}
	for i := range rep.Suppressed {
		s := &rep.Suppressed[i]
		why := append(encodeSuppressions(&s.Finding, o), withheld(s).encode())
		add(&s.Finding, aside{Withheld: true, By: clean(s.By), InSource: s.InSource, Guessed: s.Guessed}, why)
	}
	return open, rest, err
}

// withheld says who kept it out of the report. What the scanner guessed is not said to
// be accepted: that is a person's word.
func withheld(s *scanning.Suppressed) Suppression {
	if s.Guessed {
		return Suppression{UnderReview: true, Justification: "guessed by the scanner, accepted by nobody: " + s.By}
	}
	return Suppression{InSource: s.InSource, Justification: "allowed: " + s.By}
}

// readAside gives each to the list of the report that it was in. Nothing of it
// is counted twice: a list that can't be read is a gap.
func (rd *reader) readAside() {
	var p struct {
		Aside json.RawMessage `json:"aside"`
	}
	if !decodeProperty(rd.run.Properties, "interlock", &p) || len(p.Aside) == 0 {
		return
	}
	var list []aside
	if err := json.Unmarshal(p.Aside, &list); err != nil {
		rd.gap(rd.report.Tool.Name, "the list of what is suppressed is malformed: "+err.Error(), scanning.ReasonMalformed)
		return
	}
	before := len(rd.run.Results)
	for i, a := range list {
		if before+i >= maxResults {
			rd.gap(rd.report.Tool.Name, fmt.Sprintf("the run has %d results; those after %d were not read", before+len(list), maxResults), scanning.ReasonTooMany)
			return
		}
		f, ok := rd.readRaw(before+i, a.Result)
		switch {
		case !ok:
		case a.Withheld:
			rd.report.Suppressed = append(rd.report.Suppressed, scanning.Suppressed{Finding: f, By: clip(a.By), InSource: a.InSource, Guessed: a.Guessed})
		default:
			rd.report.Findings = append(rd.report.Findings, f)
		}
	}
}
