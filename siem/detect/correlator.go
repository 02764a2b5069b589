package detect

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/sigma"
)

// WindowKey names one window: what one correlation remembers of one group.
// Simulated events have windows of their own.
type WindowKey struct {
	Tenant    core.TenantID
	Rule      string // the rule's id and the shape of its windows
	Group     string
	Simulated bool
}

// Windows keeps windows; the stage's are rows, a test's are a map.
type Windows interface {
	// Get returns an empty window where there is none.
	Get(ctx context.Context, k WindowKey) (sigma.Window, error)
	// Put keeps a window until it is due; one without entries is dropped.
	Put(ctx context.Context, k WindowKey, w sigma.Window, due int64) error
	// Due lists windows that are due before the time, in an order of its own,
	// which is the same each time.
	Due(ctx context.Context, before int64, limit int) ([]WindowKey, error)
}

// Correlator turns matches into raises. All it remembers is in Windows.
type Correlator struct{ set *Ruleset }

// NewCorrelator returns a correlator for a rule set.
func NewCorrelator(set *Ruleset) *Correlator { return &Correlator{set} }

// Match takes one match. now is the time of the journal's record.
func (c *Correlator) Match(ctx context.Context, ws Windows, m Match, now time.Time) ([]alert.Raise, error) {
	rule := c.set.byID[m.Rule]
	if rule == nil {
		return nil, nil // of a set that is no longer in force
	}
	var out []alert.Raise
	if m.Alerts {
		out = append(out, plainRaise(rule, m, now))
	}
	for _, corr := range c.set.Engine.Feeds(m.Rule) {
		raise, err := c.feed(ctx, ws, corr, rule, m, now)
		if err != nil {
			return nil, err
		}
		out = append(out, raise...)
	}
	return out, nil
}

func (c *Correlator) feed(ctx context.Context, ws Windows, corr *sigma.Correlation, rule *sigma.Rule, m Match, now time.Time) ([]alert.Raise, error) {
	fact := sigma.Fact{Event: m.Event.String(), At: m.At, Received: m.Received, Source: m.Source, Provenance: m.Provenance, Fields: m.Fields}
	group, _ := corr.Group(fact, rule)
	k := WindowKey{m.Tenant, windowName(corr), group, m.Simulated}
	w, err := ws.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	firing := corr.Add(&w, fact, rule)
	if err := ws.Put(ctx, k, w, corr.Due(&w)); err != nil || firing == nil {
		return nil, err
	}
	return firedRaise(k, firing, now)
}

// dueAtOnce is how many windows are taken up together.
const dueAtOnce = 500

// Advance moves time to the watermark. now is the time of the journal's record.
func (c *Correlator) Advance(ctx context.Context, ws Windows, watermark, now time.Time) ([]alert.Raise, error) {
	var out []alert.Raise
	for {
		keys, err := ws.Due(ctx, watermark.UnixMicro(), dueAtOnce)
		if err != nil || len(keys) == 0 {
			return out, err
		}
		for _, k := range keys {
			raises, err := c.advance(ctx, ws, k, watermark, now)
			if err != nil {
				return nil, err
			}
			out = append(out, raises...)
		}
	}
}

func (c *Correlator) advance(ctx context.Context, ws Windows, k WindowKey, watermark, now time.Time) ([]alert.Raise, error) {
	corr := c.set.corrs[k.Rule]
	if corr == nil { // the rule is gone: so is its window
		return nil, ws.Put(ctx, k, sigma.Window{}, 0)
	}
	w, err := ws.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	var out []alert.Raise
	for f := corr.Advance(&w, watermark); f != nil; f = corr.Advance(&w, watermark) {
		raises, err := firedRaise(k, f, now)
		if err != nil {
			return nil, err
		}
		out = append(out, raises...)
	}
	return out, ws.Put(ctx, k, w, corr.Due(&w))
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

func firedRaise(k WindowKey, f *sigma.Firing, now time.Time) ([]alert.Raise, error) {
	r := alert.Raise{
		Tenant: k.Tenant, Rule: ruleOf(f.Correlation.Rule), Severity: severities[f.Correlation.Rule.Level], Key: k.Group,
		Group: f.Correlation.GroupFields(k.Group), Provenance: f.Provenance, Simulated: k.Simulated, Lost: f.Lost, Now: now,
	}
	for _, e := range f.Events {
		id, err := core.ParseUUID(e.Event)
		if err != nil {
			return nil, core.Wrap(core.KindDamaged, "detect: window", err)
		}
		r.Events = append(r.Events, alert.Event{ID: id, At: time.UnixMicro(e.At).UTC(), Source: e.Source})
	}
	return []alert.Raise{r}, nil
}

// MemoryWindows keeps windows in memory, for rule tests.
type MemoryWindows struct {
	rows map[WindowKey]memoryRow
}

type memoryRow struct {
	w   sigma.Window
	due int64
}

// NewMemoryWindows returns an empty set of windows.
func NewMemoryWindows() *MemoryWindows { return &MemoryWindows{make(map[WindowKey]memoryRow)} }

// Get implements [Windows].
func (m *MemoryWindows) Get(_ context.Context, k WindowKey) (sigma.Window, error) {
	w := m.rows[k].w
	w.Entries = slices.Clone(w.Entries)
	return w, nil
}

// Put implements [Windows].
func (m *MemoryWindows) Put(_ context.Context, k WindowKey, w sigma.Window, due int64) error {
	if len(w.Entries) == 0 {
		delete(m.rows, k)
		return nil
	}
	m.rows[k] = memoryRow{w, due}
	return nil
}

// Due implements [Windows].
func (m *MemoryWindows) Due(_ context.Context, before int64, limit int) ([]WindowKey, error) {
	var out []WindowKey
	for k, row := range m.rows {
		if row.due < before {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, WindowKey.compare)
	return out[:min(len(out), limit)], nil
}

func (k WindowKey) compare(o WindowKey) int {
	for _, pair := range [][2]string{{k.Tenant.String(), o.Tenant.String()}, {k.Rule, o.Rule}, {k.Group, o.Group}} {
		if c := cmp.Compare(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	if k.Simulated == o.Simulated {
		return 0
	}
	if o.Simulated {
		return -1
	}
	return 1
}
