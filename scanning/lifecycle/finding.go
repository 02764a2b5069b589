package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// State is where a finding stands.
type State string

// The states.
const (
	StateIntroduced    State = "introduced"
	StateDiscovered    State = "discovered"
	StateTriaged       State = "triaged"
	StateAffected      State = "affected"
	StateRemediating   State = "remediating"
	StateFixed         State = "fixed-pending-verification"
	StateVerified      State = "verified"
	StateAccepted      State = "risk-accepted"
	StateNotAffected   State = "not-affected"
	StateFalsePositive State = "false-positive"
	StateDuplicate     State = "duplicate"
)

// States lists them in the order in which a finding passes through them.
var States = []State{
	StateIntroduced, StateDiscovered, StateTriaged, StateAffected, StateRemediating, StateFixed,
	StateVerified, StateAccepted, StateNotAffected, StateFalsePositive, StateDuplicate,
}

// Open reports whether the finding still wants something of somebody.
func (s State) Open() bool {
	switch s {
	case StateVerified, StateAccepted, StateNotAffected, StateFalsePositive, StateDuplicate:
		return false
	}
	return slices.Contains(States, s)
}

// UnmarshalText refuses unknown words.
func (s *State) UnmarshalText(b []byte) error {
	if !slices.Contains(States, State(b)) {
		return core.E(core.KindInvalid, "lifecycle.State", fmt.Sprintf("%.40q is not a state of a finding; known are %v", b, States))
	}
	*s = State(b)
	return nil
}

// Finding is one thing that is wrong with one subject, from its discovery to a
// verified end. Its id and its history stay when it comes back.
type Finding struct {
	ID     core.UUID     `json:"id"`
	Tenant core.TenantID `json:"tenant"`
	// Subject is whose it is: "repo/…", "image/…", "device/…".
	Subject string `json:"subject"`
	State   State  `json:"state"`
	// What is the finding as it was reported last.
	What scanning.Finding `json:"what"`
	// Detector is the tool whose words those are.
	Detector string `json:"detector"`
	// Names are all names of it: the rule and the advisory's aliases, of all
	// detectors.
	Names []string `json:"names"`
	Owner string   `json:"owner,omitempty"`
	// Revision rises by one with every event and numbers them.
	Revision uint64 `json:"revision"`

	Introduced Introduction `json:"introduced,omitzero"`
	Discovered time.Time    `json:"discovered"`
	LastSeen   time.Time    `json:"last_seen"`
	// Sightings counts the reports that had it.
	Sightings uint64 `json:"sightings"`
	// Clock runs while somebody has to do something.
	Clock Clock `json:"clock"`
	// Fixed is when somebody said that it is fixed, while that is to be
	// verified.
	Fixed    time.Time `json:"fixed_at,omitzero"`
	Verified time.Time `json:"verified_at,omitzero"`
	// Returns counts how often it came back after it had been verified.
	Returns int `json:"returns,omitempty"`

	Acceptance *Acceptance `json:"acceptance,omitempty"`
	// Reason is why it is closed by judgement; Justification is VEX's word.
	Reason        string    `json:"reason,omitempty"`
	Justification string    `json:"justification,omitempty"`
	Of            core.UUID `json:"duplicate_of,omitzero"`
	// Statement is whose VEX statement closed it, where one did; Overruled is the
	// one that a person took back: it does not count again.
	Statement *StatementRef `json:"statement,omitempty"`
	Overruled *StatementRef `json:"overruled,omitempty"`

	// Facts is what is known of its advisory beyond the reports.
	Facts Exposure `json:"facts,omitzero"`
	// Priority orders what to fix first, the highest first; Why is a sentence.
	// Decision is the word of CISA's tree: Track, Track*, Attend, Act.
	Priority int64  `json:"priority"`
	Decision string `json:"decision"`
	Why      string `json:"why,omitempty"`
}

// Object is the finding's name in the audit log.
func (f *Finding) Object() string { return "finding/" + f.ID.String() }

// Introduction is how the finding came in, as far as that can be inferred.
type Introduction struct {
	At time.Time `json:"at"`
	// By is how it is known: "blame", "inventory".
	By string `json:"by"`
	// Commit and Author are of the line, Document is the inventory that had it
	// first.
	Commit   string `json:"commit,omitempty"`
	Author   string `json:"author,omitempty"`
	Document string `json:"document,omitempty"`
}

// Clock is by when something is to be done.
type Clock struct {
	// Since is when it began to run: discovery, or return after verification.
	Since time.Time `json:"since"`
	// Due is when it is over; zero means that nothing asks for it.
	Due time.Time `json:"due,omitzero"`
	// Why says what sets it: "critical", "exploited", "valid secret".
	Why string `json:"why,omitempty"`
	// Step is how far it was escalated.
	Step Step `json:"step,omitempty"`
}

// Step is how far a clock has been escalated.
type Step string

// The steps.
const (
	StepNone    Step = ""
	StepSoon    Step = "due-soon" // three quarters of the time are over
	StepOverdue Step = "overdue"
	StepTwice   Step = "twice-overdue"
)

// Acceptance is a risk that two persons carry until a day.
type Acceptance struct {
	Requester string    `json:"requester"`
	Approver  string    `json:"approver,omitempty"` // "" while it waits
	Reason    string    `json:"reason"`
	Asked     time.Time `json:"asked"`
	Until     time.Time `json:"until"`
	// Revision is of the finding when somebody asked: the request's number.
	Revision uint64 `json:"revision"`
	// Risk is what they asked about: no other is approved.
	Risk AskedRisk `json:"risk"`
	// Seen counts the reports that had it meanwhile.
	Seen int `json:"seen,omitempty"`
}

// AskedRisk is a finding's risk as it is shown to those who decide on it.
type AskedRisk struct {
	Severity  core.Severity  `json:"severity"`
	Decision  string         `json:"decision"`
	Exploited bool           `json:"exploited"`
	Reach     scanning.Reach `json:"reach,omitempty"`
	Version   string         `json:"version,omitempty"` // of the package
}

// StatementRef names a VEX statement.
type StatementRef struct {
	Author   string    `json:"author"`
	Document string    `json:"document,omitempty"`
	Source   string    `json:"source,omitempty"`
	At       time.Time `json:"at"`
	// Until is when the operator does not count it any more; zero for never.
	Until time.Time `json:"until,omitzero"`
}

// Event is one line of a finding's timeline; lines are never changed.
type Event struct {
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"`
	By       string    `json:"by"` // principal, or "service/findings"
	Kind     EventKind `json:"kind"`
	From     State     `json:"from,omitempty"`
	To       State     `json:"to,omitempty"`
	Text     string    `json:"text,omitempty"`
	// Refs are what bears it out: "report/…", "advisory/…", "finding/…".
	Refs []string `json:"refs,omitempty"`
	// Intent is the audit entry that permitted it, where a person asked.
	Intent core.Position `json:"intent,omitzero"`
}

// EventKind is what kind of line it is.
type EventKind string

// The kinds of event.
const (
	EventIntroduced EventKind = "introduced" // inferred: At may lie before the line above
	EventDiscovered EventKind = "discovered"
	EventMoved      EventKind = "moved"
	EventRefuted    EventKind = "refuted"   // said to be fixed, and still there
	EventReopened   EventKind = "reopened"  // it came back
	EventDetector   EventKind = "detector"  // another detector saw it, or one does not any more
	EventChanged    EventKind = "changed"   // severity, version or advice
	EventFact       EventKind = "fact"      // about its advisory
	EventEscalated  EventKind = "escalated" // the clock reached a step
	EventAsked      EventKind = "asked"     // for the risk to be accepted
	EventAssigned   EventKind = "assigned"  // to an owner
	EventNote       EventKind = "note"      // a remark
	EventEnded      EventKind = "ended"     // an acceptance ran out
	EventShortened  EventKind = "shortened" // the clock
)

// Sighting is what one detector last said of a finding on one scope.
type Sighting struct {
	Tool    string             `json:"tool"`
	Kind    scanning.ScopeKind `json:"scope_kind"`
	Scope   string             `json:"scope"`
	Present bool               `json:"present"`
	// At is when that report's scan began.
	At       time.Time `json:"at"`
	Version  string    `json:"version,omitempty"`
	Rules    string    `json:"rules,omitempty"`
	Database time.Time `json:"database,omitzero"`
	// Rule and File say what has to be covered by the report that
	// does not have it any more.
	Rule     string        `json:"rule"`
	File     string        `json:"file,omitempty"`
	Severity core.Severity `json:"severity"`
	Report   string        `json:"report"` // hash
	Commit   string        `json:"commit,omitempty"`
}

// Fact is something that became known about an advisory; facts are never taken
// back, only added to.
type Fact struct {
	Advisory string    `json:"advisory"`
	Kind     FactKind  `json:"kind"`
	At       time.Time `json:"at"` // when it became so
	Noted    time.Time `json:"noted"`
	By       string    `json:"by"`
	// Source is who says so: "CISA KEV 2026.08.25", "event/0193…".
	Source string `json:"source"`
	// Value is EPSS's probability.
	Value float64 `json:"value,omitempty"`
	// Due is by when CISA wants it done.
	Due  time.Time `json:"due,omitzero"`
	Text string    `json:"text,omitempty"`
}

// FactKind is what kind of fact it is.
type FactKind string

// The kinds of fact.
const (
	FactPublished FactKind = "published"
	FactPoC       FactKind = "poc"       // code that exploits it is public
	FactKEV       FactKind = "kev"       // known to be exploited
	FactEPSS      FactKind = "epss"      // probability of exploitation in 30 days
	FactExploited FactKind = "exploited" // seen in our own events
)

// FactKinds lists them.
var FactKinds = []FactKind{FactPublished, FactPoC, FactKEV, FactEPSS, FactExploited}

// Exposure is what the facts on an advisory amount to.
type Exposure struct {
	Published time.Time `json:"published,omitzero"`
	PoC       time.Time `json:"poc,omitzero"`
	KEV       time.Time `json:"kev,omitzero"`
	KEVDue    time.Time `json:"kev_due,omitzero"`
	Exploited time.Time `json:"exploited,omitzero"`
	EPSS      float64   `json:"epss,omitempty"`
}

// Record is what the topic "findings" carries: the finding after the event.
type Record struct {
	Finding Finding `json:"finding"`
	Event   Event   `json:"event"`
}

// Summary is what one report changed.
type Summary struct {
	Report  string           `json:"report"` // hash
	Subject string           `json:"subject"`
	Outcome scanning.Outcome `json:"outcome"`
	// Known is a report that came before: nothing changed.
	Known     bool        `json:"known,omitempty"`
	Findings  int         `json:"findings"`
	New       []core.UUID `json:"new"`
	Reopened  []core.UUID `json:"reopened"`
	Refuted   []core.UUID `json:"refuted"`
	Verified  []core.UUID `json:"verified"`
	Unchanged int         `json:"unchanged"`
	// Silent counts open findings that the report does not have and that it
	// proves nothing about.
	Silent int            `json:"silent"`
	Gaps   []scanning.Gap `json:"gaps"`
}

// Filter selects findings.
type Filter struct {
	OpenOnly bool
	State    State
	Severity core.Severity // the least
	Class    scanning.Class
	Subject  string
	Owner    string
	Advisory string // any name
	Package  string
	Overdue  time.Time // only those due before it; zero for all
	Text     string
	Sort     Sort
	// After continues a list: the last finding's place in it.
	After *Place
	Limit int // 0 means MaxList
}

// Sort is the order of a list.
type Sort string

// The orders.
const (
	SortPriority Sort = "priority" // what to fix first; the default
	SortDue      Sort = "due"      // the earliest first
	SortNewest   Sort = "newest"   // the latest discovered first
)

// Place is a finding's place in a list.
type Place struct {
	Key int64
	ID  core.UUID
}

// Stats are the figures of a board.
type Stats struct {
	Open     map[core.Severity]int `json:"open"`
	States   map[State]int         `json:"states"`
	Overdue  int                   `json:"overdue"`
	DueSoon  int                   `json:"due_soon"`
	Accepted int                   `json:"accepted"`
	// Exploited are open ones whose advisory is known to be exploited.
	Exploited int `json:"exploited"`
	// Fixed is how many were verified in the time that Days covers, ToFix the
	// mean time from discovery to verification in seconds, and OnTime how many
	// of them were so by their due day.
	Fixed    int            `json:"fixed"`
	ToFix    float64        `json:"mean_to_fix_seconds"`
	OnTime   int            `json:"on_time"`
	Owners   map[string]int `json:"owners"`   // open, by owner; "" for nobody
	Subjects map[string]int `json:"subjects"` // open, the most first, at most 50
	Days     []Day          `json:"days"`     // the burn-down, oldest first
}

// Day is one day of the burn-down, in UTC.
type Day struct {
	Day    string                `json:"day"` // 2026-11-22
	Open   map[core.Severity]int `json:"open"`
	Opened int                   `json:"opened"`
	Closed int                   `json:"closed"`
}
