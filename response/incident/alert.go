package incident

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Alert is what an incident is opened from: the record of the topic "alerts".
// Its owner is siem/alert; this package reads the fields that it needs.
type Alert struct {
	ID     core.UUID     `json:"id"`
	Tenant core.TenantID `json:"tenant"`
	Site   core.SiteID   `json:"site,omitzero"`
	Rule   string        `json:"rule"`
	// Family groups rules of one kind of attack; empty means the rule alone.
	Family   string        `json:"family,omitempty"`
	Title    string        `json:"title"`
	Severity core.Severity `json:"severity"`
	// Source is the authenticated peer of the events, Device the device that
	// this peer is. Neither is ever a field of an event.
	Source     string          `json:"source"`
	Device     core.DeviceID   `json:"device,omitzero"`
	Provenance core.Provenance `json:"provenance"` // the weakest of its events
	Simulated  bool            `json:"simulated,omitempty"`
	Safety     bool            `json:"safety_relevant,omitempty"`
	Count      uint64          `json:"count"`
	First      time.Time       `json:"first"`
	Last       time.Time       `json:"last"`
}

// DecodeAlert reads a record of the topic "alerts". The topic is ours and gains
// fields before its readers do, so unknown fields are left alone; what is
// missing is refused.
func DecodeAlert(record []byte) (Alert, error) {
	var a Alert
	if err := json.Unmarshal(record, &a); err != nil {
		return Alert{}, core.Wrap(core.KindInvalid, "incident.DecodeAlert", err)
	}
	return a, a.check()
}

func (a Alert) check() error {
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"id", a.ID.IsZero()},
		{"tenant", a.Tenant.IsZero()},
		{"rule", a.Rule == ""},
		{"severity", a.Severity.Rank() < 0},
		{"source or device", a.Source == "" && a.Device.IsZero()},
		{"provenance", a.Provenance == ""},
		{"first", a.First.IsZero()},
	} {
		if field.missing {
			return core.E(core.KindInvalid, "incident.Alert", fmt.Sprintf("alert %s has no %s", a.ID, field.name))
		}
	}
	return nil
}

// subject is what the alert says is under attack.
func (a Alert) subject() string {
	if !a.Device.IsZero() {
		return "device/" + a.Device.String()
	}
	return "source/" + a.Source
}

func (a Alert) family() string {
	if a.Family != "" {
		return a.Family
	}
	return a.Rule
}

// open makes the incident that the alert is the first of.
func (a Alert) open(now time.Time) Incident {
	return Incident{
		ID: core.NewUUID(now), Tenant: a.Tenant, Site: a.Site, Subject: a.subject(), Device: a.Device,
		Family: a.family(), Rule: a.Rule, Title: a.Title, Severity: a.Severity, State: StateNew,
		Provenance: a.Provenance, Simulated: a.Simulated, Safety: a.Safety, Revision: 1, Alerts: 1,
		Stamps: Stamps{Occurred: a.First, Detected: now},
	}
}

// attach adds one more alert. Severity and safety only rise, provenance only
// weakens, and one real alert makes the incident real.
func (in Incident) attach(a Alert) Incident {
	in.Revision++
	in.Alerts++
	if a.Severity.Rank() > in.Severity.Rank() {
		in.Severity = a.Severity
	}
	if weaker(a.Provenance, in.Provenance) {
		in.Provenance = a.Provenance
	}
	in.Simulated = in.Simulated && a.Simulated
	in.Safety = in.Safety || a.Safety
	if a.First.Before(in.Stamps.Occurred) {
		in.Stamps.Occurred = a.First
	}
	return in
}

func weaker(a, b core.Provenance) bool { return rank(a) > rank(b) }

func rank(p core.Provenance) int {
	for i, known := range core.Provenances {
		if p == known {
			return i
		}
	}
	return len(core.Provenances)
}
