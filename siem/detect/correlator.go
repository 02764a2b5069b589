package detect

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// Correlator turns matches into raises. What it remembers is in State, whose
// owner stores it.
type Correlator struct {
	State *correlate.State

	set    *Ruleset
	fields []sigma.Field
}

// NewCorrelator returns a correlator for a rule set that remembers nothing yet.
func NewCorrelator(set *Ruleset, c correlate.Config) *Correlator {
	return &Correlator{State: correlate.New(set.Engine, c), set: set}
}

// simulatedScope ends the scope of simulated events, which have windows of their
// own.
const simulatedScope = "/simulated"

func scopeOf(tenant core.TenantID, simulated bool) string {
	if simulated {
		return tenant.String() + simulatedScope
	}
	return tenant.String()
}

func scopeParts(scope string) (core.TenantID, bool, error) {
	name, simulated := strings.CutSuffix(scope, simulatedScope)
	tenant, err := core.ParseID[core.TenantID](name)
	return tenant, simulated, err
}

// Match takes one match. now is the time of the journal's record.
func (c *Correlator) Match(m Match, now time.Time) ([]alert.Raise, error) {
	rule := c.set.byID[m.Rule]
	if rule == nil {
		return nil, nil // of a set that is no longer in force
	}
	var r raiser
	if m.Alerts && !c.set.muted[m.Rule] {
		r.out = append(r.out, plainRaise(rule, m, now))
	}
	c.fields = c.fields[:0]
	for name, value := range m.Fields {
		c.fields = append(c.fields, sigma.Field{Name: name, Value: value})
	}
	slices.SortFunc(c.fields, func(a, b sigma.Field) int { return strings.Compare(a.Name, b.Name) })
	c.State.Take(correlate.Fact{
		Scope: scopeOf(m.Tenant, m.Simulated), Rule: rule, Event: m.Event, At: m.At, Received: m.Received, Source: m.Source,
		Provenance: m.Provenance, Fields: c.fields,
	}, func(f correlate.Firing) { r.fired(c.set, f, now) })
	return r.out, r.err
}

// Advance moves time to the watermark. now is the time of the journal's record.
func (c *Correlator) Advance(watermark, now time.Time) ([]alert.Raise, error) {
	var r raiser
	c.State.Advance(watermark, func(f correlate.Firing) { r.fired(c.set, f, now) })
	return r.out, r.err
}

// raiser gathers what one step raises.
type raiser struct {
	out []alert.Raise
	err error
}

func (r *raiser) fired(set *Ruleset, f correlate.Firing, now time.Time) {
	rule := f.Correlation.Rule
	if !f.Alerts || set.muted[rule.ID] || len(f.Events) == 0 {
		return
	}
	tenant, simulated, err := scopeParts(f.Key.Scope)
	if err != nil {
		r.err = core.Wrap(core.KindDamaged, "detect: scope of a window", err)
		return
	}
	raise := alert.Raise{
		Tenant: tenant, Rule: ruleOf(rule), Severity: severities[rule.Level], Key: f.Key.Group, Provenance: f.Provenance,
		Simulated: simulated, Lost: f.Lost + uint64(f.Omitted), Now: now,
	}
	for _, field := range f.Key.Fields(f.Correlation) {
		if raise.Group == nil {
			raise.Group = make(map[string]string)
		}
		raise.Group[field.Name] = field.Value
	}
	for _, e := range f.Events {
		raise.Events = append(raise.Events, alert.Event{ID: e.ID, At: e.At, Source: e.Source})
	}
	r.out = append(r.out, raise)
}

// plainRaise is the alert of a rule that stands alone: one per rule, peer,
// type of event, and sensor where there is one.
func plainRaise(r *sigma.Rule, m Match, now time.Time) alert.Raise {
	group := map[string]string{"type": m.Type}
	if m.Device.IsZero() {
		group["source"] = m.Source
	} else {
		group["device"] = m.Device.String()
	}
	for _, name := range captured {
		if val, ok := m.Fields[name]; ok {
			group[name] = val
		}
	}
	return alert.Raise{
		Tenant: m.Tenant, Rule: ruleOf(r), Severity: severities[r.Level], Key: canonical(group), Group: group, Device: m.Device,
		Provenance: m.Provenance, Simulated: m.Simulated, Events: []alert.Event{{ID: m.Event, At: m.At, Source: m.Source}}, Now: now,
	}
}

// canonical writes a group as JSON, whose keys come sorted.
func canonical(group map[string]string) string {
	b, err := json.Marshal(group)
	if err != nil { // a map of strings always marshals
		return ""
	}
	return string(b)
}
