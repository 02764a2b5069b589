package jobs

import "context"

// Claim is a claim, for the tests that stop a runner between its steps.
type Claim = claim

// Prepare makes the runner ready without running it.
func (r *Runner) Prepare() error { return r.prepare() }

// ClaimOne claims what is due.
func (r *Runner) ClaimOne(ctx context.Context) ([]Claim, error) { return r.claim(ctx, 1) }

// Sweep takes up what crashed.
func (r *Runner) Sweep(ctx context.Context) error { return r.sweep(ctx) }

// Finish writes a success.
func (r *Runner) Finish(ctx context.Context, c Claim) error {
	return r.finish(ctx, c, result{state: Done, runAt: r.Clock.Now()})
}
