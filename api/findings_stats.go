package api

import (
	"context"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func (a *API) findingFigures() {
	Register(a, policy.FindingRead, get("finding-stats", "/v1/findings/stats", "The figures of findings: open, overdue, fixed, day by day"), a.FindingStats)
	Register(a, policy.FindingRead, get("finding-board", "/v1/findings/board", "Open findings by state and severity, those whose time is over, and what to fix first"), a.FindingBoard)
	Register(a, policy.FindingRead, get("scan-freshness", "/v1/findings/freshness", "When each scope was last scanned by which detector, and how old the lists are"), a.Freshness)
	Register(a, policy.FindingRead, get("advisory-facts", "/v1/advisories/{id}/facts", "What became known about an advisory"), a.AdvisoryFacts)
	Register(a, policy.FindingFact, post("add-advisory-fact", "/v1/advisories/{id}/facts", "Note what became known about an advisory"), a.AddAdvisoryFact)
	Register(a, policy.FindingRead, get("finding-owners", "/v1/findings/owners", "Who looks after which findings"), a.FindingOwners)
	Register(a, policy.FindingOwners, post("set-finding-owners", "/v1/findings/owners", "Say who looks after which findings"), a.SetFindingOwners)
}

// FindingStatsInput says over how many days.
type FindingStatsInput struct {
	Days int `query:"days" doc:"Over how many days, up to 366; 0 means 30"`
}

// FindingStats are the figures of findings.
func (a *API) FindingStats(ctx context.Context, in *FindingStatsInput) (*Out[lifecycle.Stats], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, "*")
	if err != nil {
		return nil, err
	}
	days := in.Days
	if days == 0 {
		days = 30
	}
	if days < 1 || days > 366 {
		return nil, core.E(core.KindInvalid, "api.FindingStats", "days is a number from 1 to 366")
	}
	var st lifecycle.Stats
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		st, err = s.Stats(ctx, tx, who.Tenant, a.Clock.Now(), days)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(st), nil
}

// FindingBoard is what a board shows of findings.
type FindingBoard struct {
	lifecycle.Board
	First []BoardFinding `json:"first" nullable:"false"` // what to fix first, at most three
}

// BoardFinding is a finding in a line.
type BoardFinding struct {
	ID       core.UUID       `json:"id"`
	Title    string          `json:"title"`
	Subject  string          `json:"subject"`
	Severity core.Severity   `json:"severity"`
	State    lifecycle.State `json:"state"`
	Owner    string          `json:"owner,omitempty"`
	Due      time.Time       `json:"due,omitzero"`
	Overdue  bool            `json:"overdue,omitempty"`
	Decision string          `json:"decision"` // Track, Track*, Attend or Act
	Why      string          `json:"why"`
}

// boardFirst is how many findings a board names.
const boardFirst = 3

// FindingBoard counts open findings and names the first to fix.
func (a *API) FindingBoard(ctx context.Context, _ *None) (*Out[FindingBoard], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, "*")
	if err != nil {
		return nil, err
	}
	now := a.Clock.Now()
	b := FindingBoard{First: []BoardFinding{}}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		b.Board, err = s.Board(ctx, tx, who.Tenant, now, boardFirst)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range b.Board.First {
		b.First = append(b.First, BoardFinding{
			ID: f.ID, Title: f.What.Title, Subject: f.Subject, Severity: f.What.Severity, State: f.State, Owner: f.Owner, Due: f.Clock.Due,
			Overdue: !f.Clock.Due.IsZero() && !f.Clock.Due.After(now), Decision: f.Decision, Why: f.Why,
		})
	}
	return out(b), nil
}

// Freshness is how old what is known is: a finding that nobody looked for is not
// one that is not there.
type Freshness struct {
	// Scans are the newest report of each detector and scope, the oldest first.
	Scans []lifecycle.ReportRow `json:"scans" nullable:"false"`
	// Inventories counts the subjects whose packages are known; Oldest is when
	// the oldest of them was taken.
	Inventories int       `json:"inventories"`
	Oldest      time.Time `json:"oldest_inventory,omitzero"`
	// Lists are advisories, KEV and EPSS, by name: of when they are.
	Lists map[string]time.Time `json:"lists"`
}

// maxScans is how many scans are told of.
const maxScans = 1000

// Freshness tells how old what is known is.
func (a *API) Freshness(ctx context.Context, _ *None) (*Out[Freshness], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, "*")
	if err != nil {
		return nil, err
	}
	f := Freshness{Lists: map[string]time.Time{}}
	if a.Advisories != nil {
		f.Lists = a.Advisories.Lists()
	}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		if f.Scans, err = s.Reports(ctx, tx, who.Tenant, maxScans); err != nil {
			return err
		}
		f.Inventories, f.Oldest, err = s.Inventories(ctx, tx, who.Tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(f), nil
}

// AdvisoryInput names an advisory.
type AdvisoryInput struct {
	ID string `path:"id" doc:"Any name of the advisory, such as CVE-2021-44228"`
}

// AdvisoryFacts are what became known about an advisory, in that order.
type AdvisoryFacts struct {
	Advisory string           `json:"advisory"`
	Facts    []lifecycle.Fact `json:"facts" nullable:"false"`
}

// AdvisoryFacts shows what became known about an advisory.
func (a *API) AdvisoryFacts(ctx context.Context, in *AdvisoryInput) (*Out[AdvisoryFacts], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, in.ID)
	if err != nil {
		return nil, err
	}
	if err := lifecycle.CheckAdvisory(in.ID); err != nil {
		return nil, err
	}
	f := AdvisoryFacts{Advisory: in.ID}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		f.Facts, err = s.Facts(ctx, tx, who.Tenant, in.ID)
		return err
	})
	if err == nil && len(f.Facts) == 0 {
		err = core.E(core.KindNotFound, "api.AdvisoryFacts", "nothing became known about this advisory")
	}
	if err != nil {
		return nil, err
	}
	return out(f), nil
}

// AddAdvisoryFact is something that became known.
type AddAdvisoryFact struct {
	Kind   lifecycle.FactKind `json:"kind"` // published, poc, kev, epss or exploited
	At     time.Time          `json:"at"`
	Source string             `json:"source"` // who says so
	Value  float64            `json:"value,omitempty"`
	Due    time.Time          `json:"due,omitzero"`
	Text   string             `json:"text,omitempty"`
}

// AddAdvisoryFactInput names the advisory.
type AddAdvisoryFactInput struct {
	ID   string `path:"id" doc:"Any name of the advisory"`
	Body AddAdvisoryFact
}

// FactNoted tells how many findings a fact concerns.
type FactNoted struct {
	Findings int `json:"findings"`
}

// AddAdvisoryFact notes what became known; its findings are ranked anew and their
// time may get shorter.
func (a *API) AddAdvisoryFact(ctx context.Context, in *AddAdvisoryFactInput) (*Out[FactNoted], error) {
	s, err := a.findings()
	if err != nil {
		return nil, err
	}
	if err := lifecycle.CheckAdvisory(in.ID); err != nil {
		return nil, err
	}
	if err := tooLong("text", in.Body.Text, maxReason); err != nil {
		return nil, err
	}
	d, who, err := a.decide(ctx, policy.FindingFact, core.Resource{Type: "finding", ID: "advisory-" + in.ID})
	if err != nil {
		return nil, err
	}
	fact := lifecycle.Fact{
		Advisory: in.ID, Kind: in.Body.Kind, At: in.Body.At, Noted: a.Clock.Now(), By: who.String(), Source: in.Body.Source, Value: in.Body.Value,
		Due: in.Body.Due, Text: in.Body.Text,
	}
	var noted FactNoted
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		if noted.Findings, err = s.AddFact(ctx, tx, who.Tenant, fact, d.Intent); err == nil && noted.Findings == 0 && !a.knowsAdvisory(in.ID) {
			err = core.E(core.KindNotFound, "api.AddAdvisoryFact", "no finding has this name and the advisories don't know it").WithHint("a name is such as CVE-2021-44228")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(noted), nil
}

// knowsAdvisory reports whether the advisory database has the name.
func (a *API) knowsAdvisory(name string) bool {
	if a.Advisories == nil {
		return false
	}
	list, err := a.Advisories.Affected(name)
	return err == nil && len(list) > 0
}

// FindingOwners shows who looks after what.
func (a *API) FindingOwners(ctx context.Context, _ *None) (*Out[lifecycle.Owners], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, "*")
	if err != nil {
		return nil, err
	}
	var o lifecycle.Owners
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		o, err = s.Owners(ctx, tx, who.Tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(o), nil
}

// SetFindingOwners is a text of owners, a line each: patterns and an owner.
type SetFindingOwners struct {
	Text string `json:"text"`
}

// SetFindingOwnersInput is the text.
type SetFindingOwnersInput struct{ Body SetFindingOwners }

// SetFindingOwners puts another text in force.
func (a *API) SetFindingOwners(ctx context.Context, in *SetFindingOwnersInput) (*Out[lifecycle.Owners], error) {
	s, err := a.findings()
	if err != nil {
		return nil, err
	}
	if _, err := lifecycle.ParseOwners(in.Body.Text); err != nil {
		return nil, err
	}
	d, who, err := a.decide(ctx, policy.FindingOwners, core.Resource{Type: "finding", ID: "owners"})
	if err != nil {
		return nil, err
	}
	var o lifecycle.Owners
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		o, err = s.SetOwners(ctx, tx, who.Tenant, in.Body.Text, lifecycle.Change{By: who, At: a.Clock.Now().UTC().Truncate(time.Microsecond), Intent: d.Intent})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(o), nil
}
