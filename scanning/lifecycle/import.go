package lifecycle

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
)

// ActionSubmit is what taking a report in is called in the audit log.
const ActionSubmit core.Action = "finding.submit"

// Sink takes reports in; [Store] is the real one. Scanners of streams write to it
// inside their stage's transaction.
type Sink interface {
	Take(ctx context.Context, tx *store.Tx, tenant core.TenantID, r scanning.Report) error
}

var _ Sink = (*Store)(nil)

// Take implements [Sink]: the report is taken in when it ended.
func (s *Store) Take(ctx context.Context, tx *store.Tx, tenant core.TenantID, r scanning.Report) error {
	_, err := s.Import(ctx, tx, tenant, &r, service, r.Finished)
	return err
}

// Import takes a report in, for the subject that its scope names.
func (s *Store) Import(ctx context.Context, tx *store.Tx, tenant core.TenantID, r *scanning.Report, by string, at time.Time) (Summary, error) {
	return s.ImportFor(ctx, tx, tenant, SubjectOf(r.Scope), r, by, at)
}

// ImportFor takes a report in. A report that came before changes nothing.
func (s *Store) ImportFor(ctx context.Context, tx *store.Tx, tenant core.TenantID, subject string, r *scanning.Report, by string, at time.Time) (Summary, error) {
	at = at.UTC().Truncate(time.Microsecond)
	report, err := checked(r, subject, at)
	if err != nil {
		return Summary{}, err
	}
	t := told{report: &report, at: at, hash: hashOf(subject, &report)}
	report.Started, report.Finished = earlier(report.Started, at), earlier(report.Finished, at) // a clock that is ahead looks at nothing that is to come
	sum := Summary{
		Report: t.hash, Subject: subject, Outcome: report.Outcome(), Findings: len(report.Findings), New: []core.UUID{}, Reopened: []core.UUID{}, Refuted: []core.UUID{},
		Verified: []core.UUID{}, Gaps: append([]scanning.Gap{}, report.Gaps...),
	}
	b := s.begin(ctx, tx, tenant)
	if sum.Known, err = b.known(t.hash); sum.Known || err != nil {
		return sum, err
	}
	in := &intake{batch: b, told: t, subject: subject, sum: &sum, touched: map[core.UUID]bool{}}
	if in.newer, err = b.after(subject, &report); err != nil {
		return sum, err
	}
	if err := b.inventory(subject, &report); err != nil {
		return sum, err
	}
	if err := in.run(); err != nil {
		return sum, err
	}
	if err := b.keep(subject, t, sum, by); err != nil {
		return sum, err
	}
	return sum, b.end()
}

// And is a summary with what another report of the same look changed.
func (s Summary) And(o Summary) Summary {
	s.New, s.Reopened = append(s.New, o.New...), append(s.Reopened, o.Reopened...)
	s.Refuted, s.Verified = append(s.Refuted, o.Refuted...), append(s.Verified, o.Verified...)
	return s
}

// intake is one report on its way in.
type intake struct {
	*batch
	told
	subject string
	sum     *Summary
	touched map[core.UUID]bool
}

func (in *intake) run() error {
	done := map[string]bool{}
	for _, f := range in.report.Findings {
		if done[f.Fingerprint] {
			continue
		}
		done[f.Fingerprint] = true
		if err := in.take(f); err != nil {
			return err
		}
	}
	return in.silent()
}

// take takes one finding of the report in.
func (in *intake) take(what scanning.Finding) error {
	keys := keysOf(what)
	ids, err := in.find(in.subject, keys)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return in.open(what, keys)
	}
	f, err := in.s.Get(in.ctx, in.tx, in.tenant, ids[0])
	if err != nil {
		return err
	}
	for _, id := range ids { // the report has what goes by any of its names
		in.touched[id] = true
	}
	sights, err := in.s.Sightings(in.ctx, in.tx, in.tenant, f.ID)
	if err != nil {
		return err
	}
	if in.outdated(sights, what, &f) {
		in.sum.Unchanged++
		return nil
	}
	if err := in.see(f, sights, what, keys); err != nil {
		return err
	}
	return in.join(f.ID, ids[1:])
}

// open makes a finding of what nobody knew.
func (in *intake) open(what scanning.Finding, keys []string) error {
	from := blamed(what)
	if from.At.IsZero() && what.Package != nil {
		var err error
		if from, err = in.firstHeld(in.subject, *what.Package, in.report.Started); err != nil {
			return err
		}
	}
	f, events, err := in.s.rules.discover(core.NewUUID(in.at), in.tenant, in.subject, what, from, in.told)
	if err != nil {
		return err
	}
	if f.Facts, err = in.exposure(f.Names); err != nil {
		return err
	}
	f, _ = in.s.rules.wind(f)
	if f.Owner, err = in.ownerOf(&f); err != nil {
		return err
	}
	f, more, err := in.heard(f, in.at)
	if err != nil {
		return err
	}
	events = append(events, more...)
	if f, err = in.put(f, 0, events...); err != nil {
		return err
	}
	in.touched[f.ID] = true
	in.sum.New = append(in.sum.New, f.ID)
	if err := in.index(f, keys); err != nil {
		return err
	}
	return in.sight(f.ID, sightingOf(what, in.told))
}

// outdated reports whether more is known than the report can tell: the detector
// looked again later, or it has been proven gone there since.
func (in *intake) outdated(sights []Sighting, what scanning.Finding, f *Finding) bool {
	would := sightingOf(what, in.told)
	for _, s := range sights {
		here := s.Kind == would.Kind && s.Scope == would.Scope
		if here && (s.Tool == would.Tool && !would.after(s) || !s.Present && s.At.After(would.At)) {
			return true
		}
	}
	return slices.ContainsFunc(in.newer, func(r scanning.Report) bool { return Covers(&r, would, &f.What) })
}

// see takes a known finding in.
func (in *intake) see(f Finding, sights []Sighting, what scanning.Finding, keys []string) error {
	before := f.Revision
	if names := namesOf(f.Names, what); len(names) > len(f.Names) {
		// What is known of the names that it had not had yet counts from now on.
		facts, err := in.exposure(names)
		if err != nil {
			return err
		}
		f.Facts = facts
	}
	f, events := in.s.rules.seen(f, sights, what, in.told)
	if f.State != StateDuplicate {
		var said []Event
		back, more, err := in.back(f)
		if err != nil {
			return err
		}
		if f, said, err = in.heard(back, in.at); err != nil {
			return err
		}
		events = slices.Concat(events, more, said)
	}
	f, err := in.put(f, before, events...)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		in.sum.Unchanged++
	}
	if err := in.index(f, keys); err != nil {
		return err
	}
	if err := in.sight(f.ID, sightingOf(what, in.told)); err != nil {
		return err
	}
	if f.State != StateDuplicate {
		return nil
	}
	root, err := in.root(f)
	if err != nil {
		return err
	}
	before = root.Revision
	root, events, err = in.back(root)
	if err != nil || len(events) == 0 {
		return err
	}
	_, err = in.put(root, before, events...)
	return err
}

// back moves what came back.
func (in *intake) back(f Finding) (Finding, []Event, error) {
	f, events, err := in.s.rules.returned(f, in.told)
	for _, e := range events {
		if e.Kind == EventReopened {
			in.sum.Reopened = append(in.sum.Reopened, f.ID)
		} else {
			in.sum.Refuted = append(in.sum.Refuted, f.ID)
		}
	}
	return f, events, err
}

// join makes one of findings that turned out to be the same: the older stays.
func (in *intake) join(id core.UUID, others []core.UUID) error {
	for _, o := range others {
		a, err := in.rootOf(id)
		if err != nil {
			return err
		}
		b, err := in.rootOf(o)
		if err != nil {
			return err
		}
		if a.ID == b.ID {
			continue
		}
		if b.Discovered.Before(a.Discovered) || b.Discovered.Equal(a.Discovered) && b.ID.String() < a.ID.String() {
			a, b = b, a
		}
		if slices.Contains([]State{StateFalsePositive, StateNotAffected, StateAccepted}, a.State) {
			continue // what somebody said of one closes no other
		}
		c := Change{To: StateDuplicate, Who: WhoScan, At: in.at, Reason: "the same advisory, package and place", Of: a.ID, OfState: a.State, OfSubject: a.Subject, Refs: []string{"finding/" + a.ID.String()}}
		before := b.Revision
		b, e, err := in.s.rules.Apply(b, c)
		if err != nil {
			continue // one of them has been judged or verified already: each goes its own way
		}
		if _, err := in.put(b, before, e); err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) rootOf(id core.UUID) (Finding, error) {
	f, err := in.s.Get(in.ctx, in.tx, in.tenant, id)
	if err != nil {
		return f, err
	}
	return in.root(f)
}

// silent looks at what the detector saw before on this scope and the report does
// not have.
func (in *intake) silent() error {
	r := in.report
	ids, err := column[core.UUID](in.ctx, in.tx, `SELECT s.finding FROM scanning_sightings s JOIN scanning_findings f ON f.tenant = s.tenant AND f.id = s.finding
		WHERE s.tenant = $1 AND s.tool = $2 AND s.kind = $3 AND s.scope = $4 AND f.subject = $5 AND (f.is_open = 1 OR f.state = $6) ORDER BY f.discovered, f.id`,
		in.tenant, r.Tool.Name, string(r.Scope.Kind), r.Scope.Name, in.subject, string(StateDuplicate))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if in.touched[id] {
			continue
		}
		if err := in.missed(id); err != nil {
			return err
		}
	}
	return nil
}

// missed takes in that the report does not have a finding.
func (in *intake) missed(id core.UUID) error {
	f, err := in.s.Get(in.ctx, in.tx, in.tenant, id)
	if err != nil {
		return err
	}
	sights, err := in.s.Sightings(in.ctx, in.tx, in.tenant, id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sights, func(s Sighting) bool {
		return s.Tool == in.report.Tool.Name && s.Kind == in.report.Scope.Kind && s.Scope == in.report.Scope.Name
	})
	if i < 0 || !Covers(in.report, sights[i], &f.What) {
		in.sum.Silent++
		return nil
	}
	if s := sights[i]; s.Present {
		s.Present, s.At, s.Report = false, in.report.Started, in.hash
		s.Version, s.Rules, s.Database = in.report.Tool.Version, in.report.Tool.Rules, in.report.Tool.Database
		if err := in.sight(id, s); err != nil {
			return err
		}
	}
	return in.settle(f)
}

// settle verifies a finding, or the one that it is a duplicate of, if no detector
// has it any more.
func (in *intake) settle(f Finding) error {
	root, err := in.root(f)
	if err != nil || !root.State.Open() {
		return err
	}
	group, err := in.group(root.ID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(group, func(s Sighting) bool { return s.Present }) {
		in.sum.Silent++
		return nil
	}
	before := root.Revision
	root, events, err := in.s.rules.gone(root, in.told)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		in.sum.Silent++
		return nil
	}
	if root, err = in.put(root, before, events...); err != nil {
		return err
	}
	in.sum.Verified = append(in.sum.Verified, root.ID)
	return in.fact(root, events[len(events)-1], "finding.verify")
}

// inventory keeps the packages of a report that names all that there are. One
// of a part would look as if the rest were gone.
func (b *batch) inventory(subject string, r *scanning.Report) error {
	if len(r.Packages) == 0 || r.Scope.Parts != nil {
		return nil
	}
	_, err := b.s.TakeInventory(b.ctx, b.tx, b.tenant, Look{
		Subject: subject, Scope: ScopeOf(subject, r.Scope), Packages: r.Packages, At: r.Started, Partial: len(r.Gaps) > 0 || len(r.Scope.Excluded) > 0,
	})
	if core.KindOf(err) == core.KindConflict {
		return nil // a later one is known
	}
	return err
}

// known reports whether a report came before.
func (b *batch) known(hash string) (bool, error) {
	var one int
	err := b.tx.QueryRow(b.ctx, `SELECT 1 FROM scanning_reports WHERE tenant = $1 AND hash = $2`, b.tenant, hash).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// maxNewer is how many later reports an earlier one is held against.
const maxNewer = 50

// after reads the reports of the same detector and scope that began later.
func (b *batch) after(subject string, r *scanning.Report) (list []scanning.Report, err error) {
	kept, err := bodies[ReportRow](b.ctx, b.tx, `SELECT body FROM scanning_reports WHERE tenant = $1 AND subject = $2 AND tool = $3 AND kind = $4 AND scope = $5 AND started > $6
		ORDER BY started DESC LIMIT `+fmt.Sprint(maxNewer), b.tenant, subject, r.Tool.Name, string(r.Scope.Kind), r.Scope.Name, store.Micros(r.Started))
	for _, k := range kept {
		list = append(list, scanning.Report{Tool: k.Tool, Scope: k.Scope, Started: k.Started, Finished: k.Finished, Gaps: k.Gaps})
	}
	return list, err
}

// ReportRow is what is kept of a report.
type ReportRow struct {
	Hash     string           `json:"hash"`
	Subject  string           `json:"subject"`
	Tool     scanning.Tool    `json:"tool"`
	Scope    scanning.Scope   `json:"scope"`
	Outcome  scanning.Outcome `json:"outcome"`
	Started  time.Time        `json:"started"`
	Finished time.Time        `json:"finished"`
	Received time.Time        `json:"received"`
	By       string           `json:"by"`
	Findings int              `json:"findings"`
	New      int              `json:"new"`
	Verified int              `json:"verified"`
	Gaps     []scanning.Gap   `json:"gaps"`
	Scanned  map[string]int64 `json:"scanned,omitempty"`
}

// keep writes the report's row and its fact.
func (b *batch) keep(subject string, t told, sum Summary, by string) error {
	r := t.report
	row := ReportRow{
		Hash: t.hash, Subject: subject, Tool: r.Tool, Scope: r.Scope, Outcome: sum.Outcome, Started: r.Started, Finished: r.Finished, Received: t.at, By: by,
		Findings: len(r.Findings), New: len(sum.New), Verified: len(sum.Verified), Gaps: r.Gaps, Scanned: r.Scanned,
	}
	body, err := json.Marshal(row)
	if err != nil {
		return core.Wrap(core.KindInternal, "lifecycle.keep", err)
	}
	_, err = b.tx.Exec(b.ctx, `INSERT INTO scanning_reports (tenant, hash, subject, tool, kind, scope, started, received, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		b.tenant, t.hash, subject, r.Tool.Name, string(r.Scope.Kind), r.Scope.Name, store.Micros(r.Started), store.Micros(t.at), body)
	if err != nil {
		return fmt.Errorf("report %.12s: writing it: %w", t.hash, err)
	}
	row.Gaps = nil // their number may be large; the row has them
	err = b.s.facts(b.ctx, b.tx, audit.Entry{
		Type: audit.TypeFact, Time: t.at, Actor: by, Action: ActionSubmit, Object: "finding/report-" + t.hash[:16], Revision: 1, Outcome: string(sum.Outcome),
		Class: audit.ClassSecurity, Body: row,
	})
	if err != nil {
		return fmt.Errorf("report %.12s: audit: %w", t.hash, err)
	}
	return nil
}

// hashOf names a report by what it says of whom.
func hashOf(subject string, r *scanning.Report) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "report/v1 %d:%s", len(subject), subject)
	if err := json.NewEncoder(h).Encode(r); err != nil {
		_, _ = h.Write([]byte(err.Error())) // text and numbers always encode
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SubjectOf names what a scope belongs to, where nobody says it.
func SubjectOf(s scanning.Scope) string {
	switch s.Kind {
	case scanning.ScopeGit:
		return "repo/" + s.Name
	case scanning.ScopeImage:
		return "image/" + s.Name
	case scanning.ScopeHost:
		return "device/" + s.Name
	case scanning.ScopeSBOM:
		if kind, _, of := strings.Cut(s.Name, "/"); of && slices.Contains(subjectKinds, kind) {
			return s.Name
		}
	}
	return string(s.Kind) + "/" + s.Name
}

var subjectKinds = []string{"device", "image", "repo", "folder", "host", "sbom", "stream"}
