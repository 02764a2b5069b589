package api

import (
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/alert"
)

// Status is what `interlock status` shows.
type Status struct {
	Health       core.Health            `json:"health"`
	Parts        map[string]core.Health `json:"parts"`
	Mode         string                 `json:"mode"` // quorum | single-operator
	Installation string                 `json:"installation"`
	RootVersion  uint64                 `json:"root_version"`
	RootHash     string                 `json:"root_hash"`
	Witnessed    bool                   `json:"witnessed"`
	Audit        LogState               `json:"audit"`
	Journal      JournalState           `json:"journal"`
	Devices      map[string]int         `json:"devices"` // by state
	OpenAlerts   int                    `json:"open_alerts"`
	Incidents    map[string]int         `json:"incidents"` // open ones, by state
	Stops        []Stop                 `json:"stops"`
	Sources      []Source               `json:"sources"`
	Warnings     []string               `json:"warnings"`
	// Detection is null on a server that judges no events.
	Detection *DetectionState `json:"detection,omitempty"`
	Started   time.Time       `json:"started"`
}

// DetectionState is what the rules do, and what of it was lost: each of the
// latter is a count since this server began.
type DetectionState struct {
	Rules      int    `json:"rules"` // in force that raise alerts
	Disabled   int    `json:"disabled"`
	Exclusions int    `json:"exclusions"`
	Hash       string `json:"hash"` // of the rules in force
	Events     uint64 `json:"events"`
	Matches    uint64 `json:"matches"`
	// Damaged are records that are no event, Opaque events whose fields could
	// not be read.
	Damaged uint64 `json:"damaged"`
	Opaque  uint64 `json:"opaque"`
	// Groups and Bytes are what correlations remember now.
	Groups int   `json:"groups"`
	Bytes  int64 `json:"bytes"`
	// Late are events that came too late for their window; the other three
	// are what had to make room.
	Late          uint64 `json:"late"`
	EvictedGroups uint64 `json:"evicted_groups"`
	EvictedEvents uint64 `json:"evicted_events"`
	CutEvents     uint64 `json:"cut_events"`
}

// LogState is the audit log's size and whether it may be written.
type LogState struct {
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`
	Root       string `json:"root"`
	Mode       string `json:"mode"` // normal | stop-only
	Reason     string `json:"reason,omitempty"`
	Checkpoint string `json:"checkpoint"`
}

// JournalState is the raw journal's end and how far each stage has come.
type JournalState struct {
	Next    uint64            `json:"next"`
	Cursors map[string]uint64 `json:"cursors"`
}

// Source is a collector and what it sees.
type Source struct {
	Name    string `json:"name"`
	State   string `json:"state"` // running | waiting | skipped | failed
	Detail  string `json:"detail"`
	Records uint64 `json:"records"`
	Lost    uint64 `json:"lost"`
}

// Stop is a stop in force.
type Stop struct {
	ID        string    `json:"id"`
	Trip      string    `json:"trip,omitempty"`
	Scope     string    `json:"scope"`
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	Since     time.Time `json:"since"`
	Confirmed []string  `json:"confirmed"`
	Waiting   []string  `json:"not_confirmed"`
	Reset     []string  `json:"reset,omitempty"` // taken out of the stop by persons
}

// Device is a row of the registry.
type Device struct {
	ID         core.DeviceID     `json:"id"`
	Site       core.SiteID       `json:"site"`
	State      core.DeviceState  `json:"state"`
	Protection string            `json:"protection"` // "software" | "tpm"
	FirstUse   bool              `json:"first_use"`
	ShortCode  string            `json:"short_code"`
	LastSeen   time.Time         `json:"last_seen,omitzero"`
	Epoch      string            `json:"epoch,omitempty"`
	Sequence   uint64            `json:"sequence"`
	Sensors    map[string]string `json:"sensors,omitempty"`
	Latches    []Latch           `json:"latches,omitempty"` // open ones
	Serial     string            `json:"serial,omitempty"`
	Contained  bool              `json:"contained"`
	Enrolled   time.Time         `json:"enrolled,omitzero"`
	// SensorList is Sensors with since when.
	SensorList []Sensor `json:"sensor_list,omitempty"`
	// OpenLatches and SensorsNotOK count, also in a list, which has neither
	// sensors nor latches.
	OpenLatches  int `json:"open_latches"`
	SensorsNotOK int `json:"sensors_not_ok"`
	// StopOnly says why nothing that loosens goes to the device: its row says
	// other than the audit log. Approving it anew ends that.
	StopOnly string  `json:"stop_only,omitempty"`
	Orders   []Order `json:"orders,omitempty"`
	// Status is what the device last said of itself, null where it never did.
	Status    *DeviceStatus `json:"status,omitempty"`
	WalkTests []WalkTest    `json:"walk_tests,omitempty"`
	// Criticality is how much depends on it, as people say: low, medium, high or
	// critical.
	Criticality string `json:"criticality,omitempty"`
	// Risk is null for a device that has no part in the fleet yet or any more,
	// and in a list.
	Risk *DeviceRisk `json:"risk,omitempty"`
}

// Sensor is what a device last said of one of its sensors.
type Sensor struct {
	Device    core.DeviceID    `json:"device"`
	ID        string           `json:"id"`
	State     core.SensorState `json:"state"`
	Since     time.Time        `json:"since"`
	Simulated bool             `json:"simulated,omitempty"`
	// The rest is what its heartbeats say beside the state; not in a board.
	Kind   string  `json:"kind,omitempty"`
	Why    string  `json:"why,omitempty"` // it is not ok
	Values []Value `json:"values,omitempty"`
	// Proven is when it last showed that it works; zero where it never did, as
	// far as the device says.
	Proven      time.Time `json:"proven,omitzero"`
	BypassUntil time.Time `json:"bypass_until,omitzero"`
}

// Latch is something that a device noticed and that stays until it is released.
type Latch struct {
	ID     string    `json:"id"`
	Sensor string    `json:"sensor"`
	Type   string    `json:"type"`
	Since  time.Time `json:"since"`
}

// Order is an order and how far it has come.
type Order struct {
	ID        core.UUID       `json:"id"`
	Type      string          `json:"type"`
	Device    core.DeviceID   `json:"device"`
	Site      core.SiteID     `json:"site,omitzero"`
	State     string          `json:"state"`
	Requester string          `json:"requester"`
	Approvals []string        `json:"approvals,omitempty"` // persons
	Needed    int             `json:"needed,omitempty"`
	Reason    string          `json:"reason"`
	Incident  string          `json:"incident,omitempty"`
	Direction string          `json:"direction"`
	Detail    string          `json:"detail,omitempty"` // the device's answer
	Answer    json.RawMessage `json:"answer,omitempty"` // the same, signed by the device
	Created   time.Time       `json:"created"`
	Updated   time.Time       `json:"updated,omitzero"`
	Expires   time.Time       `json:"expires,omitzero"`
	Envelope  json.RawMessage `json:"envelope,omitempty"`
	Intent    core.Position   `json:"intent,omitzero"`
}

// Alert is an open or closed alert with its count.
type Alert struct {
	ID          core.UUID         `json:"id"`
	Rule        string            `json:"rule"`
	RuleID      string            `json:"rule_id,omitempty"`
	Title       string            `json:"title"`
	Author      string            `json:"author"`
	Link        string            `json:"link,omitempty"` // where the rule can be read
	License     string            `json:"license,omitempty"`
	Level       string            `json:"level,omitempty"` // the rule's own word for how bad it is
	Tags        []string          `json:"tags,omitempty"`
	Categories  []alert.Category  `json:"categories,omitempty"`
	Severity    core.Severity     `json:"severity"`
	Fingerprint string            `json:"fingerprint"`
	Group       map[string]string `json:"group,omitempty"`
	Count       uint64            `json:"count"`
	First       time.Time         `json:"first"`
	Last        time.Time         `json:"last"`
	Updated     time.Time         `json:"updated,omitzero"`
	State       string            `json:"state"`
	Device      string            `json:"device,omitempty"`
	Source      string            `json:"source"`
	Provenance  core.Provenance   `json:"provenance"`
	Events      []core.UUID       `json:"events"`
	Simulated   bool              `json:"simulated,omitempty"`
	AckedBy     string            `json:"acked_by,omitempty"`
	AckedAt     time.Time         `json:"acked_at,omitzero"`
	AckedNote   string            `json:"acked_note,omitempty"`
	// Verdict is what a closed alert was: resolved, benign or false-positive.
	Verdict      string    `json:"verdict,omitempty"`
	ClosedBy     string    `json:"closed_by,omitempty"`
	ClosedAt     time.Time `json:"closed_at,omitzero"`
	ClosedReason string    `json:"closed_reason,omitempty"`
	References   []string  `json:"references,omitempty"`
	// FalsePositives are what the rule's author knows to set it off in error.
	FalsePositives []string `json:"false_positives,omitempty"`
	// Shaken says that the whole site was shaken at that time, so that a device
	// that says it is moved may not be alone; not in a list.
	Shaken *Shaken `json:"shaken,omitempty"`
}

// Incident is an incident with its timeline.
type Incident struct {
	ID       core.UUID     `json:"id"`
	Title    string        `json:"title"`
	State    string        `json:"state"`
	Severity core.Severity `json:"severity"`
	Device   string        `json:"device,omitempty"`
	Site     string        `json:"site,omitempty"`
	Subject  string        `json:"subject"`
	Rule     string        `json:"rule,omitempty"` // of the first alert
	Owner    string        `json:"owner,omitempty"`
	// Provenance is the weakest among the alerts.
	Provenance core.Provenance `json:"provenance,omitempty"`
	Safety     bool            `json:"safety_relevant,omitempty"`
	Into       string          `json:"merged_into,omitempty"`
	// Next are the states that it may go to from here.
	Next       []string           `json:"next,omitempty"`
	AlertCount int                `json:"alert_count"`
	Simulated  bool               `json:"simulated,omitempty"`
	Opened     time.Time          `json:"opened"`
	Closed     time.Time          `json:"closed,omitzero"`
	Metrics    map[string]float64 `json:"metrics,omitempty"` // seconds to detect, acknowledge, contain, recover
	Alerts     []core.UUID        `json:"alerts,omitempty"`
	Timeline   []Step             `json:"timeline,omitempty"`
}

// Step is one line of an incident's timeline. Audit names the log entry that
// records it, Intent the one that permitted it.
type Step struct {
	Time   time.Time      `json:"time"`
	By     string         `json:"by"`
	Kind   string         `json:"kind,omitempty"`
	What   string         `json:"what"`
	From   string         `json:"from,omitempty"`
	To     string         `json:"to,omitempty"`
	Refs   []string       `json:"refs,omitempty"` // "alert/...", "order/..."
	Audit  *core.Position `json:"audit,omitempty"`
	Intent *core.Position `json:"intent,omitempty"`
}

// Run is a playbook at work on one incident. Steps count from 1.
type Run struct {
	ID       core.UUID `json:"id"`
	Incident core.UUID `json:"incident"`
	Playbook string    `json:"playbook"`
	State    string    `json:"state"` // proposed running done failed stopped
	Round    int       `json:"round"` // how often it was started
	Step     int       `json:"step"`
	Deadline time.Time `json:"deadline,omitzero"` // of the present step
	Created  time.Time `json:"created"`
	Starter  string    `json:"starter,omitempty"` // the person who started it
	Book     string    `json:"book"`              // the playbook's exact bytes
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Attempt is one try at a step.
type Attempt struct {
	Round   int       `json:"round"`
	Step    int       `json:"step"`
	Attempt int       `json:"attempt"`
	State   string    `json:"state"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Detail  string    `json:"detail,omitempty"`
}

// DryRun is what playbooks would do, for people to read.
type DryRun struct {
	Lines []string `json:"lines"`
}

// MoveIncident asks for a transition of an incident.
type MoveIncident struct {
	To     string `json:"to"`
	Reason string `json:"reason"` // "" for none
	Into   string `json:"into"`   // the incident that this one merges into, "" for none
}

// TokenRequest asks for an enrolment token.
type TokenRequest struct {
	Site   core.SiteID   `json:"site"`
	Device core.DeviceID `json:"device"`
	TTL    string        `json:"ttl"`  // Go duration, "1h"
	Fact   string        `json:"fact"` // SHA-256 of the agent's public key, hex, "" for none
}

// Token is an enrolment string; it is shown once.
type Token struct {
	ID      string    `json:"id"`
	String  string    `json:"string"`
	Expires time.Time `json:"expires"`
}

// ActRequest asks for an act on a device.
type ActRequest struct {
	Reason   string `json:"reason"`
	Incident string `json:"incident"` // "" for none
	// Presence is the code that the device shows on its local socket; a
	// single-operator release needs it.
	Presence string `json:"presence"`
	// Arming is what a disarm leads to: disarmed, transport or maintenance.
	Arming core.Arming `json:"arming,omitempty"`
	// Sensor is the one that a bypass or a baseline is about, Point the one input
	// of it that a bypass is about, "" for all.
	Sensor string `json:"sensor,omitempty"`
	Point  string `json:"point,omitempty"`
	// From and Until bound a disarm (Until) or a bypass; From zero means at once.
	From   time.Time `json:"from,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Ticket string    `json:"ticket,omitempty"` // of the work, as the site counts it
	// SHA256 names the inventory that a baseline accepts.
	SHA256 string `json:"sha256,omitempty"`
}

// ApproveDevice takes a waiting device in.
type ApproveDevice struct {
	Code string `json:"code"` // the short code, read from the device itself
}

// RootVersion is the trust root in force.
type RootVersion struct {
	Version  uint64          `json:"version"`
	Hash     string          `json:"hash"`
	Envelope json.RawMessage `json:"envelope"`
}

// Approval is a person's signature over an order's bytes.
type Approval struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// AuditEntry is a leaf of the log, as far as the reader may see it.
type AuditEntry struct {
	core.Position
	Time    time.Time       `json:"time"`
	Type    string          `json:"type"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Object  string          `json:"object"`
	Outcome string          `json:"outcome"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// Statement is what the root role signs to begin a new log after damage.
type Statement struct {
	Statement []byte `json:"statement"` // the exact bytes
}

// Verified is the outcome of a verification of the running log.
type Verified struct {
	LogState
	OK bool `json:"ok"`
	// Problem says what failed and where, "" for nothing.
	Problem string `json:"problem,omitempty"`
}
