package stop

import (
	"slices"
	"sync"

	"github.com/interlock-security/interlock/core"
)

// Signer makes the signed stop order for one device: an envelope as the device's
// stream carries it, with the stop's ID as the order's ID. It runs on the
// goroutine of the device's stream, so a slow one delays that device alone; it
// must need no disk, no database and no other process.
type Signer func(Stop, Target) ([]byte, error)

// Hub fans stops out to the devices' streams. It keeps the active stops, so a
// device that connects later gets them too. Nothing in it blocks or grows with
// a slow reader: a stream has no queue but a place in the list of active stops.
// Safe for concurrent use.
type Hub struct {
	sign Signer

	mu     sync.Mutex
	last   uint64
	active []activeStop // in order of seq
	subs   map[core.TenantID]map[*Subscription]struct{}
}

type activeStop struct {
	Stop
	seq uint64
	out map[core.DeviceID]bool // devices that a reset took out
}

// NewHub returns a hub without stops.
func NewHub(sign Signer) *Hub {
	return &Hub{sign: sign, subs: make(map[core.TenantID]map[*Subscription]struct{})}
}

// Publish makes a stop active and wakes the streams in its scope. It takes the
// place of an earlier stop of the same scope, whose ID is returned.
func (h *Hub) Publish(s Stop) (replaced core.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active = slices.DeleteFunc(h.active, func(a activeStop) bool {
		if a.sameScope(s) {
			replaced = a.ID
			return true
		}
		return false
	})
	h.last++
	h.active = append(h.active, activeStop{Stop: s, seq: h.last})
	for sub := range h.subs[s.Tenant] {
		if s.Covers(sub.target) {
			sub.wakeUp()
		}
	}
	return replaced
}

// End takes a stop, or devices out of it, from what is given to streams. It
// reports whether there was such a stop.
func (h *Hub) End(id core.UUID, devices ...core.DeviceID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.active, func(a activeStop) bool { return a.ID == id })
	if i < 0 {
		return false
	}
	if len(devices) == 0 {
		h.active = slices.Delete(h.active, i, i+1)
		return true
	}
	if h.active[i].out == nil {
		h.active[i].out = make(map[core.DeviceID]bool, len(devices))
	}
	for _, d := range devices {
		h.active[i].out[d] = true
	}
	return true
}

// Active returns the active stops, oldest first.
func (h *Hub) Active() []Stop {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Stop, len(h.active))
	for i, a := range h.active {
		out[i] = a.Stop
	}
	return out
}

// Subscribe opens a device's stream. Stops that are active now are waiting in
// it already. Close it when the stream ends.
func (h *Hub) Subscribe(t Target) *Subscription {
	s := &Subscription{hub: h, target: t, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs[t.Tenant] == nil {
		h.subs[t.Tenant] = make(map[*Subscription]struct{})
	}
	h.subs[t.Tenant][s] = struct{}{}
	s.wakeUp()
	return s
}

// Subscription is one device's stream of stop orders. One goroutine reads it.
type Subscription struct {
	hub    *Hub
	target Target
	wake   chan struct{}
	cursor uint64 // seq of the last stop taken
}

// Delivery is a stop and the order that tells this device of it.
type Delivery struct {
	Stop  Stop
	Order []byte
}

func (s *Subscription) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// C receives when there may be something to [Subscription.Take].
func (s *Subscription) C() <-chan struct{} { return s.wake }

// Take returns the orders that this stream has not taken yet, oldest stop first.
// When signing fails it returns what was signed before, with the error; the rest
// waits for the next Take, which the caller makes after a moment.
func (s *Subscription) Take() ([]Delivery, error) {
	var out []Delivery
	for {
		a, ok := s.next()
		if !ok {
			return out, nil
		}
		order, err := s.hub.sign(a.Stop, s.target)
		if err != nil {
			return out, core.Wrap(core.KindUnavailable, "stop.Take", err)
		}
		s.cursor = a.seq
		out = append(out, Delivery{a.Stop, order})
	}
}

func (s *Subscription) next() (activeStop, bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, a := range s.hub.active {
		if a.seq > s.cursor && a.Covers(s.target) && !a.out[s.target.Device] {
			return a, true
		}
	}
	return activeStop{}, false
}

// Close ends the stream.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs[s.target.Tenant], s)
}
