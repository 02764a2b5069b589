package keys

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// The actions that a warrant may name beside those of orders. They are spelled
// as in package policy.
const (
	actionEnrol           core.Action = "device.enrol"
	actionApprove         core.Action = "device.approve"
	actionRenew           core.Action = "identity.renew"
	actionWorkload        core.Action = "identity.workload"
	actionIssueManagement core.Action = "keys.issue-management"
	actionIssueWorkload   core.Action = "keys.issue-workload"
	actionIssueServer     core.Action = "keys.issue-server"
)

// ActionOf returns the action that a warrant for an order of this type names:
// "device." and the type. Who quarantines needs a permit to quarantine, not one
// to have something signed.
func ActionOf(t link.OrderType) core.Action { return core.Action("device." + string(t)) }

// Warrant is why keys should do as asked.
type Warrant struct {
	Principal core.Principal
	Action    core.Action
	Resource  core.Resource
	// Leaf is the intent's exact bytes in the audit log, Proof its inclusion
	// proof (c2sp.org/tlog-proof@v1).
	Leaf  []byte
	Proof []byte
}

// SignOrder asks for the server-command signature over an order. The warrant
// names ActionOf(type) on "device/<id>"; its principal is the order's requester
// and its Resource.Params is ParamsOf(payload) or empty.
type SignOrder struct {
	Warrant Warrant
	Payload []byte
}

// IssueManagement asks for a device's management certificate: device.enrol,
// device.approve, identity.renew or keys.issue-management on "device/<id>". A
// renewal is for the key of the certificate before it and for no other.
type IssueManagement struct {
	Warrant Warrant
	Tenant  core.TenantID
	Device  core.DeviceID
	CSR     []byte // PKCS#10, DER: possession alone
}

// IssueWorkload asks for a workload certificate: identity.workload or
// keys.issue-workload on "device/<id>".
type IssueWorkload struct {
	Warrant  Warrant
	Tenant   core.TenantID
	Device   core.DeviceID
	Workload core.ServiceID
	CSR      []byte
}

// IssueServer asks for the listener's certificate: keys.issue-server on
// "certificate/<first host>".
type IssueServer struct {
	Warrant Warrant
	Hosts   []string
	CSR     []byte
}

// PublicInfo is what the trust root and enrolment strings need to know.
type PublicInfo struct {
	CommandKey string   `json:"command_key"` // authorized_keys form
	CAPins     []string `json:"ca_pins"`     // hex; the second is in reserve
	Issuers    []byte   `json:"issuers"`     // PEM: intermediate and root
	RootHash   string   `json:"root_hash"`   // of the adopted trust root, "" before the ceremony
}

// Status is how the process is.
type Status struct {
	PID          int    `json:"pid"`
	Sealed       bool   `json:"sealed"` // the vault waits for its passphrase
	MemoryLocked bool   `json:"memory_locked"`
	Dumpable     bool   `json:"dumpable"`
	RootVersion  uint64 `json:"root_version"` // 0 before the ceremony
	OrdersHour   int    `json:"orders_hour"`  // signed within the last hour
	DevicesHour  int    `json:"devices_hour"` // contained within the last hour
}

// ParamsOf is the Resource.Params of a request about exactly these bytes.
func ParamsOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}
