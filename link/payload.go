package link

import (
	"encoding/json"

	"github.com/interlock-security/interlock/core"
)

// MaxPayload is the largest payload an envelope may carry, in bytes.
const MaxPayload = 64 << 10

// The SSHSIG namespaces. A signature made in one never verifies in another.
const (
	NamespaceOrder    = "interlock-order@v1"
	NamespaceApproval = "interlock-approval@v1"
	NamespaceRoot     = "interlock-root@v1"
	NamespaceBatch    = "interlock-batch@v1"
)

// Envelope is what travels: the exact payload bytes and who signed them. The
// signatures are over Payload as received; nothing is ever re-encoded.
type Envelope struct {
	Payload    []byte      `json:"payload"` // base64 in JSON
	Signatures []Signature `json:"signatures"`
}

// Signature is one SSHSIG signature (openssh PROTOCOL.sshsig, sha512). The
// namespace and the public key stand inside the blob.
type Signature struct {
	KeyID string `json:"keyid"` // "SHA256:..." as ssh-keygen -l prints it
	Sig   []byte `json:"sig"`   // raw SSHSIG blob, base64 in JSON
}

// Order is what a device is told to do. Times are microseconds since the Unix
// epoch. Every order names the device's epoch, so that none outlives a state
// that was restored. A release also names the latches that it opens and has
// counter 0, so that it can be signed days before it is carried to the device;
// every other order has a counter that rises strictly within the epoch and the
// trust root. A stop may leave both out: it is never refused for want of them
// (TRUST F06).
type Order struct {
	V           int             `json:"v"` // 1
	Type        OrderType       `json:"type"`
	ID          core.UUID       `json:"id"`
	Tenant      core.TenantID   `json:"tenant"`
	Site        core.SiteID     `json:"site"`
	Device      core.DeviceID   `json:"device"`
	Requester   string          `json:"requester"` // principal, "person/anna"
	Reason      string          `json:"reason"`
	Incident    string          `json:"incident"` // "" where there is none
	RootVersion uint64          `json:"root_version"`
	Epoch       string          `json:"epoch"`   // 32 hex digits
	Counter     uint64          `json:"counter"` // 0 for releases
	Latches     []string        `json:"latches"` // latch ids, 32 hex digits each
	Params      json.RawMessage `json:"params"`  // object, strict per type
	Issued      int64           `json:"issued"`
	Expires     int64           `json:"expires"`
}

// Batch is a run of device events, hash-chained to the batch before it.
type Batch struct {
	V             int           `json:"v"` // 1
	Tenant        core.TenantID `json:"tenant"`
	Device        core.DeviceID `json:"device"`
	Epoch         string        `json:"epoch"` // random, new whenever state is created, restored or not provably continuous
	First         uint64        `json:"first"` // sequence of the first event
	Last          uint64        `json:"last"`
	Prev          string        `json:"prev"` // SHA-256, hex, of the previous batch's payload; "" for the first of an epoch
	Boot          string        `json:"boot"` // kernel boot id
	StateCounter  uint64        `json:"state_counter"`
	PolicyVersion uint64        `json:"policy_version"`
	RootVersion   uint64        `json:"root_version"`
	LogSize       uint64        `json:"log_size"` // last checkpoint seen
	LogRoot       string        `json:"log_root"` // base64 as in the checkpoint, "" for none
	Sent          int64         `json:"sent"`
	Events        []DeviceEvent `json:"events"`
}

// DeviceEvent is one thing that a device noticed or did.
type DeviceEvent struct {
	Seq      uint64        `json:"seq"` // gap-free within the epoch
	ID       core.UUID     `json:"id"`
	Time     int64         `json:"time"` // wall clock, microseconds
	Mono     int64         `json:"mono"` // boot-time monotonic, microseconds
	Type     string        `json:"type"` // "carrier_down", "interface_attached", "sensor_lost", "order_result", ...
	Class    int           `json:"class"`
	Severity core.Severity `json:"severity"`
	Sensor   string        `json:"sensor"` // "" for the agent itself
	// State is the sensor's state after this event, "" where none.
	State     core.SensorState `json:"state,omitempty"`
	Latch     string           `json:"latch,omitempty"`
	Simulated bool             `json:"simulated,omitempty"`
	Fields    json.RawMessage  `json:"fields"`
}

// Result is a device's signed answer to an order, signed in [NamespaceBatch].
type Result struct {
	V       int           `json:"v"` // 1
	Tenant  core.TenantID `json:"tenant"`
	Device  core.DeviceID `json:"device"`
	Order   core.UUID     `json:"order"`
	Outcome Outcome       `json:"outcome"`
	Detail  string        `json:"detail"` // what and why, for people
	Epoch   string        `json:"epoch"`
	Time    int64         `json:"time"`
}

// Outcome says what became of an order on the device.
type Outcome string

// The outcomes.
const (
	OutcomeDone      Outcome = "done"
	OutcomeRefused   Outcome = "refused"
	OutcomePending   Outcome = "pending" // accepted, a delay runs
	OutcomeFailed    Outcome = "failed"
	OutcomeDuplicate Outcome = "duplicate" // seen before; the first answer stands
)

// Receipt is the server's answer to a batch: the batch is durable and the log
// proves it. A commit group of batches shares one audit leaf whose body names
// the RFC 6962 root over the batch hashes of the group.
type Receipt struct {
	V          int           `json:"v"` // 1
	Device     core.DeviceID `json:"device"`
	Epoch      string        `json:"epoch"`
	First      uint64        `json:"first"`
	Last       uint64        `json:"last"`
	Batch      string        `json:"batch"` // SHA-256, hex, of the payload as received
	GroupIndex uint64        `json:"group_index"`
	GroupSize  uint64        `json:"group_size"`
	GroupPath  [][]byte      `json:"group_path"`
	Leaf       []byte        `json:"leaf"` // the audit leaf's exact bytes
	Index      uint64        `json:"index"`
	LeafPath   [][]byte      `json:"leaf_path"`
	Checkpoint string        `json:"checkpoint"` // signed note
	Fork       bool          `json:"fork,omitempty"`
}

// Root is the trust root: the document, signed by people, that tells a device
// whom to believe (TRUST F01). Thresholds count persons, not keys.
type Root struct {
	V            int           `json:"v"` // 1
	Installation string        `json:"installation"`
	Tenant       core.TenantID `json:"tenant"`
	Version      uint64        `json:"version"`
	Mode         Mode          `json:"mode"`
	Issued       int64         `json:"issued"`
	ReviewBy     int64         `json:"review_by"` // past it devices only tighten (F23)
	Persons      []Person      `json:"persons"`
	Roles        []Role        `json:"roles"`
	// Server keys: what serve and keys hold. Never in a person's role.
	CommandKey string   `json:"command_key"` // authorized_keys form; may contain, tighten
	StopKey    string   `json:"stop_key"`    // authorized_keys form; may stop only
	LogKey     string   `json:"log_key"`     // C2SP vkey of the audit log
	LogOrigin  string   `json:"log_origin"`
	Witness    string   `json:"witness"` // C2SP tlog-policy text, "" = unwitnessed
	CAPins     []string `json:"ca_pins"` // SHA-256 of SPKI, hex
	Servers    []string `json:"servers"` // host:port of the agent listener
	MinAgent   string   `json:"min_agent"`
	// ReleaseDelay is how long an order away from safety waits where a single
	// operator signed it, in seconds.
	ReleaseDelay int64 `json:"release_delay"`
	// RecoveryDelay is how long the next trust root waits on a device, in
	// seconds, where recovery keys alone signed it (F22).
	RecoveryDelay int64 `json:"recovery_delay"`
}

// Mode is whether the site has enough persons for two-person rules.
type Mode string

// The modes of a trust root.
const (
	ModeQuorum         Mode = "quorum"
	ModeSingleOperator Mode = "single-operator"
)

// Person is a human and the keys that are that human's.
type Person struct {
	ID   core.PersonID `json:"id"`
	Name string        `json:"name"`
	Keys []string      `json:"keys"` // authorized_keys form, comment-less
}

// Role is who may do what, and how many of them it takes.
type Role struct {
	Name      RoleName        `json:"name"`
	Threshold int             `json:"threshold"`
	Members   []core.PersonID `json:"members"`
	// KeyIDs narrows the role to these keys of its members; empty means any
	// that the root role does not name. The root role always names its keys:
	// they are the offline recovery keys and count in no other role.
	KeyIDs []string `json:"keyids"`
	// KeysThreshold is how many different keys must sign, beside Threshold
	// persons; 0 means no more than the persons need. It lets one person hold
	// recovery keys of which k of n are needed (F22). It never replaces
	// persons.
	KeysThreshold int `json:"keys_threshold"`
}

// RoleName is a role of the trust root.
type RoleName string

// The roles held by persons.
const (
	RoleRoot         RoleName = "root"
	RoleRelease      RoleName = "release"
	RoleDestroy      RoleName = "destroy"
	RolePolicy       RoleName = "policy"
	RoleAgentRelease RoleName = "agent-release"
)

// The roles held by server keys; they stand in Root.CommandKey and StopKey.
const (
	RoleServerCommand RoleName = "server-command"
	RoleServerStop    RoleName = "server-stop"
)

// OrderType is what an order asks for. Every type has a row in the direction
// table (direction.go).
type OrderType string

// The order types.
const (
	OrderStop          OrderType = "stop"           // bring outputs to their safe state
	OrderArm           OrderType = "arm"            // tighten
	OrderQuarantine    OrderType = "quarantine"     // contain: only the server link stays
	OrderSuspend       OrderType = "suspend"        // contain: workload identity off
	OrderRelease       OrderType = "release"        // loosen: opens named latches
	OrderReset         OrderType = "reset"          // loosen: after a stop
	OrderDisarm        OrderType = "disarm"         // loosen
	OrderBypass        OrderType = "bypass"         // loosen: a sensor
	OrderBaseline      OrderType = "baseline"       // loosen: accept changed hardware
	OrderPolicy        OrderType = "policy"         // loosen: policy role
	OrderUpdate        OrderType = "update"         // loosen: agent-release role
	OrderServerAddress OrderType = "server_address" // loosen: root role
	OrderZeroize       OrderType = "zeroize"        // destroy
	OrderRetire        OrderType = "retire"         // destroy
)
