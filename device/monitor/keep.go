package monitor

import (
	"context"
	"time"

	"github.com/interlock-security/interlock/core"
)

// firstKeep is how soon what was just learned is kept. The pause then grows to
// KeepEvery: a baseline moves with every reading, and flash wears.
const firstKeep = 5 * time.Second

// remember has the memory of the judges that learn written down.
func (m *Monitor) remember(ctx context.Context) {
	learners := m.learners()
	if m.cfg.Keep == nil || len(learners) == 0 {
		return
	}
	for pause := firstKeep; ; pause = min(2*pause, m.cfg.KeepEvery) {
		select {
		case <-ctx.Done():
			m.keepAll(learners)
			return
		case <-m.cfg.Clock.After(min(pause, m.cfg.KeepEvery)):
			m.keepAll(learners)
		}
	}
}

func (m *Monitor) learners() (ids []core.SensorID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range m.core.order {
		if m.core.inputs[id].learns() {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *Monitor) keepAll(ids []core.SensorID) {
	for _, id := range ids {
		_ = m.keepOne(id) // Keep tells of what it could not keep
	}
}

func (m *Monitor) keepOne(id core.SensorID) error {
	if m.cfg.Keep == nil {
		return nil
	}
	m.keep.Lock()
	defer m.keep.Unlock()
	m.mu.Lock()
	memory, changed := m.core.Memory(m.cfg.Clock.Now(), id)
	m.mu.Unlock()
	if !changed {
		return nil
	}
	return m.cfg.Keep(id, memory)
}

// Accept makes expected what the judges of a sensor have before them, if it has
// this SHA-256 (hex), and has that kept before it returns. Where it can't be kept
// the error says so: it is expected until the next start and no longer.
func (m *Monitor) Accept(id core.SensorID, sha256 string) (err error) {
	m.do(func(c *Core, now time.Time) (events []Event) {
		events, err = c.Accept(now, id, sha256)
		return events
	})
	if err != nil {
		return err
	}
	return m.keepOne(id)
}
