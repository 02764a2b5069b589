package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/risk"
)

// DeviceRisk says how soon somebody should look at a device, 0 to 100, and why.
// The factors, the greatest first, add up to the score until that is full.
type DeviceRisk struct {
	Device      core.DeviceID `json:"device"`
	Site        core.SiteID   `json:"site"`
	Score       float64       `json:"score"`
	Criticality string        `json:"criticality"`
	Weight      float64       `json:"weight"` // that the criticality gives it
	Factors     []RiskFactor  `json:"factors" nullable:"false"`
}

// RisksInput selects devices by risk.
type RisksInput struct {
	Limit int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	Site  string `query:"site" doc:"Only devices of this site"`
}

// Risks lists the devices that somebody should look at first.
func (a *API) Risks(ctx context.Context, in *RisksInput) (*Out[Page[DeviceRisk]], error) {
	who, err := a.see(ctx, policy.DeviceList, "*")
	if err != nil {
		return nil, err
	}
	limit, err := rows(in.Limit)
	if err != nil {
		return nil, err
	}
	if err := tooLong("site", in.Site, maxText); err != nil {
		return nil, err
	}
	list, err := a.risks(ctx, who.Tenant, core.DeviceID{})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(r DeviceRisk) bool { return in.Site != "" && r.Site.String() != in.Site })
	slices.SortStableFunc(list, func(x, y DeviceRisk) int { return cmp.Compare(y.Score, x.Score) })
	total := len(list)
	return out(Page[DeviceRisk]{Items: list[:min(total, limit)], Total: total}), nil
}

// risks scores every device, or one.
func (a *API) risks(ctx context.Context, tenant core.TenantID, only core.DeviceID) ([]DeviceRisk, error) {
	exposures, err := a.Registry.Exposures(ctx, tenant, only)
	if err != nil {
		return nil, err
	}
	open := map[core.DeviceID][]risk.Alert{}
	err = a.view(ctx, func(tx *store.Tx) error {
		clear(open)
		list, err := alert.List(ctx, tx, tenant, alert.Query{State: alert.StateOpen, Device: only, Limit: alert.MaxList})
		for _, one := range list {
			if !one.Simulated {
				open[one.Device] = append(open[one.Device], risk.Alert{Title: one.Title, Severity: one.Severity, Last: one.Last})
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	now := a.Clock.Now()
	list := make([]DeviceRisk, 0, len(exposures))
	for _, e := range exposures {
		list = append(list, a.riskOf(now, e, open[e.Device.ID]))
	}
	return list, nil
}

func (a *API) riskOf(now time.Time, e fleet.Exposure, open []risk.Alert) DeviceRisk {
	d := e.Device
	score := risk.Assess(now, string(e.Criticality), open, risk.Exposure{
		Link: d.State(), Arming: e.Arming, Faults: e.Faults, Bypassed: e.Bypassed, Latches: e.Latches, BadSeals: e.BadSeals, LateSeals: e.LateSeals,
		FirstUse: d.FirstUse, InDoubt: a.Registry.InDoubt(d) != "", NotWalked: !e.Walked, LostEvents: e.LostEvents,
	})
	r := DeviceRisk{Device: d.ID, Site: d.Site, Score: score.Score, Criticality: string(e.Criticality), Weight: score.Weight, Factors: []RiskFactor{}}
	for _, f := range score.Factors {
		r.Factors = append(r.Factors, RiskFactor{What: f.What, Points: f.Points})
	}
	return r
}

// Shaken is a time in which a whole site was shaken.
type Shaken struct {
	Alert core.UUID `json:"alert"`
	Site  string    `json:"site"`
	Count uint64    `json:"count"` // of what devices felt
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

const (
	ruleMoved  = "interlock-device-moved"
	ruleShaken = "interlock-site-shaken"
	// shakenSlack is how far around a shaking what a device felt belongs to it:
	// clocks differ, and devices say later than others that they were moved.
	shakenSlack = 2 * time.Minute
	// shakenAlerts is how many shakings are looked through, the latest first.
	shakenAlerts = 50
)

// shaken finds the shaking of a device's site that an alert about its motion
// falls into: an earthquake reads like handling at one device and at all of its
// neighbours at once. Nil for none.
func (a *API) shaken(ctx context.Context, tenant core.TenantID, found alert.Alert) (*Shaken, error) {
	if found.Name != ruleMoved || found.Device.IsZero() {
		return nil, nil //nolint:nilnil // none, which is no error
	}
	d, err := a.Registry.Get(ctx, tenant, found.Device)
	if core.KindOf(err) == core.KindNotFound {
		return nil, nil //nolint:nilnil // it stands nowhere now
	}
	if err != nil {
		return nil, err
	}
	var s *Shaken
	err = a.view(ctx, func(tx *store.Tx) error {
		s = nil
		list, err := alert.List(ctx, tx, tenant, alert.Query{Rule: ruleShaken, Limit: shakenAlerts})
		for _, one := range list {
			if s == nil && siteIn(one.Group) == d.Site.String() && !found.First.After(one.Last.Add(shakenSlack)) && !found.Last.Before(one.First.Add(-shakenSlack)) {
				s = &Shaken{Alert: one.ID, Site: d.Site.String(), Count: one.Count, First: one.First, Last: one.Last}
			}
		}
		return err
	})
	return s, err
}

func siteIn(group map[string]string) string {
	for name, value := range group {
		if name == "site" || strings.HasSuffix(name, ".site") {
			return value
		}
	}
	return ""
}
