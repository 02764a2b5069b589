package fleet

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// DeviceQuery selects devices for a list.
type DeviceQuery struct {
	State core.DeviceState // "" for any
	Site  core.SiteID      // zero for any
	Text  string           // part of the name, "" for any
	After core.DeviceID    // continues a list after this name
	Limit int              // at most and by default MaxList
}

// Listed is a device in a list, with figures in place of what it has.
type Listed struct {
	Device
	OpenLatches  int
	SensorsNotOK int
}

// conditions collects what a query asks for, and only that, so that the database
// can use an index.
type conditions struct {
	text []string
	args []any
}

// add takes a condition in which each ? is the next of the values.
func (c *conditions) add(condition string, values ...any) {
	for _, v := range values {
		c.args = append(c.args, v)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(c.args)), 1)
	}
	c.text = append(c.text, condition)
}

func (c *conditions) where() string { return strings.Join(c.text, " AND ") }

// inState is [Device.State] as a condition.
func (c *conditions) inState(s core.DeviceState) {
	switch s {
	case "":
	case core.DeviceRetired:
		c.add("identity = ?", string(IdentityRetired))
	case core.DevicePending:
		c.add("identity = ?", string(IdentityPending))
	case core.DeviceQuarantined:
		c.add("identity NOT IN (?, ?) AND (contained <> 0 OR identity = ?)", string(IdentityRetired), string(IdentityPending), string(IdentitySuspended))
	default:
		c.add("identity NOT IN (?, ?, ?) AND contained = 0 AND link = ?",
			string(IdentityRetired), string(IdentityPending), string(IdentitySuspended), string(s))
	}
}

func (q DeviceQuery) conditions(tenant core.TenantID) *conditions {
	c := &conditions{}
	c.add("tenant = ?", tenant)
	c.inState(q.State)
	if !q.Site.IsZero() {
		c.add("site = ?", q.Site)
	}
	if q.Text != "" {
		c.add(`id LIKE ? ESCAPE '!'`, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(q.Text))+"%")
	}
	return c
}

// Search reads the devices that a query selects, by name, and how many there are
// wherever the list begins.
func (r *Registry) Search(ctx context.Context, tenant core.TenantID, q DeviceQuery) (list []Listed, total int, err error) {
	if q.Limit <= 0 || q.Limit > MaxList {
		q.Limit = MaxList
	}
	err = r.db.View(ctx, func(tx *store.Tx) error {
		c := q.conditions(tenant)
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_devices WHERE `+c.where(), c.args...).Scan(&total); err != nil {
			return fmt.Errorf("fleet: counting devices: %w", err)
		}
		c.add("id > ?", q.After)
		rows, err := tx.Query(ctx, `SELECT `+deviceColumns+` FROM fleet_devices WHERE `+c.where()+` ORDER BY id LIMIT `+strconv.Itoa(q.Limit), c.args...)
		if err != nil {
			return fmt.Errorf("fleet: listing devices: %w", err)
		}
		list, err = collect(rows, func(s scanner) (l Listed, err error) {
			l.Device, err = scanDevice(s)
			return l, err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		return figures(ctx, tx, tenant, list)
	})
	return list, total, err
}

// figures counts open latches and sensors that are not ok for a page of devices
// that is sorted by name, in one query each.
func figures(ctx context.Context, tx *store.Tx, tenant core.TenantID, list []Listed) error {
	at := make(map[core.DeviceID]*Listed, len(list))
	for i := range list {
		at[list[i].ID] = &list[i]
	}
	first, last := list[0].ID, list[len(list)-1].ID
	count := func(table, condition string, into func(*Listed) *int) error {
		rows, err := tx.Query(ctx, `SELECT device, COUNT(*) FROM `+table+` WHERE tenant = $1 AND device >= $2 AND device <= $3 AND `+condition+` GROUP BY device`, tenant, first, last)
		if err != nil {
			return fmt.Errorf("fleet: counting in %s: %w", table, err)
		}
		_, err = collect(rows, func(s scanner) (id core.DeviceID, err error) {
			var n int
			err = s.Scan(&id, &n)
			if l := at[id]; l != nil {
				*into(l) = n
			}
			return id, err
		})
		return err
	}
	if err := count("fleet_latches", "is_open = 1", func(l *Listed) *int { return &l.OpenLatches }); err != nil {
		return err
	}
	return count("fleet_sensors", "state <> 'ok'", func(l *Listed) *int { return &l.SensorsNotOK })
}

// SensorAt is a sensor and whose it is.
type SensorAt struct {
	Device core.DeviceID
	Sensor
}

// Figures are what a board shows of all devices that have not retired.
type Figures struct {
	Sensors      []SensorAt // those that are not ok, the latest change first
	SensorsNotOK int
	OpenLatches  int
}

const ofLiving = ` JOIN fleet_devices d ON d.tenant = x.tenant AND d.id = x.device WHERE x.tenant = $1 AND d.identity <> 'retired' AND `

// Figures counts sensors that are not ok and open latches, and names the first
// of these sensors.
func (r *Registry) Figures(ctx context.Context, tenant core.TenantID, limit int) (f Figures, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_latches x`+ofLiving+`x.is_open = 1`, tenant).Scan(&f.OpenLatches)
		if err == nil {
			err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_sensors x`+ofLiving+`x.state <> 'ok'`, tenant).Scan(&f.SensorsNotOK)
		}
		if err != nil {
			return fmt.Errorf("fleet: counting sensors and latches: %w", err)
		}
		rows, err := tx.Query(ctx, `SELECT x.device, x.sensor, x.state, x.since, x.simulated FROM fleet_sensors x`+ofLiving+
			`x.state <> 'ok' ORDER BY x.since DESC, x.device, x.sensor LIMIT `+strconv.Itoa(limit), tenant)
		if err != nil {
			return fmt.Errorf("fleet: listing sensors: %w", err)
		}
		f.Sensors, err = collect(rows, func(s scanner) (at SensorAt, err error) {
			var since, simulated int64
			err = s.Scan(&at.Device, &at.ID, (*string)(&at.State), &since, &simulated)
			at.Since, at.Simulated = store.FromMicros(since), simulated == 1
			return at, err
		})
		return err
	})
	return f, err
}

// Sites counts the devices of each site that have not retired.
func (r *Registry) Sites(ctx context.Context, tenant core.TenantID) (map[core.SiteID]int, error) {
	counts := map[core.SiteID]int{}
	err := r.db.View(ctx, func(tx *store.Tx) error {
		clear(counts)
		rows, err := tx.Query(ctx, `SELECT site, COUNT(*) FROM fleet_devices WHERE tenant = $1 AND identity <> 'retired' GROUP BY site`, tenant)
		if err != nil {
			return fmt.Errorf("fleet: counting sites: %w", err)
		}
		_, err = collect(rows, func(s scanner) (id core.SiteID, err error) {
			var n int
			err = s.Scan(&id, &n)
			counts[id] = n
			return id, err
		})
		return err
	})
	return counts, err
}

// OrderQuery selects orders for a list.
type OrderQuery struct {
	State  OrderState    // "" for any
	Device core.DeviceID // zero for any
	// Before continues a list: only orders made before it, or at the same time
	// with a lower id.
	Before   time.Time
	BeforeID core.UUID
	Limit    int // at most and by default MaxList
}

func (q OrderQuery) conditions(tenant core.TenantID) *conditions {
	c := &conditions{}
	c.add("tenant = ?", tenant)
	if q.State != "" {
		c.add("state = ?", string(q.State))
	}
	if !q.Device.IsZero() {
		c.add("device = ?", q.Device)
	}
	return c
}

// Search reads the orders that a query selects, the newest first, and how many
// there are wherever the list begins.
func (o *Orders) Search(ctx context.Context, tenant core.TenantID, q OrderQuery) (list []Order, total int, err error) {
	if q.Limit <= 0 || q.Limit > MaxList {
		q.Limit = MaxList
	}
	err = o.reg.db.View(ctx, func(tx *store.Tx) (err error) {
		c := q.conditions(tenant)
		if total, err = countOrders(ctx, tx, c); err != nil {
			return err
		}
		if !q.Before.IsZero() {
			c.add("(created, id) < (?, ?)", store.Micros(q.Before), q.BeforeID.String())
		}
		rows, err := tx.Query(ctx, selectOrder+` WHERE `+c.where()+` ORDER BY created DESC, id DESC LIMIT `+strconv.Itoa(q.Limit), c.args...)
		if err != nil {
			return fmt.Errorf("fleet: listing orders: %w", err)
		}
		list, err = collect(rows, scanOrder)
		return err
	})
	return list, total, err
}

// Count returns how many orders are in a state.
func (o *Orders) Count(ctx context.Context, tenant core.TenantID, state OrderState) (n int, err error) {
	err = o.reg.db.View(ctx, func(tx *store.Tx) (err error) {
		n, err = countOrders(ctx, tx, OrderQuery{State: state}.conditions(tenant))
		return err
	})
	return n, err
}

func countOrders(ctx context.Context, tx *store.Tx, c *conditions) (n int, err error) {
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_orders WHERE `+c.where(), c.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("fleet: counting orders: %w", err)
	}
	return n, nil
}
