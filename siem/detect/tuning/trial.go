package tuning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
)

// Limits of a trial.
const (
	// DefaultDays is how far back a trial looks, MaxDays the most that it can be
	// asked for.
	DefaultDays = 7
	MaxDays     = 90
	// trialTime is how long a trial may run; one that has not come to its end by
	// then is not complete and brings nothing into force.
	trialTime = 15 * time.Minute
	// trialLife is how long after it a trial still counts.
	trialLife = 24 * time.Hour
	// maxTrialsKept is how many trials are remembered, running or done.
	maxTrialsKept = 20
)

// Attempt is what a trial tries: one of its three.
type Attempt struct {
	// Exclusion is the text of a filter that would be added.
	Exclusion string
	// Disable is the id of a rule that would go.
	Disable string
	// Files would stand in the place of the site's own rules.
	Files []rules.File
	// Days is how far back to look; 0 is [DefaultDays].
	Days int
}

// TrialState is where a trial stands.
type TrialState string

// The states of a trial.
const (
	TrialRunning TrialState = "running"
	TrialDone    TrialState = "done"
	TrialFailed  TrialState = "failed"
)

// Trial is a back-test on its way, or what it showed.
type Trial struct {
	ID       core.UUID       `json:"id"`
	State    TrialState      `json:"state"`
	By       string          `json:"by"`
	Began    time.Time       `json:"began"`
	Span     detect.Span     `json:"span"`
	Progress detect.Progress `json:"progress"`
	Problem  string          `json:"problem,omitempty"`
	// Hash is of Result: what is handed in to bring it into force.
	Hash   string             `json:"hash,omitempty"`
	Result *detect.Comparison `json:"result,omitempty"`
}

// trials are those of this process.
type trials struct {
	mu   sync.Mutex
	list []*Trial // oldest first
}

func hashOf(c detect.Comparison) (string, []byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", nil, core.Wrap(core.KindInternal, "tuning.Trial", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), b, nil
}

// StartTrial begins a back-test and returns at once. One runs at a time. It goes
// on when ctx ends; the server's end ends it.
func (t *Tuning) StartTrial(ctx context.Context, who core.Principal, a Attempt) (Trial, error) {
	const op = "tuning.StartTrial"
	if a.Days == 0 {
		a.Days = DefaultDays
	}
	if a.Days < 0 || a.Days > MaxDays {
		return Trial{}, core.E(core.KindInvalid, op, fmt.Sprintf("a back-test looks 1 to %d days back", MaxDays))
	}
	before, after, err := t.candidates(a)
	if err != nil {
		return Trial{}, err
	}
	on := core.Resource{Type: objectKind, ID: "back-test", Tenant: t.parts.Tenant, Params: after.Hash}
	d, err := t.parts.Guard.Permit(ctx, who, policy.RuleTry, on)
	if err != nil {
		return Trial{}, fmt.Errorf("tuning: asking for %s: %w", policy.RuleTry, err)
	}
	if err := httpd.Refusal(d, who, policy.RuleTry, on); err != nil {
		return Trial{}, err
	}
	now := t.parts.Clock.Now().UTC().Truncate(time.Microsecond)
	one := &Trial{ID: core.NewUUID(now), State: TrialRunning, By: who.String(), Began: now, Span: detect.Span{From: now.Add(-time.Duration(a.Days) * day), To: now}}
	t.trials.mu.Lock()
	defer t.trials.mu.Unlock()
	if slices.ContainsFunc(t.trials.list, func(o *Trial) bool { return o.State == TrialRunning }) {
		return Trial{}, core.E(core.KindConflict, op, "another back-test is running").WithHint("try again when it is done")
	}
	t.trials.list = append(t.trials.list, one)
	t.trials.list = slices.Delete(t.trials.list, 0, max(0, len(t.trials.list)-maxTrialsKept))
	t.running.Go(func() { t.runTrial(one, before, after) })
	return *one, nil
}

const day = 24 * time.Hour

// runTrial compares and keeps what it showed.
func (t *Tuning) runTrial(one *Trial, before, after *detect.Ruleset) {
	ctx, cancel := context.WithTimeout(t.life, 2*trialTime)
	defer cancel()
	enough := t.parts.Clock.After(trialTime)
	result, err := detect.Compare(ctx, t.parts.Journal, one.Span, before, after, func(p detect.Progress) bool {
		t.trials.mu.Lock()
		one.Progress = p
		t.trials.mu.Unlock()
		select {
		case <-enough:
			return false
		default:
			return true
		}
	})
	var hash string
	var body []byte
	if err == nil {
		hash, body, err = hashOf(result)
	}
	if err == nil {
		err = t.parts.State.Tx(ctx, func(tx *store.Tx) error { return t.keepTrial(ctx, tx, hash, t.parts.Clock.Now(), body) })
	}
	t.trials.mu.Lock()
	defer t.trials.mu.Unlock()
	if err != nil {
		one.State, one.Problem = TrialFailed, err.Error()
		return
	}
	one.State, one.Hash, one.Result = TrialDone, hash, &result
}

// Trial returns a back-test of this process by its id. The caller asks the Guard.
func (t *Tuning) Trial(id core.UUID) (Trial, error) {
	t.trials.mu.Lock()
	defer t.trials.mu.Unlock()
	for _, one := range t.trials.list {
		if one.ID == id {
			return *one, nil
		}
	}
	return Trial{}, core.E(core.KindNotFound, "tuning.Trial", "there is no back-test "+id.String()).WithHint("the server forgets them when it restarts; run it again")
}

// candidates compiles the rules as they are and as they would be.
func (t *Tuning) candidates(a Attempt) (before, after *detect.Ruleset, err error) {
	t.editing.Lock()
	defer t.editing.Unlock()
	now := t.parts.Clock.Now()
	if before, err = t.compiled(t.parts.Files, t.tuned(now)); err != nil {
		return nil, nil, err
	}
	files, tuned := t.parts.Files, t.tuned(now)
	switch {
	case a.Exclusion != "" && a.Disable == "" && a.Files == nil:
		f, err := readExclusion(a.Exclusion)
		if err != nil {
			return nil, nil, err
		}
		tuned = with(tuned, f.file())
	case a.Disable != "" && a.Exclusion == "" && a.Files == nil:
		if before.Rule(a.Disable) == nil {
			return nil, nil, noRule(a.Disable)
		}
		tuned.Disabled = append(slices.Clone(tuned.Disabled), a.Disable)
	case a.Files != nil && a.Exclusion == "" && a.Disable == "":
		if files, _, err = detect.Overlay(t.parts.Shipped, a.Files); err != nil {
			return nil, nil, core.Wrap(core.KindInvalid, "tuning.StartTrial", err)
		}
	default:
		return nil, nil, core.E(core.KindInvalid, "tuning.StartTrial", "a back-test tries one thing: an exclusion, a rule that goes, or rule files")
	}
	after, err = t.compiled(files, tuned)
	return before, after, err
}

// proven holds a hash against what is to come into force: the back-test that has
// it was complete, is of a day at most, and tried exactly this.
func (t *Tuning) proven(ctx context.Context, hash string, before, after *detect.Ruleset) error {
	const op = "tuning.Exclude"
	made, body, err := t.trial(ctx, hash)
	if err != nil {
		return err
	}
	var c detect.Comparison
	if err := json.Unmarshal(body, &c); err != nil {
		return core.Wrap(core.KindDamaged, op, err)
	}
	again := func(why string) error {
		return core.E(core.KindConflict, op, "the back-test does not count: "+why).WithHint("run it again, look at it, and hand in its hash")
	}
	switch is, _, err := hashOf(c); {
	case err != nil:
		return err
	case is != hash:
		return core.E(core.KindDamaged, op, "the back-test that is stored is not the one that was shown")
	case !c.Complete:
		return again("it did not come to its end; ask for fewer days")
	case t.parts.Clock.Now().Sub(made) > trialLife:
		return again("it is older than a day")
	case c.Before != before.Hash:
		return again("the rules have changed since")
	case c.After != after.Hash:
		return again("it tried something else")
	}
	return nil
}
