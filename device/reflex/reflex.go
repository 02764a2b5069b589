// Package reflex is what a device does by itself, offline and in milliseconds:
// quarantine (only the link to the server stays) and stop (every output goes to
// its safe state). device/agent calls it before anything is written down: no
// safe effect waits for a disk (TRUST F06).
//
// The quarantine is a table of the kernel's firewall. It does not stop what
// bypasses that: a process that already has a raw packet socket, and ARP, which
// stays because the server's link needs it. Nor is a stop request a
// safety-rated function; it stands beside the wired emergency stop, never
// instead of it.
package reflex

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Status is what the kernel says about the quarantine.
type Status struct {
	Present bool   `json:"present"`
	Intact  bool   `json:"intact"` // present, and exactly what should be there
	Why     string `json:"why,omitempty"`
}

// Firewall applies a quarantine. Every method is idempotent.
type Firewall interface {
	// Enforces says whether Apply has an effect on this machine.
	Enforces() bool
	Apply(Allow) error
	Remove() error
	Status(Allow) (Status, error)
}

// Dry is the firewall of a machine whose owner did not ask for enforcement: it
// changes nothing and says so.
type Dry struct{}

// Enforces implements [Firewall].
func (Dry) Enforces() bool { return false }

// Apply implements [Firewall].
func (Dry) Apply(Allow) error { return nil }

// Remove implements [Firewall].
func (Dry) Remove() error { return nil }

// Status implements [Firewall].
func (Dry) Status(Allow) (Status, error) {
	return Status{Why: "not enforced on this machine"}, nil
}

// Controller holds the reflexes of a device. Safe for concurrent use.
type Controller struct {
	fw      Firewall
	outputs []Output
	allow   func() Allow

	mu        sync.Mutex
	contained bool
	applied   Allow
}

// New returns a controller that holds nothing back yet. allow says what stays
// open, at the moment of applying.
func New(fw Firewall, allow func() Allow, outputs ...Output) *Controller {
	return &Controller{fw: fw, outputs: outputs, allow: allow}
}

// Effect is what a reflex did.
type Effect struct {
	Name     string // "quarantine", "release", "stop"
	Enforced bool   // false: this machine only says what it would do
	Plan     string // the rules, where there are any
	Took     time.Duration
	Err      error
}

// Contain puts the device in quarantine.
func (c *Controller) Contain() Effect {
	start := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	allow := c.allow()
	err := c.fw.Apply(allow)
	c.contained, c.applied = true, allow // wanted, even where it failed: Check tries again
	return Effect{Name: "quarantine", Enforced: c.fw.Enforces() && err == nil, Plan: Plan(allow), Took: time.Since(start), Err: err}
}

// Release lifts the quarantine.
func (c *Controller) Release() Effect {
	start := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.fw.Remove()
	c.contained = err != nil
	return Effect{Name: "release", Enforced: c.fw.Enforces(), Took: time.Since(start), Err: err}
}

// Contained says whether the device should be in quarantine.
func (c *Controller) Contained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contained
}

// Check compares the kernel with what should be there and mends it. It returns
// what was wrong, "" for nothing: somebody changed the rules, or they could not
// be applied before.
func (c *Controller) Check() (wrong string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.contained || !c.fw.Enforces() {
		return "", nil
	}
	st, err := c.fw.Status(c.applied)
	if err != nil {
		return "", err
	}
	if st.Intact {
		return "", nil
	}
	c.applied = c.allow()
	if err := c.fw.Apply(c.applied); err != nil {
		return st.Why, err
	}
	return st.Why, nil
}

// Status reads the quarantine back from the kernel.
func (c *Controller) Status() (Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	allow := c.applied
	if !c.contained {
		allow = c.allow()
	}
	return c.fw.Status(allow)
}

// Plan prints the rules that a quarantine would apply now.
func (c *Controller) Plan() string { return Plan(c.allow()) }

// Stop brings every output to its safe state, all at once: one that hangs holds
// up no other. Outputs that did not answer within wait are named in the error;
// they are still being tried.
func (c *Controller) Stop(clock core.Clock, wait time.Duration) Effect {
	start := time.Now()
	pending := map[string]bool{}
	type answer struct {
		id  string
		err error
	}
	answers := make(chan answer, len(c.outputs))
	for _, o := range c.outputs {
		pending[o.ID()] = true
		go func() { answers <- answer{o.ID(), o.Safe()} }()
	}
	var errs []error
	late := clock.After(wait)
	for len(pending) > 0 {
		select {
		case a := <-answers:
			delete(pending, a.id)
			if a.err != nil {
				errs = append(errs, fmt.Errorf("output %s: %w", a.id, a.err))
			}
		case <-late:
			for id := range pending {
				errs = append(errs, core.E(core.KindUncertain, "reflex.Stop", "output "+id+" did not answer"))
			}
			pending = nil
		}
	}
	return Effect{Name: "stop", Enforced: true, Took: time.Since(start), Err: errors.Join(errs...)}
}

// Resume allows the outputs again. Whether one then energises is its owner's
// decision: a reset never starts anything. still says why the outputs must stay
// as they are, nil for nothing; it is asked before and after, so that a stop that
// comes in between wins whichever of the two writes first.
func (c *Controller) Resume(still func() error) error {
	if err := still(); err != nil {
		return err
	}
	err := c.resume()
	if no := still(); no != nil {
		return errors.Join(no, c.safe())
	}
	return err
}

func (c *Controller) safe() error {
	var errs []error
	for _, o := range c.outputs {
		errs = append(errs, o.Safe())
	}
	return errors.Join(errs...)
}

func (c *Controller) resume() error {
	var errs []error
	for _, o := range c.outputs {
		if err := o.Resume(); err != nil {
			errs = append(errs, fmt.Errorf("output %s: %w", o.ID(), err))
		}
	}
	return errors.Join(errs...)
}

// Outputs reads back every output.
func (c *Controller) Outputs() map[string]string {
	all := map[string]string{}
	for _, o := range c.outputs {
		state, err := o.State()
		if err != nil {
			state = "unknown: " + err.Error()
		}
		all[o.ID()] = state
	}
	return all
}
