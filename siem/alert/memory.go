package alert

import (
	"slices"

	"github.com/interlock-security/interlock/core"
)

// Memory folds raises into alerts as [Store] does, without a database: for
// replays and for tests of rules. The same raises in the same order give the
// same alerts, ids and all; nobody acknowledges or closes any here.
type Memory struct {
	all  []Alert
	live map[string]*counted
	most int
	left uint64
}

// counted is a live alert with the events that it has counted.
type counted struct {
	at     int
	events map[core.UUID]bool
	order  []core.UUID
}

// NewMemory returns a memory of at most so many alerts; 0 is no bound.
func NewMemory(most int) *Memory { return &Memory{live: make(map[string]*counted), most: most} }

// Alerts returns the alerts in the order in which they were opened.
func (m *Memory) Alerts() []Alert { return m.all }

// Left returns how many raises came to nothing because there was no room for
// another alert.
func (m *Memory) Left() uint64 { return m.left }

// Raise takes one raise.
func (m *Memory) Raise(r Raise) error {
	if err := check(r); err != nil {
		return err
	}
	r.Events = distinct(r.Events)
	print := r.Fingerprint()
	c := m.live[print]
	if c != nil && m.all[c.at].Ended(r.Now) {
		c = nil
	}
	if c == nil {
		return m.open(print, r)
	}
	r.Events = slices.DeleteFunc(r.Events, func(e Event) bool { return c.events[e.ID] })
	if len(r.Events) > 0 {
		m.all[c.at] = m.all[c.at].Fold(r)
		c.count(r.Events)
	}
	return nil
}

func (m *Memory) open(print string, r Raise) error {
	if m.most > 0 && len(m.all) >= m.most {
		m.left++
		return nil
	}
	c := &counted{at: len(m.all), events: make(map[core.UUID]bool)}
	c.count(r.Events)
	m.live[print] = c
	m.all = append(m.all, Open(r))
	return nil
}

// count remembers the latest events, as far as the store does.
func (c *counted) count(events []Event) {
	for _, e := range events {
		c.events[e.ID] = true
		c.order = append(c.order, e.ID)
	}
	if over := len(c.order) - horizon; over > 0 {
		for _, id := range c.order[:over] {
			delete(c.events, id)
		}
		c.order = slices.Delete(c.order, 0, over)
	}
}
