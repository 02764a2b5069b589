package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

// Rules are read and tuned here. An exclusion needs its back-test looked at, for
// which there is the command line; that it ends, and that a rule comes back, takes
// one form each.

func ruleRoutes(c *Console) {
	c.get("/rules", policy.RuleRead, c.rules)
	c.get("/rules/{id}", policy.RuleRead, c.rule)
	c.post("/rules/{id}/disable", policy.RuleDisable, c.disableRule)
	c.post("/rules/{id}/restore", policy.RuleRestore, c.restoreRule)
}

// The tabs of the rules.
const (
	rulesHeard = ""
	rulesAll   = "all"
	rulesTuned = "tuned"
	rulesNoise = "noise"
)

type rulesView struct {
	Tabs    []tab
	Which   string
	Text    string
	Rows    []api.Rule
	Pager   pager
	Changes *api.RuleChanges
	Noise   *api.NoiseReport
}

func (c *Console) rules(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := rulesView{Which: q.Get("which"), Text: strings.TrimSpace(q.Get("text"))}
	for _, t := range []struct{ which, text string }{{rulesHeard, "With alerts"}, {rulesAll, "All"}, {rulesTuned, "Silenced"}, {rulesNoise, "Noise"}} {
		to := url.Values{}
		if t.which != "" {
			to.Set("which", t.which)
		}
		v.Tabs = append(v.Tabs, tab{Href: address("/rules", to), Text: t.text, Here: v.Which == t.which})
	}
	if err := c.fillRules(r, q, &v); err != nil {
		return err
	}
	return c.render(w, r, "page_rules", page{Title: "Rules", Nav: "rules", Body: v})
}

// fillRules reads what the tab shows.
func (c *Console) fillRules(r *http.Request, q url.Values, v *rulesView) error {
	switch v.Which {
	case rulesTuned:
		out, err := c.API.RuleChanges(r.Context(), &api.RuleChangesInput{})
		if err != nil {
			return err
		}
		v.Changes = &out.Body
	case rulesNoise:
		out, err := c.API.Noise(r.Context(), &api.NoiseInput{Days: noiseDays})
		if err != nil {
			return err
		}
		v.Noise = &out.Body
	default:
		out, err := c.API.Rules(r.Context(), &api.RulesInput{After: q.Get("after"), Limit: listRows, All: v.Which == rulesAll, Text: v.Text})
		if err != nil {
			return err
		}
		v.Rows = out.Body.Items
		v.Pager = pageOf("/rules", q, out.Body.Next, len(v.Rows), out.Body.Total, "rule", "rules")
	}
	return nil
}

// noiseDays is over how many days the page tells what rules cost.
const noiseDays = 30

type ruleView struct {
	api.Rule
	// Soon is a month from now, which the form for taking it out proposes.
	Soon string
}

// Silenced reports whether somebody took the rule out of force.
func (v ruleView) Silenced() bool { return v.State == api.RuleDisabled && v.Change != nil }

// Speaks reports whether the rule raises alerts of its own.
func (v ruleView) Speaks() bool { return v.State == api.RuleEnabled && v.Kind != "filter" }

func (c *Console) rule(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Rule(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	v := ruleView{out.Body, c.Clock.Now().AddDate(0, 1, 0).UTC().Format(time.DateOnly)}
	return c.render(w, r, "page_rule", page{Title: v.Title, Nav: "rules", Body: v})
}

func (c *Console) disableRule(w http.ResponseWriter, r *http.Request) error {
	ask := api.DisableRule{Owner: strings.TrimSpace(form(r, "owner")), Reason: strings.TrimSpace(form(r, "reason"))}
	if day := strings.TrimSpace(form(r, "until")); day != "" {
		until, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return core.E(core.KindInvalid, "web.disableRule", "the day is written as 2026-12-24")
		}
		ask.Until = until
	}
	out, err := c.API.DisableRule(r.Context(), &api.DisableRuleInput{ID: r.PathValue("id"), Body: ask})
	if err != nil {
		return err
	}
	return c.done(w, r, "/rules/"+out.Body.ID, "info", "The rule raises no alerts any more. Everybody is told, and its owner answers for it.")
}

func (c *Console) restoreRule(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.RestoreRule(r.Context(), &api.RestoreRuleInput{ID: r.PathValue("id"), Body: api.RestoreRule{Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	if out.Body.Kind == tuning.KindExclude {
		return c.done(w, r, "/rules?which=tuned", "ok", "The exclusion has ended. What it kept quiet is told again.")
	}
	return c.done(w, r, "/rules/"+out.Body.ID, "ok", "The rule speaks again.")
}

// closeAlert ends an alert with a person's verdict.
func (c *Console) closeAlert(w http.ResponseWriter, r *http.Request) error {
	verdict := form(r, "verdict")
	if !slices.Contains([]string{"resolved", "benign", "false-positive"}, verdict) {
		return core.E(core.KindInvalid, "web.closeAlert", "say what the alert was")
	}
	out, err := c.API.CloseAlert(r.Context(), &api.CloseAlertInput{ID: r.PathValue("id"), Body: api.CloseAlert{Verdict: verdict, Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, "/alerts/"+out.Body.ID.String(), "ok", "Closed. What comes after is a new alert.")
}
