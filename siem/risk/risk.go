// Package risk says which devices somebody should look at first: one number for
// each, and what it is made of. It is pure: the same input gives the same score.
//
// A score is what is open about a device and how exposed it is, times how much
// depends on it. Alerts count by severity and half as much after each half-life
// since they last rose; what lasts (a sensor in fault, a seal that is overdue, a
// walk test that nobody signed) counts as long as it lasts. The factors add up to
// the score until that is full. It decides nothing.
package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Most is the highest score.
const Most = 100

// HalfLife is after how long an alert that did not rise again counts half.
const HalfLife = 24 * time.Hour

// alertPoints are what an alert counts while it is fresh.
var alertPoints = map[core.Severity]float64{
	core.SeverityCritical: 40, core.SeverityHigh: 25, core.SeverityMedium: 10, core.SeverityLow: 3,
}

// weights are how much depends on a device; a word that is not here counts as
// medium.
var weights = map[string]float64{"low": 0.5, "medium": 1, "high": 1.5, "critical": 2}

// Alert is an open alert about the device. Simulated ones are not handed in.
type Alert struct {
	Title    string
	Severity core.Severity
	Last     time.Time
}

// Exposure is what makes a device easier to get at, or its word less worth.
type Exposure struct {
	Link       core.DeviceState // online, stale, offline, quarantined
	Arming     core.Arming      // "" where it has not said
	Faults     int              // sensors in fault, stale or unknown
	Bypassed   int
	Latches    int
	BadSeals   int
	LateSeals  int
	FirstUse   bool // nobody compared its key
	InDoubt    bool // its row says other than the audit log
	NotWalked  bool // nobody signed a walk test off
	LostEvents bool
}

// Factor is a part of a score.
type Factor struct {
	What   string
	Points float64 // rounded to tenths
}

// Assessment is a score and what it is made of, the greatest first.
type Assessment struct {
	Score   float64 // 0 to Most, rounded to tenths
	Weight  float64 // that its criticality gave it
	Factors []Factor
}

// maxFactors is how many alerts are told one by one.
const maxFactors = 12

// Assess scores a device.
func Assess(now time.Time, criticality string, alerts []Alert, e Exposure) Assessment {
	weight, known := weights[criticality]
	if !known {
		weight = weights["medium"]
	}
	a := Assessment{Weight: weight, Factors: append(ofAlerts(now, alerts), e.factors()...)}
	for i := range a.Factors {
		a.Factors[i].Points = tenths(a.Factors[i].Points * weight)
		a.Score += a.Factors[i].Points
	}
	a.Factors = slices.DeleteFunc(a.Factors, func(f Factor) bool { return f.Points < 0.1 })
	slices.SortStableFunc(a.Factors, func(x, y Factor) int { return cmp.Compare(y.Points, x.Points) })
	a.Score = min(tenths(a.Score), Most)
	return a
}

func tenths(v float64) float64 { return math.Round(v*10) / 10 }

// ofAlerts is what alerts count for now. Those beyond the first few are one
// factor, so that a flood is readable; it counts all the same.
func ofAlerts(now time.Time, alerts []Alert) []Factor {
	factors := make([]Factor, 0, len(alerts))
	for _, a := range alerts {
		age := max(0, now.Sub(a.Last))
		points := alertPoints[a.Severity] * math.Exp2(-age.Hours()/HalfLife.Hours())
		factors = append(factors, Factor{fmt.Sprintf("alert (%s): %s", a.Severity, a.Title), points})
	}
	slices.SortStableFunc(factors, func(x, y Factor) int { return cmp.Compare(y.Points, x.Points) })
	if len(factors) <= maxFactors {
		return factors
	}
	rest := Factor{What: fmt.Sprintf("%d more alerts", len(factors)-maxFactors)}
	for _, f := range factors[maxFactors:] {
		rest.Points += f.Points
	}
	return append(factors[:maxFactors], rest)
}

var (
	linkPoints   = map[core.DeviceState]float64{core.DeviceStale: 10, core.DeviceOffline: 15, core.DeviceQuarantined: 10}
	armingPoints = map[core.Arming]float64{core.Disarmed: 10, core.Transport: 10, core.Maintenance: 10, "": 5}
)

func (e Exposure) factors() []Factor {
	counted := func(n int, each, most float64, one, many string) Factor {
		what := fmt.Sprintf("%d %s", n, many)
		if n == 1 {
			what = "1 " + one
		}
		return Factor{what, min(float64(n)*each, most)}
	}
	armed := "it has not said how it is armed"
	if e.Arming != "" {
		armed = "it is in " + string(e.Arming)
		if e.Arming == core.Disarmed {
			armed = "it is disarmed"
		}
	}
	list := []Factor{
		{"it is " + string(e.Link), linkPoints[e.Link]},
		{armed, armingPoints[e.Arming]},
		counted(e.Faults, 8, 24, "sensor that can't be relied on", "sensors that can't be relied on"),
		counted(e.Bypassed, 5, 15, "sensor bypassed", "sensors bypassed"),
		counted(e.Latches, 5, 15, "open latch", "open latches"),
		counted(e.BadSeals, 15, 30, "seal that is not whole", "seals that are not whole"),
		counted(e.LateSeals, 4, 12, "overdue seal", "overdue seals"),
	}
	for _, f := range []struct {
		holds  bool
		what   string
		points float64
	}{
		{e.FirstUse, "nobody compared its key when it enrolled", 5},
		{e.InDoubt, "its row says other than the audit log", 25},
		{e.NotWalked, "nobody signed a walk test off", 4},
		{e.LostEvents, "events of it were lost", 8},
	} {
		if f.holds {
			list = append(list, Factor{f.what, f.points})
		}
	}
	return list
}
