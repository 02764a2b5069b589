package known

import (
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	// around is for how long none of the known may be seen, while strangers are,
	// before the device is elsewhere: well beyond the ten minutes after which a
	// station that is there is sighted anew.
	around = 30 * time.Minute
	// minKnown is how many known ones it takes to miss them, minStrangers how many
	// strangers to be among them.
	minKnown     = 4
	minStrangers = 3
)

// group is what is around the device in one way: the stations of a segment, the
// access points in the air.
type group struct{ class, place string }

// census is how many of a group there are, and were seen lately.
type census struct{ known, seen, strangers int }

// surroundings says whether the device is among strangers: in every way in which
// it knew what was around it, none of that is there, and others are.
func (j *Judge) surroundings() []sensor.Reading {
	if j.memory.At-j.begun < around {
		return nil // those that are there had not the time to show themselves
	}
	said := []sensor.Reading{}
	counted := j.count()
	for _, g := range slices.SortedFunc(maps.Keys(counted), group.compare) {
		c := counted[g]
		was := j.elsewhere[g]
		switch {
		case !was && c.known >= minKnown && c.seen == 0 && c.strangers >= minStrangers:
			j.elsewhere[g] = true
		case was && c.seen > 0:
			delete(j.elsewhere, g)
		}
		if j.elsewhere[g] != was {
			said = append(said, g.tell(!was, c))
		}
	}
	return said
}

func (j *Judge) count() map[group]census {
	all := map[group]census{}
	for k, e := range j.memory.Known {
		p := partOf(k)
		c := all[group{p.Class, p.Place}]
		c.known++
		if j.memory.At-e.Seen < around && e.Seen >= j.begun {
			c.seen++
		}
		all[group{p.Class, p.Place}] = c
	}
	for k, e := range j.memory.New {
		p := partOf(k)
		c := all[group{p.Class, p.Place}]
		if j.memory.At-e.Seen < around && e.Seen >= j.begun {
			c.strangers++
		}
		all[group{p.Class, p.Place}] = c
	}
	return all
}

func (g group) compare(other group) int {
	return slices.Compare([]string{g.class, g.place}, []string{other.class, other.place})
}

func (g group) tell(elsewhere bool, c census) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: g.class + "@" + g.place, Type: "surroundings_changed", Clear: "surroundings_known", Severity: core.SeverityHigh,
		Active: elsewhere, Alarm: true, Settled: true,
		Fields: sensor.Fields(map[string]any{"class": g.class, "place": g.place, "known": c.known, "known_seen": c.seen, "strangers": c.strangers}),
	}
}
