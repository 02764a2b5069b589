package reflex

import (
	"errors"
	"os"

	"github.com/interlock-security/interlock/core"
)

// Simulated is the firewall of a demonstration: a file that holds the rules.
// What it does is marked simulated by whoever uses it.
type Simulated struct{ Path string }

// Enforces implements [Firewall].
func (Simulated) Enforces() bool { return true }

// Apply implements [Firewall].
func (s Simulated) Apply(a Allow) error {
	return core.Wrap(core.KindUnavailable, "reflex.Simulated", os.WriteFile(s.Path, []byte(Plan(a)), 0o600))
}

// Remove implements [Firewall].
func (s Simulated) Remove() error {
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return core.Wrap(core.KindUnavailable, "reflex.Simulated", err)
	}
	return nil
}

// Status implements [Firewall].
func (s Simulated) Status(a Allow) (Status, error) {
	b, err := os.ReadFile(s.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Status{Why: "there are no rules"}, nil
	case err != nil:
		return Status{}, core.Wrap(core.KindUnavailable, "reflex.Simulated", err)
	case string(b) != Plan(a):
		return Status{Present: true, Why: "the rules were changed"}, nil
	}
	return Status{Present: true, Intact: true}, nil
}
