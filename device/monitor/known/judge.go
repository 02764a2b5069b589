package known

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// pass lets time pass, as much of it as can be believed.
func (j *Judge) pass(now time.Time) {
	if j.last.IsZero() {
		j.last = now
		return
	}
	step := now.Sub(j.last)
	j.last = now
	if step <= 0 {
		return
	}
	j.memory.At += min(step, maxStep)
	every := keepEvery
	if !j.memory.Learned {
		every = learnEvery
	}
	j.changed = j.changed || j.memory.At-j.kept >= every
}

// Judge implements monitor.Judge.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	said := j.Tick(now)
	if r.Kind != sensor.Sighting || len(r.Parts) != 1 || r.Parts[0].Identity == "" {
		return said
	}
	return append(said, j.sight(tidy(r.Parts[0]))...)
}

// sight takes one identity that showed itself.
func (j *Judge) sight(p sensor.Part) []sensor.Reading {
	k := key(p)
	if e, ok := j.memory.Known[k]; ok {
		e.Seen = j.memory.At
		j.memory.Known[k] = e
		return nil
	}
	if !j.memory.Learned {
		return j.learn(k)
	}
	if e, ok := j.memory.New[k]; ok {
		e.Seen, e.About = j.memory.At, p.About
		j.memory.New[k] = e
		return nil
	}
	return j.newcomer(k, p)
}

// learn takes an identity for known, if there is room.
func (j *Judge) learn(k string) []sensor.Reading {
	if len(j.memory.Known) >= j.cfg.Room {
		return j.noRoom()
	}
	j.memory.Known[k] = entry{Seen: j.memory.At}
	j.changed = true
	return nil
}

// noRoom tells, once a day, that what is there is more than can be known.
func (j *Judge) noRoom() []sensor.Reading {
	if j.wasFull && j.memory.At-j.full < keepEvery {
		return nil
	}
	j.wasFull, j.full = true, j.memory.At
	return []sensor.Reading{{
		Kind: sensor.Pulse, Type: "identities_full", Severity: core.SeverityHigh,
		Fields: sensor.Fields(map[string]any{"room": j.cfg.Room, "learning": !j.memory.Learned}),
	}}
}

// newcomer tells of an identity that is not known, or counts it as one of a
// flood.
func (j *Judge) newcomer(k string, p sensor.Part) []sensor.Reading {
	b := j.bursts[p.Class]
	if b == nil {
		if len(j.bursts) >= maxClasses {
			return j.noRoom()
		}
		b = &burst{began: j.memory.At}
		j.bursts[p.Class] = b
	}
	b.count++
	if b.count > j.cfg.Burst || j.newOf(p.Class) >= roomFor(p.Class) || len(j.memory.New) >= maxNew {
		return b.flood(p)
	}
	j.memory.New[k] = entry{Seen: j.memory.At, Told: j.memory.At, About: p.About}
	j.altered()
	return []sensor.Reading{j.tellNew(p)}
}

func roomFor(class string) int {
	switch class {
	case "neighbour":
		return newRoom
	case "access-point":
		return 2 * roleRoom
	}
	return roleRoom
}

// newOf is how many newcomers of a class there are.
func (j *Judge) newOf(class string) (count int) {
	for k := range j.memory.New {
		if partOf(k).Class == class {
			count++
		}
	}
	return count
}

// flood counts newcomers beyond those that are told singly. The first is told at
// once, how many there were when the hour is over.
func (b *burst) flood(p sensor.Part) []sensor.Reading {
	b.over++
	b.last = p.Identity
	if b.over > 1 {
		return nil
	}
	b.first = p.Identity
	return []sensor.Reading{b.tell(p.Class, p.Place)}
}

func (b *burst) tell(class, place string) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Pulse, Point: place, Type: "identity_flood", Severity: core.SeverityHigh, Alarm: true,
		Fields: sensor.Fields(map[string]any{"class": class, "count": b.over, "first": b.first, "last": b.last, "room": roomFor(class)}),
	}
}

func (j *Judge) tellNew(p sensor.Part) sensor.Reading {
	fields := map[string]any{"class": p.Class, "place": p.Place, "identity": p.Identity, "sha256": j.sum()}
	for k, v := range p.About {
		fields["about_"+k] = v
	}
	r := sensor.Reading{
		Kind: sensor.Pulse, Point: p.Place, Type: "identity_new", Severity: core.SeverityMedium, Alarm: j.cfg.Alarm, Fields: sensor.Fields(fields),
	}
	switch p.Class {
	case "neighbour":
		r.Type = "neighbour_new"
	case "switch-port":
		r.Type = "switch_port_new"
	case "access-point":
		r.Type = "access_point_new"
	case "gateway":
		r.Type, r.Severity = "gateway_new", core.SeverityHigh
	case "dhcp-server":
		r.Type, r.Severity = "dhcp_server_new", core.SeverityHigh
	case "bmc-intrusion":
		r.Type, r.Severity = "bmc_intrusion_logged", core.SeverityHigh
	case "router":
		r.Type, r.Severity = "router_new", core.SeverityHigh
	}
	if j.cfg.Randomised == "low" && p.About["randomised"] == "true" {
		r.Severity, r.Alarm = core.SeverityLow, false
	}
	return r
}

// list is the list as it stands: how many are known, and the newcomers by name.
// The known are too many to name in each event. What newcomers say of themselves
// is left out where it would not fit: it could be meant not to.
func (j *Judge) list() sensor.Reading {
	fields := j.listFields(true)
	if len(fields) > maxList {
		fields = j.listFields(false)
	}
	return sensor.Reading{Kind: sensor.Inventory, Point: "known", Type: "inventory", Severity: core.SeverityInfo, Fields: fields}
}

func (j *Judge) listFields(about bool) json.RawMessage {
	parts := make([]sensor.Part, 0, len(j.memory.New))
	for _, k := range sortedKeys(j.memory.New) {
		p := partOf(k)
		if about {
			p.About = j.memory.New[k].About
		}
		parts = append(parts, p)
	}
	return sensor.Fields(map[string]any{
		"kind": "known", "learned": j.memory.Learned, "known": len(j.memory.Known), "new": parts, "sha256": j.sum(),
	})
}

// altered notes that the list is another one: it is told in a while, and kept.
func (j *Judge) altered() {
	j.changed = true
	if !j.listDue {
		j.listDue, j.listAt = true, j.memory.At+listAfter
	}
}

// Tick implements monitor.Judge.
func (j *Judge) Tick(now time.Time) []sensor.Reading {
	j.pass(now)
	said := j.endFlood()
	if j.memory.At-j.swept >= hour {
		j.swept = j.memory.At
		said = append(said, j.expire()...)
	}
	if j.memory.At-j.looked >= lookEvery {
		j.looked = j.memory.At
		said = append(said, j.surroundings()...)
	}
	if !j.memory.Learned && j.memory.At >= j.cfg.Learn {
		j.memory.Learned = true
		j.altered()
		j.listAt = j.memory.At
	}
	if j.listDue && j.memory.At >= j.listAt {
		j.listDue = false
		said = append(said, j.list())
	}
	return said
}

// endFlood tells how many newcomers a flood had, at the end of its hour.
func (j *Judge) endFlood() []sensor.Reading {
	var said []sensor.Reading
	for _, class := range slices.Sorted(maps.Keys(j.bursts)) {
		b := j.bursts[class]
		if j.memory.At-b.began < hour {
			continue
		}
		if b.over > 1 {
			said = append(said, b.tell(class, ""))
		}
		delete(j.bursts, class)
	}
	return said
}

// expire forgets. A newcomer is forgotten a while after it was told, so that one
// that is still there is told again.
func (j *Judge) expire() []sensor.Reading {
	var said []sensor.Reading
	for _, k := range sortedKeys(j.memory.New) {
		if j.memory.At-j.memory.New[k].Told >= j.cfg.Forget {
			delete(j.memory.New, k)
			j.altered()
		}
	}
	for _, k := range sortedKeys(j.memory.Known) {
		if unseen := j.memory.At - j.memory.Known[k].Seen; unseen >= j.cfg.Expire {
			delete(j.memory.Known, k)
			j.altered()
			p := partOf(k)
			said = append(said, sensor.Reading{
				Kind: sensor.Pulse, Point: p.Place, Type: "identity_expired", Severity: core.SeverityInfo,
				Fields: sensor.Fields(map[string]any{"class": p.Class, "place": p.Place, "identity": p.Identity, "unseen_h": int(unseen.Hours())}),
			})
		}
	}
	return said
}

func sortedKeys(m map[string]entry) []string {
	return slices.Sorted(maps.Keys(m))
}

// Next implements monitor.Judge: an hour is fine enough for days, and the end of
// the learning is met.
func (j *Judge) Next() time.Time {
	if j.last.IsZero() {
		return time.Time{} // it starts with the first reading
	}
	wait := hour
	if left := j.cfg.Learn - j.memory.At; !j.memory.Learned && left > 0 {
		wait = min(wait, left)
	}
	if j.listDue {
		wait = min(wait, max(j.listAt-j.memory.At, 0))
	}
	return j.last.Add(wait)
}

// Accept implements monitor.Learner: the newcomers are known from now on.
func (j *Judge) Accept(now time.Time, sha256 string) ([]sensor.Reading, error) {
	j.pass(now)
	if sum := j.sum(); sum != sha256 {
		return nil, core.E(core.KindConflict, "known.Accept", fmt.Sprintf("the list is another one now: %s", sum)).
			WithHint("look at the list as it stands, and sign an order for that one")
	}
	if len(j.memory.Known)+len(j.memory.New) > j.cfg.Room {
		return nil, core.E(core.KindTooLarge, "known.Accept", fmt.Sprintf("there is room for %d", j.cfg.Room))
	}
	for k, e := range j.memory.New {
		j.memory.Known[k] = entry{Seen: e.Seen}
	}
	clear(j.memory.New)
	j.memory.Learned, j.changed, j.listDue = true, true, false
	return []sensor.Reading{j.list()}, nil
}
