package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// CapWindow is the hour over which containment is counted.
const CapWindow = time.Hour

// maxLift bounds how long a lifted cap stays lifted.
const maxLift = 24 * time.Hour

// Limits is how many objects an actor of each kind may contain within
// [CapWindow].
type Limits struct {
	Person  int `yaml:"person" json:"person"`
	Service int `yaml:"service" json:"service"`
}

// DefaultLimits fits a site of some dozens of machines. A playbook that
// isolates more than ten in an hour is taken for a playbook that is being used
// as a weapon (TRUST F17).
var DefaultLimits = Limits{Person: 25, Service: 10}

// Caps counts the blast radius of containment by actor and hour (TRUST F04). An
// object counts once in the window however often it is contained; a request for
// many objects states their number as the attribute "devices". Two persons,
// neither of them the actor, can lift the cap.
//
// It only ever counts what was permitted; refusals cost nothing, so an actor
// can't be starved by somebody else's requests. Safe for concurrent use.
type Caps struct {
	clock  core.Clock
	limits Limits

	mu     sync.Mutex
	actors map[string]*actor
}

type actor struct {
	used  []Use
	extra int
	until time.Time
}

// Use is one object that an actor contained.
type Use struct {
	Object string    `json:"object"`
	Weight int       `json:"weight"`
	At     time.Time `json:"at"`
}

// NewCaps returns caps where nothing is used.
func NewCaps(clock core.Clock, limits Limits) *Caps {
	return &Caps{clock: clock, limits: limits, actors: make(map[string]*actor)}
}

func (c *Caps) limit(who core.Principal) int {
	switch who.Kind {
	case core.KindPerson:
		return c.limits.Person
	case core.KindService:
		return c.limits.Service
	}
	return 0
}

// take counts the object against the actor's cap. undo gives it back, for an
// effect that does not happen because its record can't be made.
func (c *Caps) take(who core.Principal, on core.Resource) (undo func(), err error) {
	weight, err := weightOf(on)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	name := actorName(who.Tenant, who.String())
	a := c.actor(name, now)
	object := on.String()
	for _, u := range a.used {
		if u.Object == object && u.Weight >= weight {
			return func() {}, nil
		}
	}
	limit := c.limit(who)
	if now.Before(a.until) {
		limit += a.extra
	}
	if used := sum(a.used); used+weight > limit {
		return nil, fmt.Errorf("the cap on containment is reached: %d of %d within %s; two other persons can lift it", used, limit, CapWindow)
	}
	a.used = append(a.used, Use{object, weight, now})
	return func() { c.give(name, object, now) }, nil
}

// weightOf reads how many objects a request is about. A number that makes no
// sense is refused, not taken for one.
func weightOf(on core.Resource) (int, error) {
	v, stated := on.Attrs["devices"]
	if !stated {
		return 1, nil
	}
	n, ok := v.(int64)
	if !ok || n < 1 || n > 1<<30 {
		return 0, fmt.Errorf("the attribute devices of %s is %v, not a number of devices", on, v)
	}
	return int(n), nil
}

// actorName keeps equal names of two tenants apart.
func actorName(tenant core.TenantID, who string) string { return tenant.String() + "/" + who }

// actor returns an actor without what has left the window. A use in the future
// stays: a clock that was set back must not empty the window.
func (c *Caps) actor(name string, now time.Time) *actor {
	a := c.actors[name]
	if a == nil {
		a = &actor{}
		c.actors[name] = a
	}
	a.used = slices.DeleteFunc(a.used, func(u Use) bool { return now.Sub(u.At) >= CapWindow })
	return a
}

func (c *Caps) give(name, object string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.actors[name]
	if i := slices.IndexFunc(a.used, func(u Use) bool { return u.Object == object && u.At.Equal(at) }); i >= 0 {
		a.used = slices.Delete(a.used, i, i+1)
	}
}

func sum(used []Use) int {
	n := 0
	for _, u := range used {
		n += u.Weight
	}
	return n
}

// Lift raises an actor's cap by extra objects until the time given, at most a
// day away. It takes two different persons, neither of them the actor; that
// they agreed is the caller's to have proved.
func (c *Caps) Lift(tenant core.TenantID, who core.Principal, extra int, until time.Time, by ...core.PersonID) error {
	const op = "policy.Lift"
	if err := lifters(who, by); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if extra < 1 || !until.After(now) || until.Sub(now) > maxLift {
		return core.E(core.KindInvalid, op, fmt.Sprintf("a cap is lifted by at least one object for at most %s", maxLift))
	}
	a := c.actor(actorName(tenant, who.String()), now)
	a.extra, a.until = extra, until
	return nil
}

func lifters(who core.Principal, by []core.PersonID) error {
	var different []core.PersonID
	for _, p := range by {
		if p.IsZero() || slices.Contains(different, p) {
			continue
		}
		if who.Kind == core.KindPerson && p.String() == who.ID {
			return core.E(core.KindDenied, "policy.Lift", "nobody lifts the own cap")
		}
		different = append(different, p)
	}
	if len(different) < 2 {
		return core.E(core.KindDenied, "policy.Lift", "a cap is lifted by two persons")
	}
	return nil
}

// Used returns how many objects an actor contained within the window.
func (c *Caps) Used(who core.Principal) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.actors[actorName(who.Tenant, who.String())]
	if a == nil {
		return 0
	}
	now := c.clock.Now()
	n := 0
	for _, u := range a.used {
		if now.Sub(u.At) < CapWindow {
			n += u.Weight
		}
	}
	return n
}

// CapState is one actor's count, for keeping it over a restart.
type CapState struct {
	Actor string    `json:"actor"`
	Used  []Use     `json:"used"`
	Extra int       `json:"extra"`
	Until time.Time `json:"until"`
}

// Snapshot returns the counts, sorted by actor.
func (c *Caps) Snapshot() []CapState {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	out := []CapState{}
	for name := range c.actors {
		a := c.actor(name, now)
		if len(a.used) == 0 && !now.Before(a.until) {
			delete(c.actors, name)
			continue
		}
		out = append(out, CapState{name, slices.Clone(a.used), a.extra, a.until})
	}
	slices.SortFunc(out, func(a, b CapState) int { return strings.Compare(a.Actor, b.Actor) })
	return out
}

// Restore takes the counts of a snapshot instead of the present ones.
func (c *Caps) Restore(states []CapState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.actors = make(map[string]*actor, len(states))
	for _, s := range states {
		c.actors[s.Actor] = &actor{used: slices.Clone(s.Used), extra: s.Extra, until: s.Until}
	}
}
