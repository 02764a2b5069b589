package policy

import (
	"context"

	"github.com/interlock-security/interlock/core"
)

// RuleNothing marks what its own place refused after the policies would have let
// it through.
const RuleNothing = "code:came-to-nothing"

// Note puts on record that somebody known asked for something that came to
// nothing before the Guard was asked where the effect is: there is no such
// object, or its place refused. It decides as [Guard.Permit] does but for the
// cap: nothing was contained, so nothing counts, and nobody can use up an actor's
// cap with calls that fail.
func (g *Guard) Note(ctx context.Context, who core.Principal, action core.Action, on core.Resource, outcome error) error {
	d := g.Set().Evaluate(who, action, on)
	if d.Allowed && core.KindOf(outcome) == core.KindDenied {
		d = deny(RuleNothing, outcome.Error())
	}
	class, _ := ClassOf(action)
	_, err := g.record(ctx, who, action, on, class, d)
	return err
}
