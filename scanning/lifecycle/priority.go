package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// points of a severity.
var points = map[core.Severity]int64{
	core.SeverityInfo: 10, core.SeverityLow: 100, core.SeverityMedium: 300, core.SeverityHigh: 600, core.SeverityCritical: 800,
}

// rank orders what to fix first: what is exploited or opens a door now, before
// what might be; what is reachable before what is not; then by severity. It says
// why in a sentence.
func rank(f *Finding) (int64, string) {
	score := points[f.What.Severity]
	why := []string{string(f.What.Severity)}
	add := func(n int64, text string) {
		score += n
		why = append(why, text)
	}
	if f.exploited() {
		add(1000, "known to be exploited")
	}
	if f.What.Risk.Ransomware {
		add(100, "used by ransomware")
	}
	if !f.Facts.PoC.IsZero() {
		add(150, "an exploit is public")
	}
	if p := max(f.Facts.EPSS, f.What.Risk.EPSS); p >= 0.01 {
		add(int64(p*300), fmt.Sprintf("exploited within 30 days with a probability of %.0f %%", p*100))
	}
	switch {
	case f.What.Class != scanning.ClassSecret:
	case slices.Contains(f.What.Tags, TagValid):
		add(900, "the secret is valid")
	default:
		add(200, "whoever read it has it")
	}
	if f.Returns > 0 {
		add(100, "it came back after it had been fixed")
	}
	if len(f.What.Fixed) > 0 {
		add(20, "fixed in "+f.What.Fixed[0])
	}
	if f.What.Reach == scanning.ReachNotImported {
		score /= 4
		why = append(why, "the vulnerable part is not imported")
	}
	if f.What.Package != nil && f.What.Package.Dev {
		score -= score / 4
		why = append(why, "for building and testing only")
	}
	return score, strings.Join(why, "; ")
}
