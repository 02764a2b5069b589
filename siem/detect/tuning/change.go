package tuning

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
)

// DisableRequest takes one rule out of force.
type DisableRequest struct {
	Rule, Owner, Reason string
	// Until is when it comes back by itself; zero for never.
	Until time.Time
}

// Disable takes a rule's alerts away, a shipped rule's like an own one's. What
// correlations make of its matches goes on.
func (t *Tuning) Disable(ctx context.Context, who core.Principal, r DisableRequest) (Change, error) {
	const op = "tuning.Disable"
	for name, text := range map[string]string{"owner": r.Owner, "reason": r.Reason} {
		if err := checkText(op, name, text); err != nil {
			return Change{}, err
		}
	}
	t.editing.Lock()
	defer t.editing.Unlock()
	now := t.parts.Clock.Now()
	if !r.Until.IsZero() && !r.Until.After(now) {
		return Change{}, core.E(core.KindInvalid, op, "the end of it has passed already")
	}
	set, err := t.compiled(t.parts.Files, t.tuned(now))
	if err != nil {
		return Change{}, err
	}
	rule := ruleBy(set, r.Rule)
	if rule == nil {
		return Change{}, noRule(r.Rule)
	}
	if t.believed(objectOf(rule.ID)).active(now) {
		return Change{}, core.E(core.KindConflict, op, rule.Title+" is out of force already").WithHint("bring it back first: interlock rules enable " + rule.ID)
	}
	c := claim{Kind: KindDisable, State: StateActive, Title: rule.Title, Owner: r.Owner, Reason: r.Reason, By: who.String(), Since: now.UnixMicro()}
	if !r.Until.IsZero() {
		c.Until = r.Until.UnixMicro()
	}
	return t.carry(ctx, who, policy.RuleDisable, change{object: objectOf(rule.ID), claim: c})
}

// ExcludeRequest brings an exclusion into force.
type ExcludeRequest struct {
	// Text is the filter, with owner, reason and expires.
	Text string
	// Trial is the hash of the back-test that was shown. Without one, Untried
	// says why.
	Trial, Untried string
}

// Exclude brings an exclusion into force.
func (t *Tuning) Exclude(ctx context.Context, who core.Principal, r ExcludeRequest) (Change, error) {
	const op = "tuning.Exclude"
	e, err := readExclusion(r.Text)
	if err != nil {
		return Change{}, err
	}
	t.editing.Lock()
	defer t.editing.Unlock()
	now := t.parts.Clock.Now()
	if err := e.lasts(now); err != nil {
		return Change{}, err
	}
	object := objectOf(e.rule.ID)
	if t.believed(object).active(now) {
		return Change{}, core.E(core.KindConflict, op, "an exclusion of this id is in force").WithHint("end it first, or give the new one an id of its own")
	}
	before, err := t.compiled(t.parts.Files, t.tuned(now))
	if err != nil {
		return Change{}, err
	}
	if ruleBy(before, e.rule.ID) != nil {
		return Change{}, core.E(core.KindConflict, op, "a rule has this id; give the exclusion one of its own")
	}
	after, err := t.compiled(t.parts.Files, with(t.tuned(now), e.file()))
	if err != nil {
		return Change{}, err
	}
	if err := unknownRules(e, after); err != nil {
		return Change{}, err
	}
	switch {
	case r.Trial != "":
		err = t.proven(ctx, r.Trial, before, after)
	case r.Untried == "":
		err = core.E(core.KindInvalid, op, "what an exclusion takes away is looked at before it comes into force").
			WithHint("hand in the hash of a back-test, or say why there is none (--without-backtest --reason)")
	default:
		err = checkText(op, "reason", r.Untried)
	}
	if err != nil {
		return Change{}, err
	}
	f := e.rule.Filter
	return t.carry(ctx, who, policy.RuleExclude, change{object: object, claim: claim{
		Kind: KindExclude, State: StateActive, Title: e.rule.Title, Owner: f.Owner, Reason: f.Reason, By: who.String(), Since: now.UnixMicro(),
		Until: f.Expires.UnixMicro(), Text: e.text, Trial: r.Trial, Untried: r.Untried,
	}})
}

// unknownRules refuses an exclusion from rules that there are not: it would do
// nothing, and somebody would believe that it does.
func unknownRules(e exclusion, set *detect.Ruleset) error {
	for _, ref := range e.rule.Filter.Refs {
		if slices.Contains(set.Strangers, ref.Name) {
			return noRule(ref.Name)
		}
	}
	return nil
}

// Restore lets a rule speak again: it ends an exclusion, or brings a rule back.
func (t *Tuning) Restore(ctx context.Context, who core.Principal, id, reason string) (Change, error) {
	const op = "tuning.Restore"
	if err := checkText(op, "reason", reason); err != nil {
		return Change{}, err
	}
	t.editing.Lock()
	defer t.editing.Unlock()
	object := objectOf(id)
	r := t.believed(object)
	if !r.active(t.parts.Clock.Now()) {
		return Change{}, core.E(core.KindNotFound, op, fmt.Sprintf("no rule is out of force and no exclusion in force by the id %.60q", id)).
			WithHint("list them with: interlock rules exclusions")
	}
	c := r.claim
	c.State, c.EndedBy, c.EndReason = StateEnded, who.String(), reason
	return t.carry(ctx, who, policy.RuleRestore, change{object: object, claim: c})
}

// change is one object's new claim, on its way into row and log.
type change struct {
	object string
	claim  claim
	actor  string
	action core.Action
	intent core.Position
}

// carry asks the Guard, makes the change durable and brings it into force. The
// caller holds editing.
func (t *Tuning) carry(ctx context.Context, who core.Principal, action core.Action, c change) (Change, error) {
	on := core.Resource{Type: objectKind, ID: idOf(c.object), Tenant: t.parts.Tenant, Params: params(c.object, c.claim)}
	d, err := t.parts.Guard.Permit(ctx, who, action, on)
	if err != nil {
		return Change{}, fmt.Errorf("tuning: asking for %s: %w", action, err)
	}
	if err := httpd.Refusal(d, who, action, on); err != nil {
		return Change{}, err
	}
	c.actor, c.action, c.intent = who.String(), action, d.Intent
	r := record{claim: c.claim, revision: t.revision(c.object) + 1, at: d.Intent}
	err = t.parts.State.Tx(ctx, func(tx *store.Tx) error {
		if err := t.write(ctx, tx, c, r.revision); err != nil {
			return err
		}
		return t.notice(ctx, tx, TypeTuned, c.object, c.claim, t.parts.Clock.Now())
	})
	if err != nil {
		return Change{}, err
	}
	t.mu.Lock()
	t.ours[c.object] = r
	t.mu.Unlock()
	done := r.change(c.object, t.parts.Clock.Now())
	if err := t.enforce(ctx); err != nil {
		return done, core.Wrap(core.KindUncertain, "tuning", fmt.Errorf("it is kept, and comes into force as soon as the journal takes it: %w", err))
	}
	return done, nil
}

func with(t detect.Tuning, f rules.File) detect.Tuning {
	t.Exclusions = append(slices.Clone(t.Exclusions), f)
	return t
}
