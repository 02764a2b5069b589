package tuning

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// History is the audit log as far as it is read again; audit.Log is the real one.
type History interface {
	Replay(ctx context.Context, fn func(audit.Record) error) error
	Entry(ctx context.Context, at core.Position) (audit.Record, error)
	Checkpoint() audit.Checkpoint
}

// Journal is the raw journal: trials read it, changes are records of it.
type Journal interface {
	detect.Journal
	detect.Appender
}

// Notice is something about the rules that somebody must see.
type Notice struct {
	Kind     string
	Severity core.Severity
	Fields   map[string]any
}

// The kinds of notice.
const (
	TypeTuned     = "rules_tuned"        // a rule was silenced, excluded from, or speaks again
	TypeExpiring  = "exclusion_expiring" // in a week at most it ends
	TypeExpired   = "exclusion_expired"
	TypeAuthority = "authority_mismatch" // a row says other than the log
)

// expiringSoon is how long before its end an exclusion is told of.
const expiringSoon = 7 * day

// Parts are what the tuning stands on. All are required but Notice and Library.
type Parts struct {
	State   *store.DB
	Journal Journal
	Log     History
	Facts   func(ctx context.Context, tx *store.Tx, e audit.Entry) error // audit.Put
	Guard   core.Guard
	Clock   core.Clock
	Warn    *slog.Logger
	Tenant  core.TenantID
	// Shipped are the rules of the product, Files all that are in force: the
	// shipped ones with the site's own.
	Shipped, Files []rules.File
	Library        *detect.Library
	// Placeholders are the values of %name% in rules.
	Placeholders map[string][]string
	// Notice makes an event of a notice, in a transaction; nil makes none.
	Notice func(ctx context.Context, tx *store.Tx, n Notice) error
}

// Tuning is what is believed of a site's changes to its rules. Safe for
// concurrent use.
type Tuning struct {
	parts   Parts
	editing sync.Mutex // one change at a time
	trials  trials
	life    context.Context //nolint:containedctx // the life of what runs in the background
	end     context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	ready bool // the log has been read to its end once
	said  *testimony
	ours  map[string]record // written by this process, on the way into the log
	told  map[string]string // doubts that somebody was told of
	ahead map[string]time.Time
	// announced is the set that was put into the journal last, now in force or
	// on its way there.
	announced *detect.Ruleset
	made      made
}

// made is what the announced set was made of, and from when to when the same
// makes the same.
type made struct {
	tuned       detect.Tuning
	from, until time.Time // until is zero where nothing ends
}

// holds reports whether the same set would be made anew.
func (m made) holds(tuned detect.Tuning, now time.Time) bool {
	return !now.Before(m.from) && (m.until.IsZero() || now.Before(m.until)) &&
		slices.Equal(m.tuned.Disabled, tuned.Disabled) && slices.Equal(m.tuned.Exclusions, tuned.Exclusions)
}

// madeOf notes what a set was made of.
func madeOf(set *detect.Ruleset, tuned detect.Tuning, now time.Time) made {
	m := made{tuned: tuned, from: now}
	for _, r := range set.Rules {
		if r.Filter != nil && r.Filter.Expires.After(now) && (m.until.IsZero() || r.Filter.Expires.Before(m.until)) {
			m.until = r.Filter.Expires
		}
	}
	return m
}

// New returns a tuning of which nothing is believed yet; [Tuning.Load] reads what
// there is. Close ends its trials.
func New(parts Parts) *Tuning {
	life, end := context.WithCancel(context.Background())
	return &Tuning{
		parts: parts, life: life, end: end, said: newTestimony(), ours: map[string]record{}, told: map[string]string{}, ahead: map[string]time.Time{},
	}
}

// Close ends what runs in the background and waits for it.
func (t *Tuning) Close() {
	t.end()
	t.running.Wait()
}

// Load reads the audit log and brings what it says into force. Until it has done
// so once, the rules that are in force stay.
func (t *Tuning) Load(ctx context.Context) error {
	if err := t.catchUp(ctx); err != nil {
		return err
	}
	t.editing.Lock()
	defer t.editing.Unlock()
	return t.enforce(ctx)
}

// every is how often ends are looked for; compareEvery how often the rows are held
// against the log.
const (
	every        = 2 * time.Second
	compareEvery = time.Minute
	outboxGrace  = 30 * time.Second
)

// Run ends what time has ended, tells of what will end, and holds the rows
// against the log, until ctx ends.
func (t *Tuning) Run(ctx context.Context) error {
	var compared time.Time
	for ctx.Err() == nil {
		err := t.Load(ctx)
		if now := t.parts.Clock.Now(); err == nil && now.Sub(compared) >= compareEvery {
			err = t.Compare(ctx)
			compared = now
		}
		if err != nil && ctx.Err() == nil {
			t.parts.Warn.Warn("the tuning of rules waits", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-t.parts.Clock.After(every):
		}
	}
	return nil
}

// catchUp reads what the log has got since it was read last.
func (t *Tuning) catchUp(ctx context.Context) error {
	head := t.parts.Log.Checkpoint()
	t.mu.Lock()
	origin, next, ready := t.said.origin, t.said.next, t.ready
	t.mu.Unlock()
	if !ready || origin != head.Origin || next > head.Size {
		return t.readAll(ctx)
	}
	for ; next < head.Size; next++ {
		rec, err := t.parts.Log.Entry(ctx, core.Position{Origin: head.Origin, Index: next})
		if err != nil {
			return fmt.Errorf("tuning: reading entry %d of the log: %w", next, err)
		}
		t.mu.Lock()
		t.said.add(rec)
		t.settle()
		t.mu.Unlock()
	}
	return nil
}

func (t *Tuning) readAll(ctx context.Context) error {
	said := newTestimony()
	err := t.parts.Log.Replay(ctx, func(rec audit.Record) error {
		said.add(rec)
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("tuning: reading the log: %w", err)
	}
	if head := t.parts.Log.Checkpoint(); said.origin != head.Origin { // a log without entries yet
		said.origin, said.next = head.Origin, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said, t.ready = said, true
	t.settle()
	return nil
}

// settle forgets what this process wrote where the log has it. The caller holds
// the lock.
func (t *Tuning) settle() {
	maps.DeleteFunc(t.ours, func(object string, r record) bool { return t.said.top[object] >= r.revision })
}

// believed is the newest that is known of an object, from the log or on its way
// there.
func (t *Tuning) believed(object string) record {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known(object)
}

// known is believed for whoever holds the lock.
func (t *Tuning) known(object string) record {
	if own, mine := t.ours[object]; mine && own.revision > t.said.top[object] {
		return own
	}
	return t.said.objects[object]
}

// revision is the highest that an object has.
func (t *Tuning) revision(object string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.said.top[object], t.ours[object].revision)
}

// objects lists all that are known, in order. The caller holds the lock.
func (t *Tuning) objects() []string {
	set := map[string]bool{}
	for object := range t.said.objects {
		set[object] = true
	}
	for object := range t.ours {
		set[object] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// Changes lists what was changed, in force first, each group by the latest. The
// caller asks the Guard.
func (t *Tuning) Changes() []Change {
	now := t.parts.Clock.Now()
	t.mu.Lock()
	list := []Change{}
	for _, object := range t.objects() {
		list = append(list, t.known(object).change(object, now))
	}
	t.mu.Unlock()
	slices.SortStableFunc(list, func(a, b Change) int {
		if x, y := a.State == StateActive, b.State == StateActive; x != y {
			if x {
				return -1
			}
			return 1
		}
		return b.Since.Compare(a.Since)
	})
	return list
}

// Doubts are the changes that are not believed, and why.
func (t *Tuning) Doubts() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.said.wrong)
}

// tuned is what is in force at a time.
func (t *Tuning) tuned(now time.Time) detect.Tuning {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := detect.Tuning{Placeholders: t.parts.Placeholders}
	for _, object := range t.objects() {
		r := t.known(object)
		switch {
		case !r.active(now):
		case r.Kind == KindDisable:
			out.Disabled = append(out.Disabled, idOf(object))
		case r.Kind == KindExclude:
			out.Exclusions = append(out.Exclusions, fileOf(idOf(object), r.Text))
		}
	}
	return out
}

// compiled makes a set; one that was made a moment ago is not made again. Filters
// in the site's own files end by themselves too.
func (t *Tuning) compiled(files []rules.File, tuned detect.Tuning) (*detect.Ruleset, error) {
	set, err := t.parts.Library.Compile(files, tuned)
	if err != nil {
		return nil, err
	}
	now := t.parts.Clock.Now()
	over := slices.Clone(tuned.Disabled)
	for _, r := range set.Rules {
		if r.Filter != nil && !r.Filter.Expires.IsZero() && !r.Filter.Expires.After(now) {
			over = append(over, r.ID)
		}
	}
	if len(over) == len(tuned.Disabled) {
		return set, nil
	}
	tuned.Disabled = over
	return t.parts.Library.Compile(files, tuned)
}

// enforce puts into the journal what is to be in force, where that is not what
// was put there last. The caller holds editing.
func (t *Tuning) enforce(ctx context.Context) error {
	now := t.parts.Clock.Now()
	tuned := t.tuned(now)
	t.mu.Lock()
	last, same := t.announced, t.made.holds(tuned, now)
	t.mu.Unlock()
	if last != nil && same { // several thousand rules are not encoded for nothing
		return t.expiring(ctx, now)
	}
	set, err := t.sound(tuned)
	if err != nil {
		return err
	}
	if last == nil || last.Hash != set.Hash {
		if _, err := detect.Announce(ctx, t.parts.Journal, t.parts.State, set, now); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.announced, t.made = set, madeOf(set, tuned, now)
	t.mu.Unlock()
	return t.expiring(ctx, now)
}

// sound compiles what is to be in force. An exclusion that this version does not
// take any more is left out, so that it never holds up the rules themselves.
func (t *Tuning) sound(tuned detect.Tuning) (*detect.Ruleset, error) {
	set, err := t.compiled(t.parts.Files, tuned)
	if err == nil || len(tuned.Exclusions) == 0 {
		return set, err
	}
	var good []rules.File
	for _, f := range tuned.Exclusions {
		if _, err := t.compiled(t.parts.Files, with(detect.Tuning{Disabled: tuned.Disabled, Placeholders: tuned.Placeholders}, f)); err != nil {
			t.once(f.Name, "the exclusion is not taken by this version: "+err.Error())
			continue
		}
		good = append(good, f)
	}
	tuned.Exclusions = good
	return t.compiled(t.parts.Files, tuned)
}

// once logs something about an object the first time.
func (t *Tuning) once(object, why string) {
	t.mu.Lock()
	known := t.told[object] == why
	t.told[object] = why
	t.mu.Unlock()
	if !known {
		t.parts.Warn.Warn("tuning of rules", slog.String("object", object), slog.String("why", why))
	}
}

// InForce is the set that was put into the journal last, nil before the first.
func (t *Tuning) InForce() *detect.Ruleset {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.announced
}

// Strangers are the ids and names of rules that the tuning speaks of and that do
// not exist any more.
func (t *Tuning) Strangers() []string {
	if set := t.InForce(); set != nil {
		return set.Strangers
	}
	return nil
}

// expiring tells of what will end within a week, once, and of what has ended.
func (t *Tuning) expiring(ctx context.Context, now time.Time) error {
	t.mu.Lock()
	var near []string
	for _, object := range t.objects() {
		r := t.known(object)
		if r.State == StateActive && r.Until != 0 && r.Until <= now.Add(expiringSoon).UnixMicro() && t.told[object+"#end"] != toldEnd(r, now) {
			near = append(near, object)
		}
	}
	t.mu.Unlock()
	if len(near) == 0 {
		return nil
	}
	err := t.parts.State.Tx(ctx, func(tx *store.Tx) error {
		rows, err := t.rows(ctx, tx)
		if err != nil {
			return err
		}
		for _, object := range near {
			if err := t.tellEnd(ctx, tx, object, t.believed(object), rows[object].warned, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		t.mu.Lock()
		for _, object := range near {
			t.told[object+"#end"] = toldEnd(t.known(object), now)
		}
		t.mu.Unlock()
	}
	return err
}

// toldEnd names which end of which revision was told.
func toldEnd(r record, now time.Time) string {
	return fmt.Sprint(r.revision, r.active(now))
}

// tellEnd tells of one end that is near or was reached; warned is what people were
// told already: the end itself before it, and its negative after.
func (t *Tuning) tellEnd(ctx context.Context, tx *store.Tx, object string, r record, warned int64, now time.Time) error {
	kind, mark := TypeExpiring, r.Until
	if !r.active(now) {
		kind, mark = TypeExpired, -r.Until
	}
	if warned == mark {
		return nil
	}
	if err := t.warn(ctx, tx, object, mark); err != nil {
		return err
	}
	if kind == TypeExpired {
		err := t.parts.Facts(ctx, tx, audit.Entry{
			Type: audit.TypeFact, Time: now, Actor: "service/serve", Action: "rule.expire", Object: object, Outcome: string(StateExpired),
			Class: audit.ClassSecurity, Subject: "installation", Body: r.claim,
		})
		if err != nil {
			return fmt.Errorf("tuning: audit of %s: %w", object, err)
		}
	}
	return t.notice(ctx, tx, kind, object, r.claim, now)
}

func (t *Tuning) notice(ctx context.Context, tx *store.Tx, kind, object string, c claim, now time.Time) error {
	if t.parts.Notice == nil {
		return nil
	}
	fields := map[string]any{"rule": idOf(object), "kind": c.Kind, "state": c.State, "title": c.Title, "owner": c.Owner, "reason": c.Reason, "by": c.By}
	if c.Until != 0 {
		fields["until"] = time.UnixMicro(c.Until).UTC()
	}
	severity := core.SeverityInfo
	switch {
	case kind == TypeTuned && c.State == StateEnded:
		fields["ended_by"], fields["end_reason"] = c.EndedBy, c.EndReason
	case kind == TypeTuned || kind == TypeExpiring:
		severity = core.SeverityMedium
	}
	return t.parts.Notice(ctx, tx, Notice{Kind: kind, Severity: severity, Fields: fields})
}

// Compare holds the rows against the log. A row that says other than the log
// silences nothing; it is an alarm.
func (t *Tuning) Compare(ctx context.Context) error {
	var rows map[string]row
	err := t.parts.State.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = t.rows(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	now := t.parts.Clock.Now()
	t.mu.Lock()
	found := maps.Clone(t.said.wrong)
	for object, r := range rows {
		if why := t.differs(object, r, now); why != "" {
			found[object] = why
		}
	}
	maps.DeleteFunc(found, func(object, why string) bool { return t.told[object] == why })
	t.mu.Unlock()
	for _, object := range slices.Sorted(maps.Keys(found)) {
		if err := t.alarm(ctx, object, found[object]); err != nil {
			return err
		}
	}
	return nil
}

// differs says in what a row is other than the log, "" for nothing. The caller
// holds the lock.
func (t *Tuning) differs(object string, r row, now time.Time) string {
	known := t.known(object)
	if r.revision == known.revision && string(r.claim.bytes()) == string(known.claim.bytes()) {
		delete(t.ahead, object)
		return ""
	}
	if r.revision > known.revision { // its entry may be on the way, for a while
		since, waits := t.ahead[object]
		if !waits {
			t.ahead[object], since = now, now
		}
		if now.Sub(since) < outboxGrace {
			return ""
		}
		return fmt.Sprintf("its row has revision %d, the log %d", r.revision, known.revision)
	}
	return "its row says other than the log"
}

func (t *Tuning) alarm(ctx context.Context, object, why string) error {
	t.once(object, why)
	if t.parts.Notice == nil {
		return nil
	}
	return t.parts.State.Tx(ctx, func(tx *store.Tx) error {
		return t.parts.Notice(ctx, tx, Notice{Kind: TypeAuthority, Severity: core.SeverityHigh, Fields: map[string]any{"object": object, "why": why}})
	})
}

// ruleBy finds a rule by its id, or by its name.
func ruleBy(set *detect.Ruleset, name string) *sigma.Rule {
	for _, r := range set.Rules {
		if r.Filter == nil && (r.ID == strings.ToLower(name) || r.Name != "" && r.Name == name) {
			return r
		}
	}
	return nil
}
