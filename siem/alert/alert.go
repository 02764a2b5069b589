package alert

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Policy that is part of what an alert means.
const (
	// RenotifyAfter is the least time between two notices of one alert.
	RenotifyAfter = 5 * time.Minute
	// Quiet ends an alert: what comes later than this after the last is new.
	Quiet = time.Hour
	// MaxSample is how many event ids stand in the alert itself.
	MaxSample = 20
	// maxSources is how many sources are named.
	maxSources = 10
)

// State is what was made of an alert.
type State string

// The states. Acknowledging stops notices, never counting. Closed is an alert
// that is over: its incident was closed, or a person has judged it.
const (
	StateOpen         State = "open"
	StateAcknowledged State = "acknowledged"
	StateClosed       State = "closed"
)

// Kind is why a notice is sent.
type Kind string

// The kinds of notice. KindNone is a change that is not talked about.
const (
	KindNone     Kind = ""
	KindOpened   Kind = "opened"
	KindRaised   Kind = "raised" // severity or standing rose
	KindRepeated Kind = "repeated"
)

// Rule is the rule that fired. The Detection Rule License asks for the author
// on every message based on a match; none is made without.
type Rule struct {
	// Name is the rule's name, or its id where it has none.
	Name    string `json:"rule"`
	ID      string `json:"rule_id"`
	Title   string `json:"title"`
	Author  string `json:"rule_author"`
	License string `json:"rule_license,omitempty"`
	// Link is where the rule can be read, Level what its author says of it.
	Link       string   `json:"rule_link,omitempty"`
	Level      string   `json:"rule_level,omitempty"`
	Tags       []string `json:"tags,omitempty"`
	References []string `json:"references,omitempty"`
	FalsePos   []string `json:"false_positives,omitempty"`
}

// Alert is a row and, as JSON, a record of the topic.
type Alert struct {
	V      int           `json:"v"` // 1
	Notice Kind          `json:"notice,omitempty"`
	ID     core.UUID     `json:"id"`
	Tenant core.TenantID `json:"tenant"`
	Rule
	Severity    core.Severity `json:"severity"`
	State       State         `json:"state"`
	Fingerprint string        `json:"fingerprint"`
	// Group is what the alert is about, by field.
	Group map[string]string `json:"group,omitempty"`
	// Source is the authenticated peer of the first event, Device the device
	// that this peer is; Sources are all of them, as far as they are kept.
	Source     string          `json:"source"`
	Sources    []string        `json:"sources,omitempty"`
	Device     core.DeviceID   `json:"device,omitzero"`
	Provenance core.Provenance `json:"provenance"`
	Simulated  bool            `json:"simulated,omitempty"`
	// Count is the number of distinct events.
	Count uint64 `json:"count"`
	// Uncounted is how many more there were that no window could hold.
	Uncounted uint64 `json:"uncounted,omitempty"`
	// First and Last are the times of the events, as their sources say.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Opened, Updated and Notified are times of the journal's records.
	Opened   time.Time `json:"opened"`
	Updated  time.Time `json:"updated"`
	Notified time.Time `json:"notified"`
	// Suppressed counts events since the last notice.
	Suppressed uint64      `json:"suppressed"`
	Events     []core.UUID `json:"events"` // the first MaxSample
	AckedBy    string      `json:"acked_by,omitempty"`
	AckedAt    time.Time   `json:"acked_at,omitzero"`
	AckedNote  string      `json:"acked_note,omitempty"`
	// Closing is how it was closed; zero while it is not.
	Closing Closing `json:"closing,omitzero"`
}

// Verdict is what an alert was in the end.
type Verdict string

// The verdicts.
const (
	// VerdictResolved is an alert whose incident was dealt with.
	VerdictResolved Verdict = "resolved"
	// VerdictBenign is what the rule means to find, and all right here.
	VerdictBenign Verdict = "benign"
	// VerdictFalsePositive is what the rule does not mean to find.
	VerdictFalsePositive Verdict = "false-positive"
)

// Verdicts lists them.
var Verdicts = []Verdict{VerdictResolved, VerdictBenign, VerdictFalsePositive}

// Closing is the end of an alert: what it was, who says so, and why. The reason
// is kept: it is what a rule is tuned by.
type Closing struct {
	Verdict Verdict   `json:"verdict"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
}

// Event is one event that a raise names.
type Event struct {
	ID     core.UUID
	At     time.Time
	Source string
}

// Raise is what detection says: these events made this rule fire.
type Raise struct {
	Tenant core.TenantID
	Rule   Rule
	// Severity is the rule's level on the one scale.
	Severity core.Severity
	// Key names the group within the rule, Group shows it.
	Key        string
	Group      map[string]string
	Device     core.DeviceID
	Provenance core.Provenance
	Simulated  bool
	Events     []Event
	// Lost counts events of the group that are not among Events because the
	// rule's window had no room for them.
	Lost uint64
	// Now is the time of the journal's record that brought it.
	Now time.Time
}

// Fingerprint names what the alert is about. Simulated events have their own.
func (r Raise) Fingerprint() string {
	h := sha256.New()
	for _, part := range []string{"interlock-alert-v1", r.Tenant.String(), r.Rule.ID, r.Key, strconv.FormatBool(r.Simulated)} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// id is made from what opened the alert, so that the same journal gives the
// same alert. It is a UUIDv7 of the time of the record.
func (r Raise) id() core.UUID {
	h := sha256.New()
	h.Write([]byte("interlock-alert-id-v1" + r.Fingerprint()))
	for _, e := range r.Events {
		h.Write(e.ID[:])
	}
	var u core.UUID
	copy(u[:], h.Sum(nil))
	ms := uint64(r.Now.UnixMilli())
	binary.BigEndian.PutUint32(u[0:4], uint32(ms>>16))
	binary.BigEndian.PutUint16(u[4:6], uint16(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// Open makes a new alert of a raise.
func Open(r Raise) Alert {
	a := Alert{
		V: 1, Notice: KindOpened, ID: r.id(), Tenant: r.Tenant, Rule: r.Rule, Severity: r.Severity, State: StateOpen,
		Fingerprint: r.Fingerprint(), Group: r.Group, Device: r.Device, Provenance: r.Provenance, Simulated: r.Simulated,
		Opened: r.Now, Notified: r.Now,
	}
	a.count(r)
	a.Suppressed = 0
	return a
}

// Ended reports whether the alert is over by the time now.
func (a Alert) Ended(now time.Time) bool { return now.Sub(a.Updated) > Quiet }

// Fold counts the events of r, which must all be new to the alert, and says in
// Notice whether the change is to be told.
func (a Alert) Fold(r Raise) Alert {
	raised := r.Severity.Rank() > a.Severity.Rank()
	if raised {
		a.Severity = r.Severity
	}
	if stronger(r.Provenance, a.Provenance) {
		raised = raised || r.Provenance.Authenticated() != a.Provenance.Authenticated()
		a.Provenance = r.Provenance
	}
	a.Sources, a.Events = slices.Clone(a.Sources), slices.Clone(a.Events)
	a.count(r)
	switch {
	case raised:
		a.Notice = KindRaised
	case a.State == StateOpen && r.Now.Sub(a.Notified) >= RenotifyAfter:
		a.Notice = KindRepeated
	default:
		a.Notice = KindNone
		return a
	}
	a.Notified, a.Suppressed = r.Now, 0
	return a
}

func (a *Alert) count(r Raise) {
	a.Uncounted += r.Lost
	for _, e := range r.Events {
		a.Count++
		a.Suppressed++
		if len(a.Events) < MaxSample {
			a.Events = append(a.Events, e.ID)
		}
		if a.First.IsZero() || e.At.Before(a.First) {
			a.First = e.At
		}
		if e.At.After(a.Last) {
			a.Last = e.At
		}
		if !slices.Contains(a.Sources, e.Source) && len(a.Sources) < maxSources {
			a.Sources = append(a.Sources, e.Source)
		}
	}
	if a.Source == "" && len(a.Sources) > 0 {
		a.Source = a.Sources[0]
	}
	if r.Now.After(a.Updated) {
		a.Updated = r.Now
	}
}

// stronger reports whether a proves more than b.
func stronger(a, b core.Provenance) bool {
	i, j := slices.Index(core.Provenances, a), slices.Index(core.Provenances, b)
	return i >= 0 && (j < 0 || i < j)
}
