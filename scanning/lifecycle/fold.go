package lifecycle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// told is a report as findings take it in.
type told struct {
	report *scanning.Report
	hash   string
	at     time.Time // when it was taken in
	// newer are reports of the same detector and scope that began later and were
	// taken in before.
	newer []scanning.Report
}

func (t told) refs() []string { return []string{"report/" + t.hash} }

// discover makes a finding of what a report has and nobody knew.
func (r Rules) discover(id core.UUID, tenant core.TenantID, subject string, in scanning.Finding, from Introduction, t told) (Finding, []Event, error) {
	f := Finding{
		ID: id, Tenant: tenant, Subject: subject, State: StateIntroduced, What: in, Detector: t.report.Tool.Name, Names: namesOf(nil, in),
		Introduced: from, Discovered: t.report.Finished, LastSeen: t.report.Started, Sightings: 1, Clock: Clock{Since: t.report.Finished},
	}
	var events []Event
	if !from.At.IsZero() {
		f.Revision++
		events = append(events, Event{Revision: f.Revision, At: from.At, By: service, Kind: EventIntroduced, To: StateIntroduced, Text: from.String(), Refs: from.refs()})
	}
	f, e, err := r.Apply(f, Change{To: StateDiscovered, Who: WhoScan, At: t.report.Finished, Reason: t.by() + " found it", Refs: t.refs(), Seen: true})
	if err != nil {
		return f, nil, err
	}
	f, _ = r.wind(f)
	return f, append(events, e), nil
}

func (t told) by() string { return strings.TrimSpace(t.report.Tool.Name + " " + t.report.Tool.Version) }

// String says how it is known.
func (i Introduction) String() string {
	switch i.By {
	case ByBlame:
		return fmt.Sprintf("inferred: commit %.12s by %s wrote it", i.Commit, cmp.Or(i.Author, "somebody"))
	case ByInventory:
		return "inferred: the first inventory that had it"
	}
	return "inferred"
}

// How an introduction is known.
const (
	ByBlame     = "blame"
	ByInventory = "inventory"
)

func (i Introduction) refs() (refs []string) {
	if i.Commit != "" {
		refs = append(refs, "commit/"+i.Commit)
	}
	if i.Document != "" {
		refs = append(refs, "inventory/"+i.Document)
	}
	return refs
}

// blamed is the introduction that a report itself tells of.
func blamed(in scanning.Finding) Introduction {
	if in.Location.Commit == "" || in.Location.Date.IsZero() {
		return Introduction{}
	}
	return Introduction{At: in.Location.Date, By: ByBlame, Commit: in.Location.Commit, Author: in.Location.Author}
}

// namesOf adds a report's names of a finding to those that are known.
func namesOf(have []string, in scanning.Finding) []string {
	names := slices.Clone(have)
	for _, n := range append([]string{in.Rule}, in.Aliases...) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// sightingOf is what a report's detector says of a finding.
func sightingOf(in scanning.Finding, t told) Sighting {
	r := t.report
	return Sighting{
		Tool: r.Tool.Name, Kind: r.Scope.Kind, Scope: r.Scope.Name, Present: true, At: r.Started, Version: r.Tool.Version, Rules: r.Tool.Rules,
		Database: r.Tool.Database, Rule: in.Rule, File: in.Location.File, Severity: in.Severity, Report: t.hash, Commit: in.Location.Commit,
	}
}

// after reports whether a sighting is of a later look than another of the same
// detector and scope, or of the same look judged by newer advisories.
func (s Sighting) after(o Sighting) bool {
	return s.At.After(o.At) || s.At.Equal(o.At) && s.Database.After(o.Database)
}

// seen is what a report that has a known finding changes in it: words, severity,
// clock, but not the state, which is its original's where it is a duplicate.
func (r Rules) seen(f Finding, sights []Sighting, in scanning.Finding, t told) (Finding, []Event) {
	var events []Event
	note := func(kind EventKind, text string) {
		var e Event
		f, e, _ = f.tell(Event{At: t.at, By: service, Kind: kind, Text: text, Refs: t.refs()})
		events = append(events, e)
	}
	f.Sightings++
	f.LastSeen = later(f.LastSeen, t.report.Started)
	if f.State == StateAccepted {
		a := *f.Acceptance
		a.Seen++
		f.Acceptance = &a
	}
	if !slices.ContainsFunc(sights, func(s Sighting) bool { return s.Tool == t.report.Tool.Name }) {
		note(EventDetector, t.by()+" sees it, too")
	}
	before := f.What
	if f.Detector == t.report.Tool.Name || !presentBy(sights, f.Detector) {
		f.What, f.Detector = in, t.report.Tool.Name
		f.What.Fingerprint = before.Fingerprint
	}
	f.Names = namesOf(f.Names, in)
	f.What.Severity = gravest(sights, in, t)
	if text := changes(before, f.What); text != "" {
		note(EventChanged, text)
	}
	var shorter bool
	if f, shorter = r.wind(f); shorter {
		note(EventShortened, "due on "+f.Clock.Due.UTC().Format(time.DateOnly)+": "+f.Clock.Why)
	}
	return f, events
}

func presentBy(sights []Sighting, tool string) bool {
	return slices.ContainsFunc(sights, func(s Sighting) bool { return s.Tool == tool && s.Present })
}

// gravest is the highest severity that a detector gives what it sees now.
func gravest(sights []Sighting, in scanning.Finding, t told) core.Severity {
	most := in.Severity
	for _, s := range sights {
		mine := s.Tool == t.report.Tool.Name && s.Kind == t.report.Scope.Kind && s.Scope == t.report.Scope.Name
		if s.Present && !mine && s.Severity.Rank() > most.Rank() {
			most = s.Severity
		}
	}
	return most
}

// changes says what of a finding is other than it was, "" for nothing that
// matters.
func changes(was, is scanning.Finding) string {
	var list []string
	say := func(name, a, b string) {
		if a != b {
			list = append(list, fmt.Sprintf("%s %s → %s", name, cmp.Or(a, "none"), cmp.Or(b, "none")))
		}
	}
	say("severity", string(was.Severity), string(is.Severity))
	if was.Package != nil && is.Package != nil {
		say("version", was.Package.Version, is.Package.Version)
	}
	say("fixed in", strings.Join(was.Fixed, ", "), strings.Join(is.Fixed, ", "))
	say("reachable", string(was.Reach), string(is.Reach))
	return strings.Join(list, "; ")
}

// returned moves an original that a report has although it was said to be fixed
// or had been proven gone. A look from before somebody said so refutes nothing.
func (r Rules) returned(f Finding, t told) (Finding, []Event, error) {
	said := f.State == StateFixed || f.Fixed.Before(f.Verified)
	again := (f.State == StateVerified || f.State == StateFixed) && (!said || t.report.Started.After(f.Fixed))
	if !again {
		return f, nil, nil
	}
	why := t.by() + " still has it"
	if f.State == StateVerified {
		why = t.by() + " has it again"
	}
	f, e, err := r.Apply(f, Change{To: StateAffected, Who: WhoScan, At: t.at, Reason: why, Refs: t.refs(), Seen: true})
	if err != nil {
		return f, nil, err
	}
	return f, []Event{e}, nil
}

// gone moves an original that no detector has any more. A secret has to be said
// to be revoked first.
func (r Rules) gone(f Finding, t told) (Finding, []Event, error) {
	if f.State != StateFixed && f.What.Class == scanning.ClassSecret || f.State == StateFixed && !t.report.Started.After(f.Fixed) {
		return f, nil, nil
	}
	var events []Event
	for _, to := range []State{StateFixed, StateVerified} {
		if f.State == to {
			continue
		}
		next, e, err := r.Apply(f, Change{To: to, Who: WhoScan, At: t.at, Reason: t.by() + " does not have it any more", Refs: t.refs(), Proven: true})
		if err != nil {
			return f, nil, err
		}
		f, events = next, append(events, e)
	}
	return f, events, nil
}

// keysOf are the names under which a finding is found again: its fingerprint, and
// for a vulnerability each name of its advisory with package and place, so that
// detectors who know different names mean the same.
func keysOf(in scanning.Finding) []string {
	keys := []string{"fingerprint/" + in.Fingerprint}
	if in.Class != scanning.ClassVulnerability || in.Package == nil {
		return keys
	}
	for _, n := range namesOf(nil, in) {
		keys = append(keys, keyOf("advisory", n, family(in.Package.Ecosystem), in.Package.Name, in.Location.File, strings.Join(in.Location.Inner, "\x00")))
	}
	return keys
}

func keyOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return parts[0] + "/" + hex.EncodeToString(h.Sum(nil)[:16])
}
