package web

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/response/incident"
)

// told is what a story left behind.
type told struct {
	alert    string
	incident incident.Incident
	release  string // an order that waits for signatures
	trip     string
}

// story is a plant after a break-in: one device is open and contained, one waits
// to be taken in, some are fine, a release waits for signatures, a stop is in
// force.
func story(p *plant) told {
	p.t.Helper()
	for i := range 6 {
		id := core.MustID[core.DeviceID](fmt.Sprintf("saw-%d", i+1))
		p.device(id, false)
		p.sql(`UPDATE fleet_devices SET epoch = '0123456789abcdef0123456789abcdef', sequence = 12, last_seen = 1700000000000000, link = $1 WHERE id = $2`, []string{"online", "stale", "offline"}[i%3], id)
	}
	p.device(core.MustID[core.DeviceID]("oven-9"), true)
	p.device(plantPress, false)
	p.reports(plantPress)
	a := p.raise(plantPress, "The case of a device was opened")
	in := p.tampered(plantPress, a)
	s := told{alert: a.ID.String(), incident: in}
	p.move(in.ID, "triaged", "")
	p.submit("anna", "/devices/press-7/quarantine", "reason", "case found open")
	s.release = p.submit("otto", "/devices/press-7/release", "reason", "technician found a loose screw")
	p.move(in.ID, "contained", "switch port 7 is shut")
	p.settle()
	s.trip = p.submit("anna", "/stop", "scope", "site/hall-a")
	return s
}

func (p *plant) move(id core.UUID, to, reason string) {
	p.t.Helper()
	p.submit("anna", "/incidents/"+id.String()+"/move", "to", to, "reason", reason)
}
