package audit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
)

// PermitLife is how long after its permit an act may come to the log.
const PermitLife = 7 * 24 * time.Hour

// Permit is what the Guard permitted, before it was done.
type Permit struct {
	Action core.Action
	Actor  string
	Object string
	Params string
	at     time.Time
}

// Permits are the intents of a log that nothing was done on yet. Entries of
// authority reach the log through a table that somebody may have written; permits
// do not, so whoever believes such an entry wants its permit, and each permit is
// good for one.
type Permits struct {
	actions map[core.Action]bool
	open    map[string]Permit // by the entry's position
}

// NewPermits keeps the permits of some actions.
func NewPermits(actions ...core.Action) *Permits {
	p := &Permits{actions: make(map[core.Action]bool), open: make(map[string]Permit)}
	for _, a := range actions {
		p.actions[a] = true
	}
	return p
}

// Add takes an entry of the log and keeps it if it is a permit of those actions.
// What is too old by then is forgotten.
func (p *Permits) Add(rec Record) {
	if rec.Header.Type != TypeIntent || rec.Header.Outcome != "permitted" || !p.actions[rec.Header.Action] {
		return
	}
	var body struct {
		Resource struct {
			Params string `json:"params"`
		} `json:"resource"`
	}
	_ = json.Unmarshal(rec.Body, &body) // without parameters it permits nothing that has some
	now := time.UnixMicro(rec.Header.Time)
	for at, old := range p.open {
		if now.Sub(old.at) > PermitLife {
			delete(p.open, at)
		}
	}
	// As in the header of an entry that names its intent.
	at := fmt.Sprintf("%s#%d", rec.Position.Origin, rec.Position.Index)
	p.open[at] = Permit{rec.Header.Action, rec.Actor, rec.Object, body.Resource.Params, now}
}

// Take takes the permit that an entry names, whatever it permits.
func (p *Permits) Take(rec Record) (Permit, bool) {
	permit, found := p.open[rec.Header.Intent]
	delete(p.open, rec.Header.Intent)
	return permit, found
}

// TakeFor takes the permit that an entry names if it is one of exactly this
// object to exactly these parameters, by who was permitted it; another stays.
func (p *Permits) TakeFor(rec Record, params string) (Permit, bool) {
	permit, found := p.open[rec.Header.Intent]
	if !found || permit.Object != rec.Object || permit.Actor != rec.Actor || permit.Params != params {
		return Permit{}, false
	}
	return p.Take(rec)
}
