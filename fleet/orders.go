package fleet

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
)

// Orders makes orders and follows them. It is reached through response/action,
// which asks the Guard first.
type Orders struct {
	reg   *Registry
	roots *Roots
	keys  Keys
	guard core.Guard
	topic Topic
	// signing serialises the signing of one device's orders.
	signing locks
}

// NewOrders returns the orders of a registry; changes are published on topic.
func NewOrders(reg *Registry, roots *Roots, keys Keys, guard core.Guard, topic Topic) *Orders {
	return &Orders{reg: reg, roots: roots, keys: keys, guard: guard, topic: topic}
}

// Create makes an order. What only tightens is signed by the keys process and
// queued before Create returns; the rest waits for persons. When the keys
// process is down the order stays in signing, the error says so, and
// [Orders.Sweep] or a second Create with the same key goes on.
func (o *Orders) Create(ctx context.Context, r OrderRequest) (Order, error) {
	row, err := r.check()
	if err != nil {
		return Order{}, err
	}
	// What tightens doesn't wait for anybody to vouch: the device holds every
	// order against a trust root of its own.
	trustOf := o.roots.Trust
	if row.Direction.Away() {
		trustOf = o.roots.Vouched
	}
	trust, err := trustOf(ctx, r.Tenant)
	if err != nil {
		return Order{}, err
	}
	var ord Order
	err = o.reg.db.Tx(ctx, func(tx *store.Tx) (err error) {
		ord, err = o.enter(ctx, tx, r, row, trust)
		return err
	})
	if err != nil || ord.State != OrderSigning {
		return ord, err
	}
	return o.sign(ctx, ord, trust)
}

func (o *Orders) enter(ctx context.Context, tx *store.Tx, r OrderRequest, row link.Row, trust *link.Trust) (Order, error) {
	old, found, err := o.byRequest(ctx, tx, r)
	if found || err != nil {
		return old, err
	}
	d, err := o.reg.lock(ctx, tx, r.Tenant, r.Device)
	if err != nil {
		return Order{}, err
	}
	if err := mayBeOrdered(d, r.Type); err != nil {
		return Order{}, err
	}
	if row.Direction.Away() {
		if err := o.reg.vouch(ctx, d); err != nil {
			return Order{}, err
		}
	}
	ids, err := releasable(ctx, tx, r)
	if err != nil {
		return Order{}, err
	}
	now := o.reg.clock.Now()
	ord := Order{
		Tenant: r.Tenant, ID: core.NewUUID(now), Site: d.Site, Device: r.Device, Request: r.Key, Type: r.Type, Direction: row.Direction,
		State: OrderSigning, Requester: r.Requester.String(), Principal: r.Requester, Reason: r.Reason, Revision: 1, Created: now, Updated: now,
		Expires: now.Add(r.ttl(row)), Intent: r.Decision.Intent,
	}
	if !r.Incident.IsZero() {
		ord.Incident = r.Incident.String()
	}
	if row.Direction.Away() {
		ord.State, ord.Needed = OrderAwaiting, threshold(trust.Root(), row.Role)
	}
	if ord.Type != link.OrderRelease {
		if ord.Counter, err = nextCounter(ctx, tx, d, now); err != nil {
			return Order{}, err
		}
	}
	if ord.Payload, err = r.payload(ord.ID, d, trust.Root().Version, ord.Counter, ids, now, ord.Expires); err != nil {
		return Order{}, err
	}
	return ord, o.insert(ctx, tx, ord)
}

// byRequest finds the order that the same key made before.
func (o *Orders) byRequest(ctx context.Context, tx *store.Tx, r OrderRequest) (Order, bool, error) {
	old, err := scanOrder(tx.QueryRow(ctx, selectOrder+` WHERE tenant = $1 AND request = $2`, r.Tenant, r.Key))
	if errors.Is(err, sql.ErrNoRows) {
		return Order{}, false, nil
	}
	if err != nil {
		return Order{}, false, fmt.Errorf("fleet: looking for request %q: %w", r.Key, err)
	}
	if old.Device != r.Device || old.Type != r.Type {
		return Order{}, false, core.E(core.KindConflict, "fleet.CreateOrder", fmt.Sprintf("key %q made order %s (%s of %q) before", r.Key, old.ID, old.Type, old.Device))
	}
	return old, true, nil
}

func mayBeOrdered(d Device, t link.OrderType) error {
	if d.Identity != IdentityActive {
		return core.E(core.KindConflict, "fleet.CreateOrder", fmt.Sprintf("device %q is %s and takes no orders", d.ID, d.Identity))
	}
	if d.Known.Epoch == "" {
		return core.E(core.KindConflict, "fleet.CreateOrder", fmt.Sprintf("device %q has not reported yet, so %s cannot be bound to its state", d.ID, t)).
			WithHint("wait for its first batch, or cut it off at the switch")
	}
	return nil
}

// releasable returns the latches that a release opens. Naming none means all
// that are open now; none open is nothing to release.
func releasable(ctx context.Context, tx *store.Tx, r OrderRequest) ([]string, error) {
	if r.Type != link.OrderRelease {
		return nil, nil
	}
	open, err := latches(ctx, tx, r.Tenant, r.Device, true)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	ids := r.Latches
	for _, l := range open {
		known[l.ID] = true
		if len(r.Latches) == 0 {
			ids = append(ids, l.ID)
		}
	}
	if len(ids) == 0 {
		return nil, core.E(core.KindConflict, "fleet.CreateOrder", fmt.Sprintf("device %q has no open latch to release", r.Device))
	}
	if len(ids) > maxLatches {
		return nil, core.E(core.KindTooLarge, "fleet.CreateOrder", fmt.Sprintf("device %q has %d open latches, one release opens at most %d", r.Device, len(ids), maxLatches)).
			WithHint("name some of them")
	}
	for _, id := range ids {
		if !known[id] {
			return nil, core.E(core.KindConflict, "fleet.CreateOrder", fmt.Sprintf("device %q has no open latch %.40q", r.Device, id))
		}
	}
	return ids, nil
}

func threshold(root *link.Root, role link.RoleName) int {
	for _, r := range root.Roles {
		if r.Name == role {
			return r.Threshold
		}
	}
	return 0
}

// nextCounter returns a counter above every earlier one of the device, also of
// those that a server knew whose database was lost: it goes by the time.
func nextCounter(ctx context.Context, tx *store.Tx, d Device, now time.Time) (uint64, error) {
	var n int64
	if err := tx.QueryRow(ctx, `SELECT order_counter FROM fleet_devices WHERE tenant = $1 AND id = $2`, d.Tenant, d.ID).Scan(&n); err != nil {
		return 0, fmt.Errorf("fleet: counter of device %q: %w", d.ID, err)
	}
	n = max(n+1, now.UnixMicro())
	if _, err := tx.Exec(ctx, `UPDATE fleet_devices SET order_counter = $1 WHERE tenant = $2 AND id = $3`, n, d.Tenant, d.ID); err != nil {
		return 0, fmt.Errorf("fleet: counter of device %q: %w", d.ID, err)
	}
	return uint64(n), nil
}

// sign has the keys process sign an order and queues it. One device's orders are
// signed one after another, so that their counters reach it rising. While keys
// can't be reached the order stays in signing; what keys refuses has failed.
func (o *Orders) sign(ctx context.Context, ord Order, trust *link.Trust) (Order, error) {
	defer o.signing.lock(deviceChannel(ord.Tenant, ord.Device))()
	w := Warrant{Principal: ord.Principal, Action: actionOf(ord.Type), Resource: ord.resource(), Intent: ord.Intent}
	sig, refusal := o.keys.SignOrder(ctx, w, ord.Payload)
	if refusal != nil && (core.KindOf(refusal) == core.KindUnavailable || ctx.Err() != nil) {
		return ord, fmt.Errorf("fleet: order %s waits for its signature: %w", ord.ID, refusal)
	}
	err := o.reg.db.Tx(ctx, func(tx *store.Tx) (err error) {
		ord, err = o.signed(ctx, tx, ord, sig, refusal, trust)
		return err
	})
	return ord, errors.Join(err, refusal)
}

// signed takes the answer of the keys process.
func (o *Orders) signed(ctx context.Context, tx *store.Tx, asked Order, sig link.Signature, refusal error, trust *link.Trust) (Order, error) {
	d, err := o.reg.lock(ctx, tx, asked.Tenant, asked.Device)
	if err != nil {
		return asked, err
	}
	ord, err := getOrder(ctx, tx, asked.Tenant, asked.ID)
	if err != nil || ord.State != OrderSigning {
		return ord, err
	}
	if refusal != nil {
		ord.State, ord.Detail = OrderFailed, "the keys process refused to sign it: "+refusal.Error()
		return o.save(ctx, tx, ord, "service/keys", "order.failed")
	}
	ord.Signatures = []link.Signature{sig}
	if err := o.acceptable(ctx, tx, ord, trust, d); err != nil {
		return o.stale(ctx, tx, ord, "service/keys", err)
	}
	return o.queue(ctx, tx, ord)
}

// stale ends an order that its device would refuse: while it waited, its
// counter, epoch, latches or trust root were overtaken.
func (o *Orders) stale(ctx context.Context, tx *store.Tx, ord Order, by string, why error) (Order, error) {
	ord.State, ord.Detail = OrderSuperseded, why.Error()
	return o.save(ctx, tx, ord, by, "order.superseded")
}

// mayGo says whether a queued order may still be sent. What goes away from
// safety is not sent to a device whose row and log disagree: it ends here.
func (o *Orders) mayGo(ctx context.Context, d Device, ord Order) (bool, error) {
	if o, err := link.DecodeOrder(ord.Payload); err == nil { // the row's own word is not asked
		if row, known := link.DirectionOf(o.Type); known && !row.Direction.Away() {
			return true, nil
		}
	}
	doubt := o.reg.vouch(ctx, d)
	if doubt == nil || core.KindOf(doubt) == core.KindUnavailable {
		return doubt == nil, doubt
	}
	return false, o.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now, err := getOrder(ctx, tx, ord.Tenant, ord.ID)
		if err != nil || now.State != OrderQueued {
			return err
		}
		_, err = o.stale(ctx, tx, now, "service/fleet", doubt)
		return err
	})
}

func queuedCounter(ctx context.Context, tx *store.Tx, d Device) (uint64, error) {
	var n uint64
	if err := tx.QueryRow(ctx, `SELECT queued_counter FROM fleet_devices WHERE tenant = $1 AND id = $2`, d.Tenant, d.ID).Scan(&n); err != nil {
		return 0, fmt.Errorf("fleet: counter of device %q: %w", d.ID, err)
	}
	return n, nil
}

// queue puts a fully signed order on its way, in the transaction that completed
// it. Containment counts from here: workload certificates are refused at once,
// whether the device listens or not (P40).
func (o *Orders) queue(ctx context.Context, tx *store.Tx, ord Order) (Order, error) {
	var cursor int64
	if err := tx.QueryRow(ctx, `SELECT queue_cursor FROM fleet_devices WHERE tenant = $1 AND id = $2`, ord.Tenant, ord.Device).Scan(&cursor); err != nil {
		return ord, fmt.Errorf("fleet: cursor of device %q: %w", ord.Device, err)
	}
	ord.Cursor = uint64(cursor + 1)
	_, err := tx.Exec(ctx, `UPDATE fleet_devices SET queue_cursor = $1, queued_counter = CASE WHEN queued_counter < $2 THEN $2 ELSE queued_counter END
		WHERE tenant = $3 AND id = $4`, int64(ord.Cursor), int64(ord.Counter), ord.Tenant, ord.Device)
	if err != nil {
		return ord, fmt.Errorf("fleet: queue of device %q: %w", ord.Device, err)
	}
	if ord.Type == link.OrderQuarantine {
		if err := contain(ctx, tx, ord.Tenant, ord.Device, o.reg.clock.Now()); err != nil {
			return ord, err
		}
	}
	if err := tx.Notify(ctx, deviceChannel(ord.Tenant, ord.Device)); err != nil {
		return ord, fmt.Errorf("fleet: telling the streams of device %q: %w", ord.Device, err)
	}
	ord.State = OrderQueued
	return o.save(ctx, tx, ord, ord.Requester, "order.queued")
}

// Sweep goes on with orders that wait for their signature and ends those that
// ran out. It is called every few seconds.
func (o *Orders) Sweep(ctx context.Context) error {
	var signing, expired []Order
	now := o.reg.clock.Now()
	err := o.reg.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, selectOrder+` WHERE state = $1 AND expires > $2 ORDER BY created LIMIT $3`, string(OrderSigning), store.Micros(now), MaxList)
		if err != nil {
			return err
		}
		if signing, err = collect(rows, scanOrder); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, selectOrder+` WHERE state IN ($1, $2, $3) AND expires <= $4 ORDER BY created LIMIT $5`,
			string(OrderSigning), string(OrderAwaiting), string(OrderQueued), store.Micros(now), MaxList)
		if err != nil {
			return err
		}
		expired, err = collect(rows, scanOrder)
		return err
	})
	if err != nil {
		return fmt.Errorf("fleet: sweeping orders: %w", err)
	}
	var failed error
	for _, ord := range expired {
		if err := o.expire(ctx, ord); err != nil {
			failed = errors.Join(failed, fmt.Errorf("fleet: order %s: %w", ord.ID, err))
		}
	}
	return errors.Join(failed, o.signAll(ctx, signing))
}

// signAll goes on with orders that wait for their signature. What is wrong with
// one holds up no other; while the keys process is away there is no point in
// asking for the rest.
func (o *Orders) signAll(ctx context.Context, orders []Order) (failed error) {
	for _, ord := range orders {
		trust, err := o.roots.Trust(ctx, ord.Tenant)
		if err == nil {
			_, err = o.sign(ctx, ord, trust)
		}
		if core.KindOf(err) == core.KindUnavailable {
			return errors.Join(failed, err)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("fleet: order %s: %w", ord.ID, err))
		}
	}
	return failed
}

func (o *Orders) expire(ctx context.Context, ord Order) error {
	return o.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now, err := getOrder(ctx, tx, ord.Tenant, ord.ID)
		if err != nil || now.State != ord.State {
			return err
		}
		now.Detail = fmt.Sprintf("ran out at %s while it was %s", now.Expires.Format(time.RFC3339), now.State)
		now.State = OrderExpired
		_, err = o.save(ctx, tx, now, "service/fleet", "order.expired")
		return err
	})
}

const selectOrder = `SELECT payload, signatures, body, cursor, counter FROM fleet_orders`

func scanOrder(s scanner) (Order, error) {
	var ord Order
	var payload, signatures, body []byte
	var cursor, counter uint64
	if err := s.Scan(&payload, &signatures, &body, &cursor, &counter); err != nil {
		return Order{}, err
	}
	if err := json.Unmarshal(body, &ord); err != nil {
		return Order{}, core.Wrap(core.KindDamaged, "fleet.Order", err)
	}
	ord.Payload, ord.Cursor, ord.Counter = payload, cursor, counter
	return ord, core.Wrap(core.KindDamaged, "fleet.Order", json.Unmarshal(signatures, &ord.Signatures))
}

func getOrder(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Order, error) {
	ord, err := scanOrder(tx.QueryRow(ctx, selectOrder+` WHERE tenant = $1 AND id = $2`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Order{}, core.E(core.KindNotFound, "fleet.Order", "there is no order "+id.String())
	}
	if err != nil {
		return Order{}, fmt.Errorf("fleet: reading order %s: %w", id, err)
	}
	return ord, nil
}

func (o *Orders) insert(ctx context.Context, tx *store.Tx, ord Order) error {
	body, signatures, err := encodeOrder(ord)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO fleet_orders (tenant, id, device, request, type, state, cursor, counter, expires, revision, created, payload, signatures, body)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11, $12, $13)`,
		ord.Tenant, ord.ID, ord.Device, ord.Request, string(ord.Type), string(ord.State), int64(ord.Counter), store.Micros(ord.Expires),
		int64(ord.Revision), store.Micros(ord.Created), ord.Payload, signatures, body)
	if err != nil {
		return fmt.Errorf("fleet: entering order %s: %w", ord.ID, err)
	}
	return o.tell(ctx, tx, ord, ord.Requester, "order.created")
}

// save writes a changed order with the next revision, its fact and its record.
func (o *Orders) save(ctx context.Context, tx *store.Tx, ord Order, by, what string) (Order, error) {
	before := ord.Revision
	ord.Revision, ord.Updated = before+1, o.reg.clock.Now()
	body, signatures, err := encodeOrder(ord)
	if err != nil {
		return ord, err
	}
	res, err := tx.Exec(ctx, `UPDATE fleet_orders SET state = $1, cursor = $2, revision = $3, signatures = $4, body = $5 WHERE tenant = $6 AND id = $7 AND revision = $8`,
		string(ord.State), int64(ord.Cursor), int64(ord.Revision), signatures, body, ord.Tenant, ord.ID, int64(before))
	if err != nil {
		return ord, fmt.Errorf("fleet: saving order %s: %w", ord.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return ord, core.E(core.KindConflict, "fleet.save", fmt.Sprintf("order %s changed meanwhile", ord.ID))
	}
	return ord, o.tell(ctx, tx, ord, by, what)
}

func encodeOrder(ord Order) (body, signatures []byte, err error) {
	if body, err = json.Marshal(ord); err != nil {
		return nil, nil, core.Wrap(core.KindInternal, "fleet.Order", err)
	}
	if signatures, err = json.Marshal(ord.Signatures); err != nil {
		return nil, nil, core.Wrap(core.KindInternal, "fleet.Order", err)
	}
	return body, signatures, nil
}

// tell leaves the fact for the log and the record on the topic.
func (o *Orders) tell(ctx context.Context, tx *store.Tx, ord Order, by, what string) error {
	hash := sha256.Sum256(ord.Payload)
	err := o.reg.facts(ctx, tx, audit.Entry{
		Type: audit.TypeFact, Time: ord.Updated, Actor: by, Action: core.Action(what), Object: ord.Object(), Revision: ord.Revision,
		Outcome: string(ord.State), Class: audit.ClassSecurity, Intent: &ord.Intent,
		Body: map[string]any{"device": ord.Device, "type": ord.Type, "payload_sha256": fmt.Sprintf("%x", hash), "approvals": ord.Approvals, "detail": ord.Detail},
	})
	if err != nil {
		return fmt.Errorf("fleet: audit of order %s: %w", ord.ID, err)
	}
	record, err := json.Marshal(Record{ord})
	if err != nil {
		return core.Wrap(core.KindInternal, "fleet.Order", err)
	}
	return o.topic.Publish(ctx, tx, ord.Tenant, record)
}
