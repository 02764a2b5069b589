package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// State is where an incident stands.
type State string

// The states.
const (
	StateNew           State = "new"
	StateTriaged       State = "triaged"
	StateContained     State = "contained"
	StateEradicating   State = "eradicating"
	StateRecovering    State = "recovering"
	StateVerifying     State = "verifying"
	StateClosed        State = "closed"
	StateReviewed      State = "reviewed"
	StateReopened      State = "reopened"
	StateMerged        State = "merged"
	StateFalsePositive State = "false-positive"
)

// States lists them in the order in which an incident passes through them.
var States = []State{
	StateNew, StateTriaged, StateContained, StateEradicating, StateRecovering, StateVerifying,
	StateClosed, StateReviewed, StateReopened, StateMerged, StateFalsePositive,
}

// Open reports whether the incident still wants something of somebody. Alerts
// attach to open incidents only.
func (s State) Open() bool {
	switch s {
	case StateClosed, StateReviewed, StateMerged, StateFalsePositive:
		return false
	}
	return slices.Contains(States, s)
}

// UnmarshalText refuses unknown words.
func (s *State) UnmarshalText(b []byte) error {
	if !slices.Contains(States, State(b)) {
		return core.E(core.KindInvalid, "incident.State", fmt.Sprintf("%.40q is not an incident state; known are %v", b, States))
	}
	*s = State(b)
	return nil
}

// Incident is one attack on one thing, from the first alert to the review.
type Incident struct {
	ID     core.UUID     `json:"id"`
	Tenant core.TenantID `json:"tenant"`
	Site   core.SiteID   `json:"site,omitzero"`
	// Subject is what is attacked: "device/press-7", or the source where no
	// device is known. It is the authenticated peer, never a field (F17).
	Subject string        `json:"subject"`
	Device  core.DeviceID `json:"device,omitzero"`
	// Family groups rules that tell of the same kind of attack.
	Family   string        `json:"family"`
	Rule     string        `json:"rule"` // of the first alert
	Title    string        `json:"title"`
	Severity core.Severity `json:"severity"`
	State    State         `json:"state"`
	// Provenance is the weakest among the attached alerts: automatic action
	// needs all of the evidence to be authenticated.
	Provenance core.Provenance `json:"provenance"`
	Simulated  bool            `json:"simulated,omitempty"`
	// Safety is set when people near a machine may be concerned; such an
	// incident is never dismissed by an operator alone.
	Safety bool   `json:"safety_relevant,omitempty"`
	Owner  string `json:"owner,omitempty"`
	// Revision rises by one with every step; it numbers the timeline and the
	// audit entries of the object "incident/<id>".
	Revision uint64    `json:"revision"`
	Alerts   int       `json:"alerts"`
	Into     core.UUID `json:"merged_into,omitzero"`
	Stamps   Stamps    `json:"stamps"`
}

// Object is the incident's name in the audit log.
func (in Incident) Object() string { return "incident/" + in.ID.String() }

// Stamps are the moments that the response times are computed from. A zero time
// means "not yet".
type Stamps struct {
	Occurred     time.Time `json:"occurred"`
	Detected     time.Time `json:"detected"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	Contained    time.Time `json:"contained,omitzero"`
	Closed       time.Time `json:"closed,omitzero"`
	Reviewed     time.Time `json:"reviewed,omitzero"`
}

// Times are the response times of one incident; the means that a board shows
// are taken over these. A negative value means "not yet known".
type Times struct {
	Detect      time.Duration `json:"detect"`      // MTTD: occurred to detected
	Acknowledge time.Duration `json:"acknowledge"` // MTTA: detected to acknowledged
	Contain     time.Duration `json:"contain"`     // detected to contained
	Recover     time.Duration `json:"recover"`     // MTTR: detected to closed by verification
}

// NotYet is the duration of what has not happened.
const NotYet = time.Duration(-1)

// Times computes the response times. Clocks of a device may run ahead of ours;
// such a detection counts as immediate, not as negative.
func (s Stamps) Times() Times {
	return Times{
		Detect:      between(s.Occurred, s.Detected),
		Acknowledge: between(s.Detected, s.Acknowledged),
		Contain:     between(s.Detected, s.Contained),
		Recover:     between(s.Detected, s.Closed),
	}
}

func between(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return NotYet
	}
	return max(to.Sub(from), 0)
}

// Step is one line of the timeline. Its audit entry is the one of object
// "incident/<id>" with the same revision; Intent is the entry that permitted it
// where a person or a playbook asked.
type Step struct {
	Revision uint64        `json:"revision"`
	At       time.Time     `json:"at"`
	By       string        `json:"by"` // principal
	Kind     StepKind      `json:"kind"`
	From     State         `json:"from,omitempty"`
	To       State         `json:"to,omitempty"`
	Text     string        `json:"text"`
	Refs     []string      `json:"refs,omitempty"` // alerts, orders, runs: "order/0193..."
	Intent   core.Position `json:"intent,omitzero"`
	// Fact is the position of this step's own entry, filled in once the
	// outbox has carried it to the log.
	Fact core.Position `json:"fact,omitzero"`
}

// StepKind is what kind of line it is.
type StepKind string

// The kinds of step.
const (
	StepOpened   StepKind = "opened"
	StepAttached StepKind = "attached" // another alert
	StepMoved    StepKind = "moved"    // a state transition
	StepNote     StepKind = "note"     // an action, a result, a remark
)
