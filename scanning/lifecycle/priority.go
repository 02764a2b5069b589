package lifecycle

import (
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/priority"
)

// rank orders what to fix first, the highest first, and says why in a sentence.
// The order is that of [priority.Compare]: the tree's decision, which what became
// known about the advisory is part of, what is exploited, what is reachable, how
// severe and how likely it is. What is no vulnerability of a package gets a
// decision of its own, so that there is one list.
func rank(f *Finding) (score int64, decision, why string) {
	what := f.What
	if what.Class == scanning.ClassVulnerability {
		what.Risk = priority.Assess(&what, priority.Facts{
			EPSS: f.Facts.EPSS, KEV: f.Facts.KEV, Seen: f.Facts.Exploited, PublicExploit: !f.Facts.PoC.IsZero(),
		})
	} else {
		var d priority.Decision
		d, why = judged(&what)
		what.Risk.SSVC = string(d)
	}
	why = priority.Why(&what) + why
	if f.Returns > 0 {
		why += "; it came back after it had been fixed"
	}
	return weigh(f, &what), what.Risk.SSVC, why
}

// judged is the decision about what the tree does not speak of.
func judged(f *scanning.Finding) (priority.Decision, string) {
	switch valid := slices.Contains(f.Tags, TagValid); {
	case f.Class == scanning.ClassSecret && valid:
		return priority.Act, "; it is valid"
	case f.Class == scanning.ClassSecret && f.Severity.Rank() >= core.SeverityMedium.Rank():
		return priority.Attend, "; whoever read it has it"
	case f.Severity == core.SeverityCritical:
		return priority.Attend, ""
	case f.Severity == core.SeverityHigh:
		return priority.TrackStar, ""
	}
	return priority.Track, ""
}

// weigh makes one number of what [priority.Compare] compares, so that the
// database can sort by it.
func weigh(f *Finding, what *scanning.Finding) int64 {
	bit := func(b bool) int64 { return int64(flag(b)) }
	score := int64(slices.Index(priority.Decisions, priority.Decision(what.Risk.SSVC)) + 1)
	for _, digit := range []struct{ most, value int64 }{
		{2, bit(f.exploited())},
		{2, bit(what.Reach != scanning.ReachNotImported)},
		{8, int64(what.Severity.Rank() + 1)},
		{128, int64(min(max(what.Risk.Score, 0), 10) * 10)},
		{1024, int64(min(max(what.Risk.EPSS, 0), 1) * 1000)},
		{2, bit(what.Risk.Ransomware)},
		{2, bit(what.Reach == scanning.ReachImported)},
		{2, bit(f.Returns > 0)},
		{2, bit(len(what.Fixed) > 0)},
		{2, bit(what.Package == nil || what.Package.Direct && !what.Package.Dev)},
	} {
		score = score*digit.most + digit.value
	}
	return score
}
