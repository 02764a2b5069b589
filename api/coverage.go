package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/coverage"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/sigma"
)

const (
	coverageDays = 7
	coverageMost = 90
	// coverageTime is how long one report may read the journal: well within the
	// time that the listener gives an answer.
	coverageTime = 20 * time.Second
)

// RuleCoverageInput says how far back.
type RuleCoverageInput struct {
	Days int `query:"days" doc:"How many days of events, 1 to 90; 0 means 7"`
}

// RuleCoverage says which of the rules in force can fire, by the logsources and
// fields of the last days' events. It tells names of fields and no values.
func (a *API) RuleCoverage(ctx context.Context, in *RuleCoverageInput) (*Out[*coverage.Coverage], error) {
	const op = "api.RuleCoverage"
	who, err := a.see(ctx, policy.RuleRead, "*")
	if err != nil {
		return nil, err
	}
	if in.Days < 0 || in.Days > coverageMost {
		return nil, core.E(core.KindInvalid, op, "days is a number from 1 to 90")
	}
	if in.Days == 0 {
		in.Days = coverageDays
	}
	set, err := a.ruleset()
	if err != nil {
		return nil, err
	}
	if !a.covering.TryLock() { // it reads much, so one at a time
		return nil, core.E(core.KindUnavailable, op, "somebody else's report is being made").WithHint("try again in a moment")
	}
	defer a.covering.Unlock()
	seen, err := coverage.Past(ctx, a.Frames, who.Tenant, a.Clock.Now(), in.Days, coverageTime)
	if err != nil {
		return nil, err
	}
	return out(coverage.New(set.Engine, seen, coverage.Options{Off: outOfForce(set), Placeholders: set.Tuning.Placeholders})), nil
}

// outOfForce lists the rules that the tuning disables.
func outOfForce(set *detect.Ruleset) []*sigma.Rule {
	return slices.DeleteFunc(slices.Clone(set.Rules), func(r *sigma.Rule) bool {
		return !slices.Contains(set.Tuning.Disabled, strings.ToLower(r.ID))
	})
}
