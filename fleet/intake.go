package fleet

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/wal"
)

// MaxBody is the largest body of a device's request, in bytes.
const MaxBody = 128 << 10

// maxGroup is how many batches share one leaf of the audit log.
const maxGroup = 256

// TypeBatch is the type of the record that carries a batch as it came, before
// the records of its events: exact payload and signature, so that evidence can
// be verified without believing this server (F08).
const TypeBatch = "device_batch"

// Intake takes batches in and gives receipts out.
type Intake struct {
	frames     Frames
	log        Log
	clock      core.Clock
	partitions int32
	warn       *slog.Logger
	group      *wal.Group[*arrival]
}

// NewIntake returns an intake that writes into the given number of partitions.
func NewIntake(frames Frames, log Log, clock core.Clock, partitions int32, warn *slog.Logger) *Intake {
	in := &Intake{frames: frames, log: log, clock: clock, partitions: max(partitions, 1), warn: warn}
	in.group = wal.NewGroup(maxGroup, in.commit)
	return in
}

// arrival is a batch on its way through a commit group.
type arrival struct {
	batch    *link.Batch
	hash     [32]byte
	frame    journal.Frame
	appended journal.Appended
	receipt  *link.Receipt
}

// Take verifies a batch that device d sent and returns its receipt once the
// batch is durable and the log holds the leaf of its group. key is the device's
// registered management key. The same batch again gives another receipt and
// changes nothing; another batch under the same numbers is kept beside the
// first and said so in the receipt.
func (in *Intake) Take(ctx context.Context, d Device, key crypto.PublicKey, body []byte) (*link.Receipt, error) {
	env, batch, err := openBatch(d, key, body)
	if err != nil {
		return nil, err
	}
	received := in.clock.Now()
	records, err := recordsOf(d, env, batch, received)
	if err != nil {
		return nil, err
	}
	a := &arrival{batch: batch, hash: link.BatchHash(env.Payload)}
	a.frame = journal.Frame{
		Partition: PartitionOf(d.Tenant, d.ID, in.partitions), Kind: journal.KindEvents, Tenant: d.Tenant, Source: d.Object(), Received: received,
		Key:     &journal.Key{Tenant: d.Tenant, Device: d.ID, Epoch: batch.Epoch, First: batch.First, Last: batch.Last, Hash: a.hash},
		Records: records,
	}
	if err := in.group.Do(ctx, a); err != nil {
		return nil, fmt.Errorf("fleet: batch %d–%d of device %q: %w", batch.First, batch.Last, d.ID, err)
	}
	return a.receipt, nil
}

// openBatch checks signature, form and names, in this order: nothing that the
// registered key did not sign is decoded.
func openBatch(d Device, key crypto.PublicKey, body []byte) (*link.Envelope, *link.Batch, error) {
	env, err := openSigned(key, body)
	if err != nil {
		return nil, nil, fmt.Errorf("fleet: batch of device %q: %w", d.ID, err)
	}
	batch, err := link.DecodeBatch(env.Payload)
	if err != nil {
		return nil, nil, fmt.Errorf("fleet: batch of device %q: %w", d.ID, err)
	}
	if batch.Tenant != d.Tenant || batch.Device != d.ID {
		return nil, nil, core.E(core.KindDenied, "fleet.Intake", fmt.Sprintf("device %q of tenant %q sent a batch of device %q of tenant %q", d.ID, d.Tenant, batch.Device, batch.Tenant))
	}
	return env, batch, nil
}

func openSigned(key crypto.PublicKey, body []byte) (*link.Envelope, error) {
	env, err := link.ParseEnvelope(body)
	if err != nil {
		return nil, err
	}
	pub, err := ssh.NewPublicKey(key)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "fleet.Intake", err)
	}
	return env, env.VerifiedBy(link.NamespaceBatch, pub)
}

// recordsOf makes the journal's records: the batch as it came, then one event
// for each of its own. What an event says of other devices stays in its fields,
// as this device's claim: source and device are the authenticated peer (F17).
func recordsOf(d Device, env *link.Envelope, batch *link.Batch, received time.Time) ([][]byte, error) {
	evidence, err := json.Marshal(map[string]any{
		"payload": string(env.Payload), "signatures": env.Signatures, "epoch": batch.Epoch, "first": batch.First, "last": batch.Last,
	})
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "fleet.Intake", err)
	}
	events := []core.Event{{
		ID: core.NewUUID(received), Time: micro(batch.Sent), Received: received, Tenant: d.Tenant, Source: d.Object(), Provenance: core.ProvenanceDevice,
		Device: d.ID, Class: core.ClassBase, Type: TypeBatch, Severity: core.SeverityInfo, Sequence: batch.First, Fields: evidence,
	}}
	for _, e := range batch.Events {
		events = append(events, eventOf(d, e, received))
	}
	records := make([][]byte, 0, len(events))
	for _, e := range events {
		b, err := json.Marshal(e)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, "fleet.Intake", err)
		}
		records = append(records, b)
	}
	return records, nil
}

// eventOf wraps a device's event. What the device says about the event itself
// (sensor, state, latch) is put beside its fields, which stay as they came.
func eventOf(d Device, e link.DeviceEvent, received time.Time) core.Event {
	return core.Event{
		ID: e.ID, Time: micro(e.Time), Received: received, Tenant: d.Tenant, Source: d.Object(), Provenance: core.ProvenanceDevice,
		Simulated: e.Simulated, Device: d.ID, Class: e.Class, Type: e.Type, Severity: e.Severity, Sequence: e.Seq,
		Fields: withOwn(e, d.Site),
	}
}

// withOwn puts sensor, state and latch beside the event's fields, where rules
// find them, and where the registry says that the device stands; they stand over
// fields of the same name.
func withOwn(e link.DeviceEvent, site core.SiteID) json.RawMessage {
	own := map[string]string{"sensor": e.Sensor, "state": string(e.State), "latch": e.Latch, "site": site.String()}
	all := map[string]json.RawMessage{}
	if json.Unmarshal(e.Fields, &all) != nil {
		return e.Fields
	}
	for name, value := range own {
		if value == "" {
			continue
		}
		all[name] = json.RawMessage(`"` + value + `"`) // ids, words and hex: nothing to escape
	}
	merged, err := json.Marshal(all)
	if err != nil {
		return e.Fields
	}
	return merged
}

func micro(us int64) time.Time { return time.UnixMicro(us).UTC() }

// commit makes a group durable: frames, then one leaf, then receipts. If the
// leaf can't be written the frames stay; the devices send again and the journal
// knows them.
func (in *Intake) commit(group []*arrival) error {
	ctx := context.Background() // the callers wait for the outcome either way
	frames := make([]journal.Frame, len(group))
	hashes := make([][32]byte, len(group))
	for i, a := range group {
		frames[i], hashes[i] = a.frame, a.hash
	}
	appended, err := in.frames.Append(ctx, frames...)
	if err != nil {
		return err
	}
	if len(appended) != len(group) {
		return core.E(core.KindInternal, "fleet.Intake", fmt.Sprintf("the journal answered %d of %d frames", len(appended), len(group)))
	}
	res, path, err := in.prove(ctx, hashes)
	if err != nil {
		return err
	}
	var failed error
	for i, a := range group {
		a.appended = appended[i]
		if a.appended.Fork {
			in.warn.Warn("sequence fork", slog.Any("device", a.batch.Device), slog.Any("epoch", a.batch.Epoch), slog.Any("first", a.batch.First), slog.Any("last", a.batch.Last))
		}
		group, err := link.GroupPath(hashes, i)
		failed = errors.Join(failed, err)
		a.receipt = receiptOf(a, uint64(i), uint64(len(hashes)), group, res, path)
	}
	return failed
}

// groupBody names the batches of a group, so that the leaf's object can be
// computed again by who looks for one of them.
type groupBody struct {
	Batches [][]byte `json:"batches"`
}

func hashList(hashes [][32]byte) [][]byte {
	list := make([][]byte, len(hashes))
	for i := range hashes {
		list[i] = hashes[i][:]
	}
	return list
}

// prove appends the leaf of a group and returns its place and path.
func (in *Intake) prove(ctx context.Context, hashes [][32]byte) (audit.Result, [][]byte, error) {
	res, err := in.log.Append(ctx, audit.Entry{
		Type: audit.TypeBatch, Time: in.clock.Now(), Actor: "service/fleet", Action: "batch.append", Object: link.BatchGroupObject(link.GroupRoot(hashes)),
		Outcome: "received", Class: audit.ClassSystem, Body: groupBody{hashList(hashes)}, Vital: audit.VitalIngest,
	})
	if err != nil {
		return audit.Result{}, nil, fmt.Errorf("audit leaf of the group: %w", err)
	}
	path, err := in.log.InclusionPath(res.Position.Index, res.Size)
	if err != nil {
		return audit.Result{}, nil, fmt.Errorf("path of leaf %d: %w", res.Position.Index, err)
	}
	return res, path, nil
}

func receiptOf(a *arrival, index, size uint64, group [][]byte, res audit.Result, path [][]byte) *link.Receipt {
	return &link.Receipt{
		V: 1, Device: a.batch.Device, Epoch: a.batch.Epoch, First: a.batch.First, Last: a.batch.Last, Batch: fmt.Sprintf("%x", a.hash),
		GroupIndex: index, GroupSize: size, GroupPath: group, Leaf: res.Leaf, Index: res.Position.Index, LeafPath: path,
		Checkpoint: string(res.Checkpoint), Fork: a.appended.Fork,
	}
}
