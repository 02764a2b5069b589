package detect

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
)

// recordKind is what a record of the topic "matches" says.
type recordKind string

const (
	recordMatch     recordKind = "match"
	recordWatermark recordKind = "watermark"
	recordRules     recordKind = "rules"
)

// record is what travels on the topic "matches".
type record struct {
	V     int        `json:"v"` // 1
	Kind  recordKind `json:"kind"`
	Match *Match     `json:"match,omitempty"`
	// Partition and At are a watermark: all of the partition's records up to
	// this time have been judged.
	Partition int32     `json:"partition,omitempty"`
	At        time.Time `json:"at,omitzero"`
	// Rules is the hash of the set that is in force from here on.
	Rules string `json:"rules,omitempty"`
}

// Match is one rule that held for one event.
type Match struct {
	// Rule is the rule's id, Rules the hash of the set that it is of.
	Rule  string `json:"rule"`
	Rules string `json:"rules"`
	// Alerts is false for rules that only feed correlations.
	Alerts     bool            `json:"alerts,omitempty"`
	Event      core.UUID       `json:"event"`
	At         time.Time       `json:"at"`
	Received   time.Time       `json:"received"`
	Tenant     core.TenantID   `json:"tenant"`
	Source     string          `json:"source"`
	Provenance core.Provenance `json:"provenance"`
	Simulated  bool            `json:"simulated,omitempty"`
	Device     core.DeviceID   `json:"device,omitzero"`
	Type       string          `json:"type"`
	// Fields are what correlations and grouping need of the event.
	Fields map[string]string `json:"fields,omitempty"`
}

func (r record) encode() ([]byte, error) {
	r.V = 1
	b, err := json.Marshal(r)
	return b, core.Wrap(core.KindInternal, "detect.encode", err)
}

func decodeRecord(b []byte) (record, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return r, core.Wrap(core.KindDamaged, "detect.decodeRecord", err)
	}
	if r.V != 1 || r.Kind == recordMatch && r.Match == nil {
		return r, core.E(core.KindDamaged, "detect.decodeRecord", fmt.Sprintf("record of version %d and kind %q", r.V, r.Kind))
	}
	return r, nil
}
