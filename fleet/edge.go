package fleet

import (
	"context"
	"crypto/tls"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/safety/stop"
)

// Facts puts what happened into the audit outbox, inside the caller's
// transaction; audit.Put is the real one.
type Facts func(ctx context.Context, tx *store.Tx, e audit.Entry) error

// Topic is where changes of orders are published; journal.Topic is the real one.
type Topic interface {
	Publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, records ...[]byte) error
}

// Log is the audit log as far as the fleet needs it: entries that must be
// durable before something else happens, and what proves them.
type Log interface {
	Append(ctx context.Context, e audit.Entry) (audit.Result, error)
	// Checkpoint returns the newest signed checkpoint.
	Checkpoint() audit.Checkpoint
	// Proof returns the tlog-proof of a leaf, with the leaf as extra data.
	Proof(ctx context.Context, at core.Position) ([]byte, error)
	// InclusionPath returns the RFC 6962 path of a leaf in the tree of size.
	InclusionPath(index, size uint64) ([][]byte, error)
}

// Warrant is why the keys process should do as asked: who was permitted what,
// and where the log holds the intent.
type Warrant struct {
	Principal core.Principal
	Action    core.Action
	Resource  core.Resource
	Intent    core.Position
}

// Keys is the keys process: the only holder of the CA and of the command key.
// It evaluates the policy and looks for the intent in the log itself, and takes
// each intent once.
type Keys interface {
	// SignOrder signs the exact payload of an order in the namespace of
	// orders. It refuses what is not tighten or contain.
	SignOrder(ctx context.Context, w Warrant, payload []byte) (link.Signature, error)
	// IssueManagement returns the PEM chain of a management certificate. The
	// names come from here, never from the request of the device; csr (DER)
	// shows possession of the key and nothing else.
	IssueManagement(ctx context.Context, w Warrant, tenant core.TenantID, device core.DeviceID, csr []byte) ([]byte, error)
	// IssueWorkload returns the PEM chain of a certificate for a program on a
	// device, as IssueManagement.
	IssueWorkload(ctx context.Context, w Warrant, tenant core.TenantID, device core.DeviceID, workload core.ServiceID, csr []byte) ([]byte, error)
}

// Frames is the journal as far as the fleet writes it.
type Frames interface {
	Append(ctx context.Context, frames ...journal.Frame) ([]journal.Appended, error)
}

// Peers says which device stands behind a connection; verify.Server is the real
// one.
type Peers interface {
	Peer(cs *tls.ConnectionState) (*verify.Peer, error)
	// Renewing also takes a certificate that has merely expired.
	Renewing(cs *tls.ConnectionState) (*verify.Peer, error)
}

// Stops is the in-memory way of stop orders, which needs no database (F06);
// stop.Hub is the real one.
type Stops interface {
	Subscribe(t stop.Target) *stop.Subscription
}

// Confirmer takes a device's word that it carried a stop out; false says that
// the order is no stop in force. stop.Service is the real one.
type Confirmer interface {
	Confirm(tenant core.TenantID, device core.DeviceID, stop core.UUID) bool
}
