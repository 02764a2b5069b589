package playbook

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/config"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/recovery"
)

// Limits of a playbook.
const (
	MaxSize    = 32 << 10
	MaxSteps   = 32
	MaxTimeout = 7 * 24 * time.Hour
	MaxRetries = 10
	MaxReason  = 500
)

// Playbook is what to do when certain rules fire.
type Playbook struct {
	ID      string  `yaml:"id"`
	Version int     `yaml:"version"`
	Title   string  `yaml:"title"`
	Trigger Trigger `yaml:"trigger"`
	Steps   []Step  `yaml:"steps"`
	// Digest is the SHA-256, hex, of the bytes that it was read from.
	Digest string `yaml:"-"`
}

// Trigger says which incidents it answers to.
type Trigger struct {
	// Rules are the ids of the alert rules; any of them starts it.
	Rules []string `yaml:"rules"`
	// Provenance lists what starts it without a person. Only authenticated
	// kinds may stand here.
	Provenance []core.Provenance `yaml:"provenance"`
	// Simulated lets simulated evidence start it, for drills and the demo:
	// the events keep their mark.
	Simulated bool `yaml:"simulated"`
}

// Step is one thing to do. The target is always the incident's own device; a
// playbook cannot name another.
type Step struct {
	ID string `yaml:"id"`
	// Do is an action's kind, or "verify".
	Do      string        `yaml:"do"`
	Reason  string        `yaml:"reason"`
	Timeout time.Duration `yaml:"timeout"`
	// Retries is how often an attempt that came to nothing is made again.
	// Waiting is no attempt: for approvals, for a device, for a part of this
	// server that is away, a step waits until its timeout.
	Retries int `yaml:"retries"`
	// Before and After are the states that the incident enters when the step
	// starts and when it is done.
	Before []incident.State `yaml:"before"`
	After  []incident.State `yaml:"after"`
	// Checks are what verify runs.
	Checks []string `yaml:"checks"`
}

// DoVerify is the one step that is no action: it runs checks and closes.
const DoVerify = "verify"

//go:embed builtin/*.yml
var builtin embed.FS

// Builtin returns the playbooks that come with the product and their bytes.
func Builtin() (map[string][]byte, error) {
	files, err := fs.Glob(builtin, "builtin/*.yml")
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "playbook.Builtin", err)
	}
	all := map[string][]byte{}
	for _, name := range files {
		text, err := builtin.ReadFile(name)
		if err != nil {
			return nil, core.Wrap(core.KindInternal, "playbook.Builtin", err)
		}
		p, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[p.ID] = text
	}
	return all, nil
}

// Parse reads a playbook. An unknown key, a duplicate or a value of the wrong
// type is an error with line and column; so is a playbook that could harm.
func Parse(text []byte) (*Playbook, error) {
	if len(text) > MaxSize {
		return nil, core.E(core.KindTooLarge, "playbook.Parse", fmt.Sprintf("playbook has %d bytes, at most %d are allowed", len(text), MaxSize))
	}
	p := &Playbook{}
	if err := config.Parse(text, p); err != nil {
		return nil, fmt.Errorf("playbook: %w", err)
	}
	p.Digest = Digest(text)
	return p, nil
}

// Digest names the exact bytes of a playbook.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Validate implements config.Validator.
func (p *Playbook) Validate() error {
	if _, err := core.ParseID[core.ServiceID](p.ID); err != nil {
		return invalid("id: %v", err)
	}
	if p.Version < 1 {
		return invalid("%s: version is %d, it starts at 1", p.ID, p.Version)
	}
	if err := p.Trigger.validate(); err != nil {
		return invalid("%s: trigger: %v", p.ID, err)
	}
	if len(p.Steps) == 0 || len(p.Steps) > MaxSteps {
		return invalid("%s has %d steps, allowed are 1 to %d", p.ID, len(p.Steps), MaxSteps)
	}
	seen := map[string]bool{}
	for i, s := range p.Steps {
		if seen[s.ID] {
			return invalid("%s: step %d: id %q is used twice", p.ID, i+1, s.ID)
		}
		seen[s.ID] = true
		if err := s.validate(); err != nil {
			return invalid("%s: step %d: %v", p.ID, i+1, err)
		}
		if last := i == len(p.Steps)-1; last != (s.Do == DoVerify) {
			return invalid("%s: step %d: %s does %q; a playbook ends with verify and has no other: nothing else closes an incident", p.ID, i+1, s.ID, s.Do)
		}
	}
	return p.validateWay()
}

// way is the way that a playbook may take an incident.
var way = []incident.State{incident.StateTriaged, incident.StateContained, incident.StateEradicating, incident.StateRecovering, incident.StateVerifying}

// validateWay wants the steps to take the incident forward, state by state, and
// to arrive where verification begins.
func (p *Playbook) validateWay() error {
	var states []incident.State
	for i, s := range p.Steps {
		for _, to := range slices.Concat(s.Before, s.After) {
			if len(states) == len(way) || to != way[len(states)] {
				return invalid("%s: step %d: %s takes the incident to %q; all steps together go through %v, in this order and each once", p.ID, i+1, s.ID, to, way)
			}
			states = append(states, to)
		}
	}
	if len(states) < len(way) {
		return invalid("%s: the steps take the incident through %v; all of %v are needed before it can be closed", p.ID, states, way)
	}
	if before := p.Steps[len(p.Steps)-1].Before; len(before) == 0 {
		return invalid("%s: the state verifying belongs to the step that verifies", p.ID)
	}
	return nil
}

func (t Trigger) validate() error {
	if len(t.Rules) == 0 || slices.Contains(t.Rules, "") {
		return invalid("it names no rule, or an empty one")
	}
	if len(t.Provenance) == 0 {
		return invalid("it names no provenance")
	}
	for _, p := range t.Provenance {
		if !p.Authenticated() {
			return invalid("provenance %q does not start anything without a person", p)
		}
	}
	return nil
}

func (s Step) validate() error {
	if _, err := core.ParseID[core.ServiceID](s.ID); err != nil {
		return invalid("id: %v", err)
	}
	if s.Timeout <= 0 || s.Timeout > MaxTimeout {
		return invalid("%s: timeout is %s, allowed is up to %s", s.ID, s.Timeout, MaxTimeout)
	}
	if s.Retries < 0 || s.Retries > MaxRetries {
		return invalid("%s: %d retries, allowed are up to %d", s.ID, s.Retries, MaxRetries)
	}
	if s.Do != DoVerify && s.Reason == "" || len(s.Reason) > MaxReason {
		return invalid("%s: the reason has %d bytes; an order states one of 1 to %d", s.ID, len(s.Reason), MaxReason)
	}
	if s.Do == DoVerify {
		return s.validateVerify()
	}
	if len(s.Checks) > 0 {
		return invalid("%s: checks belong to verify", s.ID)
	}
	if spec, ok := action.SpecOf(action.Kind(s.Do)); ok && spec.Persons {
		return invalid("%s: only persons ask for %s", s.ID, s.Do)
	} else if !ok {
		return invalid("%s: there is no action %q; known are %v and verify", s.ID, s.Do, action.Kinds())
	}
	return nil
}

func (s Step) validateVerify() error {
	if len(s.Checks) == 0 {
		return invalid("%s: verify without checks would pass by default", s.ID)
	}
	for _, name := range s.Checks {
		if !recovery.Known(name) {
			return invalid("%s: there is no check %q; known are %v", s.ID, name, recovery.Names())
		}
	}
	if len(s.After) > 0 {
		return invalid("%s: what follows verify is decided by its verdict", s.ID)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "", fmt.Sprintf(format, args...))
}

// Answers reports whether the playbook answers to the incident's rule.
func (p *Playbook) Answers(rule string) bool { return slices.Contains(p.Trigger.Rules, rule) }

// Alone reports whether the playbook may start on this incident without a
// person, and if not, why.
func (p *Playbook) Alone(in incident.Incident) (bool, string) {
	switch {
	case in.Device.IsZero():
		return false, "the evidence names no device that proved who it is"
	case !in.Provenance.Authenticated() || !slices.Contains(p.Trigger.Provenance, in.Provenance):
		return false, fmt.Sprintf("the evidence is %s; the playbook starts by itself on %v only", in.Provenance, p.Trigger.Provenance)
	case in.Subject != "device/"+in.Device.String():
		return false, "the evidence has no standing for its target"
	case in.Simulated && !p.Trigger.Simulated:
		return false, "the evidence is simulated"
	}
	return true, ""
}
