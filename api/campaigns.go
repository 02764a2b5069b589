package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// AdvisorySource is the advisory database that the server reads.
type AdvisorySource interface {
	// Affected lists the packages of an advisory by any of its names.
	Affected(name string) ([]advisory.Affected, error)
	// Match makes a report of an inventory, of when it was taken; the report's
	// rules name the advisories.
	Match(ctx context.Context, l lifecycle.Look) (*scanning.Report, error)
	// Lists tells of when the advisories and the lists of exploited ones are.
	Lists() map[string]time.Time
}

func (a *API) campaignRoutes() {
	a.stream(policy.FindingSubmit, sbomOperation(), a.serveInventory)
	Register(a, policy.CampaignRead, get("campaigns", "/v1/campaigns", "Campaigns, the newest first"), a.Campaigns)
	Register(a, policy.CampaignRead, get("campaign", "/v1/campaigns/{id}", "One campaign: who has it, since when, who is rid of it"), a.Campaign)
	Register(a, policy.CampaignStart, post("start-campaign", "/v1/campaigns", "Follow an advisory or a package until nobody has it"), a.StartCampaign)
}

// InventorySubmission is what a subject has.
type InventorySubmission struct {
	Subject string `json:"subject"`
	// Scope is what of the subject it is the inventory of, such as host or
	// image/shop; "" where there is one of it all. Each scope has its own.
	Scope    string             `json:"scope,omitempty"`
	Packages []scanning.Package `json:"packages"`
	// Created is when the inventory was taken; zero means now.
	Created time.Time `json:"created,omitzero"`
	// Gaps are what the inventory lacks: what they may hide is not verified by it,
	// and what the subject had and it does not speak of stays.
	Gaps []scanning.Gap `json:"gaps,omitempty"`
}

// InventoryTaken is what became of it.
type InventoryTaken struct {
	Inventory lifecycle.Inventory `json:"inventory"`
	// Report is what the advisories say of it, null where the server has none:
	// then it was kept and not looked at.
	Report *lifecycle.Summary `json:"report,omitempty"`
}

func sbomOperation() huma.Operation {
	return upload(post("submit-sbom", "/v1/findings/sboms", "Hand in what a subject has installed"),
		"JSON, also compressed with gzip: subject, packages, and created (may be left out)",
		"The inventory as it is kept, and what the advisories say of it")
}

func (a *API) serveInventory(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	return takeUpload(w, r, a.SubmitInventory)
}

// SubmitInventory keeps an inventory and matches it with the advisories.
func (a *API) SubmitInventory(ctx context.Context, in InventorySubmission) (InventoryTaken, error) {
	var taken InventoryTaken
	s, err := a.findings()
	if err != nil {
		return taken, err
	}
	now := a.Clock.Now()
	look, err := in.look(now)
	if err != nil {
		return taken, err
	}
	who, _, err := a.decideFinding(ctx, policy.FindingSubmit, "*", in.Subject)
	if err != nil {
		return taken, err
	}
	var report *scanning.Report
	if a.Advisories != nil {
		if report, err = a.Advisories.Match(ctx, look); err != nil && core.KindOf(err) != core.KindUnavailable {
			return taken, err
		}
	}
	if report != nil {
		report.Gaps, look.Matched = append(report.Gaps, in.Gaps...), report.Tool.Rules
	}
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		taken = InventoryTaken{}
		if taken.Inventory, err = s.TakeInventory(ctx, tx, who.Tenant, look); err != nil || report == nil {
			return err
		}
		sum, err := s.ImportFor(ctx, tx, who.Tenant, in.Subject, report, who.String(), now)
		taken.Report = &sum
		return err
	})
	return taken, err
}

// look is the submission as it is kept: it was looked when the inventory was
// taken, and never later than now.
func (in *InventorySubmission) look(now time.Time) (l lifecycle.Look, err error) {
	const op = "api.SubmitInventory"
	l = lifecycle.Look{Subject: in.Subject, Scope: in.Scope, Packages: in.Packages, At: in.Created, Partial: len(in.Gaps) > 0}
	if l.At.IsZero() {
		l.At = now
	}
	switch {
	case l.At.After(now.Add(5 * time.Minute)):
		return l, core.E(core.KindInvalid, op, "the inventory is from the future").WithHint("set the clock of the machine that took it")
	case l.At.After(now):
		l.At = now
	}
	if len(in.Packages) == 0 {
		return l, core.E(core.KindInvalid, op, "an inventory names packages").WithHint("a machine without any has been read wrongly")
	}
	if len(in.Packages) > lifecycle.MaxPackages {
		return l, core.E(core.KindTooLarge, op, fmt.Sprintf("an inventory has at most %d packages", lifecycle.MaxPackages))
	}
	return l, lifecycle.CheckSubject(in.Subject)
}

// CampaignsList is what campaigns there are.
type CampaignsList struct {
	Items []lifecycle.Campaign `json:"items" nullable:"false"`
}

// Campaigns lists campaigns.
func (a *API) Campaigns(ctx context.Context, _ *None) (*Out[CampaignsList], error) {
	s, who, err := a.seeFindings(ctx, policy.CampaignRead, "*")
	if err != nil {
		return nil, err
	}
	var list CampaignsList
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		list.Items, err = s.Campaigns(ctx, tx, who.Tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(list), nil
}

// CampaignState is how a campaign stands now, from stored inventories.
type CampaignState struct {
	Campaign lifecycle.Campaign `json:"campaign"`
	// Affected have it now, Rid had it, of Doubt nobody can tell by the version.
	Affected int `json:"affected"`
	Rid      int `json:"rid"`
	Doubt    int `json:"doubt"`
	// Subjects have an inventory; Oldest is when the oldest was taken.
	Subjects int             `json:"subjects"`
	Oldest   time.Time       `json:"oldest_inventory,omitzero"`
	Hits     []lifecycle.Hit `json:"hits" nullable:"false"`
	// Cut is how many hits are not shown.
	Cut   int                  `json:"cut,omitempty"`
	Lists map[string]time.Time `json:"lists"`
}

// maxHits is how many subjects of a campaign are shown.
const maxHits = 20_000

// Campaign shows one campaign.
func (a *API) Campaign(ctx context.Context, in *IDInput) (*Out[CampaignState], error) {
	s, who, err := a.seeFindings(ctx, policy.CampaignRead, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	var c lifecycle.Campaign
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		c, err = s.Campaign(ctx, tx, who.Tenant, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	targets, err := a.targets(c)
	if err != nil {
		return nil, err
	}
	st := CampaignState{Campaign: c, Lists: map[string]time.Time{}}
	if a.Advisories != nil {
		st.Lists = a.Advisories.Lists()
	}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		if st.Hits, err = s.Who(ctx, tx, who.Tenant, targets); err != nil {
			return err
		}
		st.Subjects, st.Oldest, err = s.Inventories(ctx, tx, who.Tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(st.counted()), nil
}

func (st CampaignState) counted() CampaignState {
	for _, h := range st.Hits {
		switch {
		case !h.Ended.IsZero():
			st.Rid++
		case h.Doubt:
			st.Doubt++
		default:
			st.Affected++
		}
	}
	if len(st.Hits) > maxHits {
		st.Cut, st.Hits = len(st.Hits)-maxHits, st.Hits[:maxHits]
	}
	return st
}

// targets are what a campaign asks inventories for.
func (a *API) targets(c lifecycle.Campaign) ([]lifecycle.Target, error) {
	if c.Advisory == "" {
		return c.Targets(), nil
	}
	if a.Advisories == nil {
		return nil, core.E(core.KindUnavailable, "api.Campaign", "this server has no advisories").
			WithHint("start the campaign about the package, or give the server a database: interlock scan db")
	}
	list, err := a.Advisories.Affected(c.Advisory)
	if err != nil {
		return nil, fmt.Errorf("campaign %s: %w", c.Name, err)
	}
	return lifecycle.TargetsOf(list), nil
}

// StartCampaign is an advisory or a package to follow.
type StartCampaign struct {
	Name      string   `json:"name,omitempty"`
	Advisory  string   `json:"advisory,omitempty"`
	Ecosystem string   `json:"ecosystem,omitempty"`
	Package   string   `json:"package,omitempty"`
	Versions  []string `json:"versions,omitempty"`
	Below     string   `json:"below,omitempty"`
}

// StartCampaignInput is the campaign.
type StartCampaignInput struct{ Body StartCampaign }

// StartCampaign begins a campaign and tells at once who has it.
func (a *API) StartCampaign(ctx context.Context, in *StartCampaignInput) (*Out[CampaignState], error) {
	s, err := a.findings()
	if err != nil {
		return nil, err
	}
	c := lifecycle.Campaign{
		Name: in.Body.Name, Advisory: in.Body.Advisory, Ecosystem: in.Body.Ecosystem, Package: in.Body.Package, Versions: in.Body.Versions, Below: in.Body.Below,
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	targets, err := a.targets(c)
	if err != nil {
		return nil, err
	}
	_, who, err := a.decide(ctx, policy.CampaignStart, core.Resource{Type: "campaign", ID: "new"})
	if err != nil {
		return nil, err
	}
	c.By, c.Created = who.String(), a.Clock.Now()
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		c, err = s.StartCampaign(ctx, tx, who.Tenant, c, targets)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.Campaign(ctx, &IDInput{ID: c.ID.String()})
}
