package detect

import (
	"encoding/json"
	"sync/atomic"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// Stats count what detection did and could not do.
type Stats struct {
	Events, Matches atomic.Uint64
	// Damaged are records that are no event of the frame's tenant; Opaque are
	// events whose fields could not be laid out.
	Damaged, Opaque atomic.Uint64
	// Correlations is what the correlate stage holds and lost, as of the last
	// tick; nil before.
	Correlations atomic.Pointer[correlate.Stats]
}

// Detector judges events by a rule set. It belongs to one goroutine.
type Detector struct {
	norm  *normalise.Normaliser
	stats *Stats
	set   *Ruleset
	view  *sigma.View

	sources []sigma.Logsource // reused
}

// NewDetector returns a detector. The normaliser and the statistics can be
// shared.
func NewDetector(set *Ruleset, norm *normalise.Normaliser, stats *Stats) *Detector {
	d := &Detector{norm: norm, stats: stats}
	d.use(set)
	return d
}

func (d *Detector) use(set *Ruleset) { d.set, d.view = set, set.Engine.NewView() }

// Judge calls emit for every rule that holds for the event. An error says why its
// fields could not be laid out to their end: rules were asked about what stands
// before.
func (d *Detector) Judge(e *core.Event, emit func(Match)) error {
	d.stats.Events.Add(1)
	d.view.Reset()
	sources, _ := d.norm.Event(e, d.view.Set)
	err := d.view.Load(e.Fields)
	if err != nil {
		d.stats.Opaque.Add(1)
	}
	// The fields may say of an event, whatever the normaliser took it for, where
	// it comes from: one name more in it must not keep rules from being asked.
	if routed := d.view.Sources(); len(sources) == 0 {
		sources = routed
	} else if len(routed) > 0 {
		d.sources = append(append(d.sources[:0], sources...), routed...)
		sources = d.sources
	}
	d.set.Engine.Match(d.view, sources, func(m sigma.Match) {
		d.stats.Matches.Add(1)
		emit(Match{
			Rule: m.Rule.ID, Rules: d.set.Hash, Alerts: m.Alerts && !d.set.muted[m.Rule.ID], Event: e.ID, At: e.Time, Received: e.Received, Tenant: e.Tenant,
			Source: e.Source, Provenance: e.Provenance, Simulated: e.Simulated, Device: e.Device, Type: e.Type, Fields: m.Fields(),
		})
	})
	return err
}

// decodeEvent reads a record of the raw journal. The frame's tenant is the
// receiver's word and must agree.
func decodeEvent(tenant core.TenantID, record []byte) (*core.Event, bool) {
	var e core.Event
	if json.Unmarshal(record, &e) != nil || e.ID.IsZero() || e.Tenant != tenant || e.Received.IsZero() {
		return nil, false
	}
	return &e, true
}
