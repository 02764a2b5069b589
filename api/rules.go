package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Rule is a detection rule as it stands.
type Rule struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Title     string `json:"title"`
	Author    string `json:"author"`
	Link      string `json:"link"` // where the rule can be read
	License   string `json:"license,omitempty"`
	Level     string `json:"level"`
	Kind      string `json:"kind"` // detection, correlation or filter
	Status    string `json:"status,omitempty"`
	Logsource string `json:"logsource,omitempty"`
	File      string `json:"file"`
	// State is enabled, disabled, feeds (raises no alert of its own, correlations
	// count it), or expired for a filter whose time is over.
	State      string           `json:"state"`
	Tags       []string         `json:"tags,omitempty"`
	Categories []alert.Category `json:"categories,omitempty"`
	// Alerts is how many it had in the last seven days, Exclusions how many name
	// it.
	Alerts     int `json:"alerts"`
	Exclusions int `json:"exclusions,omitempty"`
	// Change is what took it out of force.
	Change *tuning.Change `json:"change,omitempty"`
	// The rest is not in a list.
	Description    string   `json:"description,omitempty"`
	FalsePositives []string `json:"false_positives,omitempty"`
	References     []string `json:"references,omitempty"`
}

// The states of a rule.
const (
	RuleEnabled  = "enabled"
	RuleDisabled = "disabled"
	RuleFeeds    = "feeds"
)

// recentDays is what lists of rules count alerts over.
const recentDays = 7

// RulesInput selects rules.
type RulesInput struct {
	After string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	All   bool   `query:"all" doc:"All rules; otherwise those that had alerts in the last seven days and those that are tuned"`
	Text  string `query:"text" doc:"Only rules with this text in title, name, id or file"`
}

// Rules lists rules, those with most alerts first.
func (a *API) Rules(ctx context.Context, in *RulesInput) (*Out[Page[Rule]], error) {
	who, err := a.see(ctx, policy.RuleRead, "*")
	if err != nil {
		return nil, err
	}
	limit, err := rows(in.Limit)
	if err != nil {
		return nil, err
	}
	if err := tooLong("text", in.Text, maxText); err != nil {
		return nil, err
	}
	from, err := placeOf("rules", in.After)
	if err != nil {
		return nil, err
	}
	list, err := a.allRules(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	text := strings.ToLower(in.Text)
	list = slices.DeleteFunc(list, func(r Rule) bool {
		quiet := r.Alerts == 0 && r.Change == nil && r.Exclusions == 0 && r.Kind != "filter"
		return !in.All && text == "" && quiet || !strings.Contains(strings.ToLower(r.Title+"\n"+r.Name+"\n"+r.ID+"\n"+r.File), text)
	})
	total := len(list)
	list = list[min(from, total):min(from+limit+1, total)]
	return out(cut(list, limit, total, func(Rule) string { return encodeCursor("rules", strconv.Itoa(from+limit)) })), nil
}

// placeOf reads the cursor of a list that is cut by number.
func placeOf(list, cursor string) (int, error) {
	parts, err := decodeCursor(list, cursor, 1)
	if err != nil || parts == nil {
		return 0, err
	}
	n, err := strconv.Atoi(parts[0])
	if err != nil || n < 0 {
		return 0, core.E(core.KindInvalid, "api", "after is no cursor of this list")
	}
	return n, nil
}

// tuned returns the tuning, or says that there is none.
func (a *API) tuned() (*tuning.Tuning, error) {
	if a.Tuning == nil {
		return nil, core.E(core.KindUnavailable, "api.Rules", "this server judges no events")
	}
	return a.Tuning, nil
}

func (a *API) ruleset() (*detect.Ruleset, error) {
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	if set := t.InForce(); set != nil {
		return set, nil
	}
	return nil, core.E(core.KindUnavailable, "api.Rules", "the rules are being put into force").WithHint("try again in a moment")
}

func (a *API) allRules(ctx context.Context, tenant core.TenantID) ([]Rule, error) {
	set, err := a.ruleset()
	if err != nil {
		return nil, err
	}
	var counts map[string]int
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		counts, err = alert.Counts(ctx, tx, tenant, a.Clock.Now().AddDate(0, 0, -recentDays))
		return err
	})
	if err != nil {
		return nil, err
	}
	changes, excluded := a.changes(set)
	list := make([]Rule, 0, len(set.Rules))
	for _, r := range set.Rules {
		one := ruleOf(set, r)
		one.Alerts, one.Exclusions = counts[r.ID], excluded[r.ID]+excluded[r.Name]
		if c, tuned := changes[r.ID]; tuned {
			one.Change = &c
		}
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b Rule) int {
		if a.Alerts != b.Alerts {
			return b.Alerts - a.Alerts
		}
		return strings.Compare(a.Title+"\x00"+a.ID, b.Title+"\x00"+b.ID)
	})
	return list, nil
}

// changes are those in force by the rule's or filter's id, and how many
// exclusions name a rule.
func (a *API) changes(set *detect.Ruleset) (changes map[string]tuning.Change, excluded map[string]int) {
	changes, excluded = map[string]tuning.Change{}, map[string]int{}
	for _, c := range a.Tuning.Changes() {
		if c.State == tuning.StateActive {
			changes[c.ID] = c
		}
	}
	for _, r := range set.Rules {
		if r.Filter == nil {
			continue
		}
		for _, ref := range r.Filter.Refs {
			excluded[ref.Name]++
		}
	}
	return changes, excluded
}

func ruleOf(set *detect.Ruleset, r *sigma.Rule) Rule {
	one := Rule{
		ID: r.ID, Name: r.Name, Title: r.Title, Author: r.Author, Link: r.Link, License: r.License, Level: string(r.Level), Status: r.Status,
		File: r.File, Tags: r.Tags, Categories: alert.Categories(r.Tags), Kind: "detection", State: RuleEnabled, Logsource: r.Logsource.String(),
	}
	switch {
	case r.Filter != nil:
		one.Kind = "filter"
	case r.Correlation != nil:
		one.Kind, one.Logsource = "correlation", ""
	}
	switch {
	case set.Silenced(r.ID):
		one.State = RuleDisabled
	case r.Filter == nil && !set.Speaks(r.ID):
		one.State = RuleFeeds
	}
	return one
}

// Rule shows one rule, by its id or its name.
func (a *API) Rule(ctx context.Context, in *IDInput) (*Out[Rule], error) {
	who, err := a.see(ctx, policy.RuleRead, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := a.allRules(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(r Rule) bool { return r.ID == strings.ToLower(in.ID) || r.Name != "" && r.Name == in.ID })
	if i < 0 {
		return nil, core.E(core.KindNotFound, "api.Rule", "no rule has this id or name")
	}
	set, err := a.ruleset()
	if err != nil {
		return nil, err
	}
	for _, r := range set.Rules {
		if r.ID == list[i].ID {
			list[i].Description, list[i].FalsePositives, list[i].References = r.Description, r.FalsePos, r.References
		}
	}
	return out(list[i]), nil
}

// RuleChangesInput selects changes.
type RuleChangesInput struct {
	All bool `query:"all" doc:"Ended and expired ones too"`
}

// RuleChanges are the rules that are out of force and the exclusions.
type RuleChanges struct {
	Items []tuning.Change `json:"items" nullable:"false"`
	// Strangers are ids and names that the tuning speaks of and no rule has.
	Strangers []string `json:"strangers" nullable:"false"`
	// Doubts are changes that are not believed, because the log says other.
	Doubts map[string]string `json:"doubts,omitempty"`
}

// RuleChanges lists what was made of the rules.
func (a *API) RuleChanges(ctx context.Context, in *RuleChangesInput) (*Out[RuleChanges], error) {
	if _, err := a.see(ctx, policy.RuleRead, "*"); err != nil {
		return nil, err
	}
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(t.Changes(), func(c tuning.Change) bool { return !in.All && c.State != tuning.StateActive })
	return out(RuleChanges{Items: list, Strangers: append([]string{}, t.Strangers()...), Doubts: t.Doubts()}), nil
}

// DisableRule takes a rule out of force.
type DisableRule struct {
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // when it comes back by itself
}

// DisableRuleInput names the rule.
type DisableRuleInput struct {
	ID   string `path:"id" doc:"The rule's id or name"`
	Body DisableRule
}

// DisableRule takes a rule's alerts away. The Guard is asked where it takes
// effect.
func (a *API) DisableRule(ctx context.Context, in *DisableRuleInput) (*Out[tuning.Change], error) {
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	c, err := t.Disable(ctx, principal(ctx), tuning.DisableRequest{Rule: in.ID, Owner: in.Body.Owner, Reason: in.Body.Reason, Until: in.Body.Until})
	if err != nil {
		return nil, err
	}
	return out(c), nil
}

// RestoreRule says why.
type RestoreRule struct {
	Reason string `json:"reason"`
}

// RestoreRuleInput names a rule that is out of force, or an exclusion.
type RestoreRuleInput struct {
	ID   string `path:"id" doc:"The id of the rule, or of the exclusion"`
	Body RestoreRule
}

// RestoreRule brings a rule back into force, or ends an exclusion.
func (a *API) RestoreRule(ctx context.Context, in *RestoreRuleInput) (*Out[tuning.Change], error) {
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	c, err := t.Restore(ctx, principal(ctx), in.ID, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return out(c), nil
}

// Exclude brings an exclusion into force.
type Exclude struct {
	Filter string `json:"filter"` // a Sigma filter with owner, reason and expires
	// Backtest is the hash of the back-test that was looked at, "" for none;
	// then Untried says why.
	Backtest string `json:"backtest"`
	Untried  string `json:"untried"`
}

// ExcludeInput is an exclusion.
type ExcludeInput struct{ Body Exclude }

// Exclude brings an exclusion into force. The Guard is asked where it takes
// effect.
func (a *API) Exclude(ctx context.Context, in *ExcludeInput) (*Out[tuning.Change], error) {
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	c, err := t.Exclude(ctx, principal(ctx), tuning.ExcludeRequest{Text: in.Body.Filter, Trial: in.Body.Backtest, Untried: in.Body.Untried})
	if err != nil {
		return nil, err
	}
	return out(c), nil
}

// Trying is what a back-test tries: one of its three.
type Trying struct {
	Exclusion string       `json:"exclusion,omitempty"`
	Disable   string       `json:"disable,omitempty"`
	Files     []rules.File `json:"files,omitempty"`
	Days      int          `json:"days,omitempty"`
}

// Limits of an attempt: as it is sent, and unpacked.
const (
	maxAttempt      = 8 << 20
	maxAttemptPlain = 64 << 20
)

func backtestOperation() huma.Operation {
	op := post("start-backtest", "/v1/rules/backtests", "Try an exclusion, a rule that goes or rule files on the last days of the journal")
	op.RequestBody = &huma.RequestBody{
		Required: true, Description: "JSON, compressed with gzip: exclusion (the text of a filter), disable (a rule's id) or files (name, text); days, 7 where it is left out",
		Content: map[string]*huma.MediaType{"application/gzip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The back-test as it begins; ask for it by its id",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
	}}
	return op
}

func (a *API) serveStartBacktest(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	body, err := httpd.ReadBody(w, r, maxAttempt)
	if err != nil {
		return err
	}
	try, err := readAttempt(body)
	if err != nil {
		return err
	}
	t, err := a.StartBacktest(r.Context(), try)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, t)
}

func readAttempt(body []byte) (try Trying, err error) {
	bad := core.E(core.KindInvalid, "api.StartBacktest", "the body is no gzip of a JSON document with exclusion, disable or files")
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return try, bad
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxAttemptPlain+1))
	switch {
	case err != nil:
		return try, bad
	case len(plain) > maxAttemptPlain:
		return try, core.E(core.KindTooLarge, "api.StartBacktest", "the rules are larger than 64 MiB")
	}
	if err := link.DecodeStrict(plain, &try); err != nil {
		return try, bad
	}
	return try, nil
}

// StartBacktest begins a back-test.
func (a *API) StartBacktest(ctx context.Context, try Trying) (tuning.Trial, error) {
	t, err := a.tuned()
	if err != nil {
		return tuning.Trial{}, err
	}
	return t.StartTrial(ctx, principal(ctx), tuning.Attempt{Exclusion: try.Exclusion, Disable: try.Disable, Files: try.Files, Days: try.Days})
}

// Backtest shows a back-test. What it showed is for whoever was permitted to try.
func (a *API) Backtest(ctx context.Context, in *IDInput) (*Out[tuning.Trial], error) {
	who, err := a.see(ctx, policy.RuleRead, in.ID)
	if err != nil {
		return nil, err
	}
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	one, err := t.Trial(id)
	if err != nil {
		return nil, err
	}
	if one.By != who.String() {
		one.Result, one.Hash = nil, ""
	}
	return out(one), nil
}

// NoiseInput says over how many days.
type NoiseInput struct {
	Days int `query:"days" doc:"Over how many days, up to 366; 0 means 7"`
}

// NoiseReport tells what rules cost.
type NoiseReport struct {
	Days  int         `json:"days"`
	Rules []RuleNoise `json:"rules" nullable:"false"`
	// Quiet is how many rules had no alert.
	Quiet int `json:"quiet"`
	// Complete is false where there were more alerts than are looked at.
	Complete bool `json:"complete"`
}

// RuleNoise is what one rule cost.
type RuleNoise struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Link   string `json:"link,omitempty"`
	Alerts int    `json:"alerts"`
	Events uint64 `json:"events"`
	Open   int    `json:"open"`
	Closed int    `json:"closed"`
	// FalsePositives and Benign are those of the closed that were judged so.
	FalsePositives int      `json:"false_positives"`
	Benign         int      `json:"benign"`
	Reasons        []string `json:"reasons,omitempty"` // the latest of false positives
	// ToClose is the median time to close, in seconds.
	ToClose float64         `json:"to_close_seconds,omitempty"`
	Advice  []tuning.Advice `json:"advice,omitempty"`
}

// Noise tells what rules cost, the loudest first.
func (a *API) Noise(ctx context.Context, in *NoiseInput) (*Out[NoiseReport], error) {
	if _, err := a.see(ctx, policy.RuleRead, "*"); err != nil {
		return nil, err
	}
	t, err := a.tuned()
	if err != nil {
		return nil, err
	}
	if in.Days == 0 {
		in.Days = recentDays
	}
	list, quiet, complete, err := t.Noise(ctx, in.Days)
	if err != nil {
		return nil, err
	}
	report := NoiseReport{Days: in.Days, Rules: []RuleNoise{}, Quiet: quiet, Complete: complete}
	for _, n := range list {
		report.Rules = append(report.Rules, RuleNoise{
			ID: n.Rule.ID, Name: n.Rule.Name, Title: n.Title, Author: n.Author, Link: n.Link, Alerts: n.Alerts, Events: n.Events, Open: n.Open,
			Closed: n.Closed, FalsePositives: n.FalsePositives, Benign: n.Benign, Reasons: n.Reasons, ToClose: n.ToClose.Seconds(), Advice: n.Advice,
		})
	}
	return out(report), nil
}
