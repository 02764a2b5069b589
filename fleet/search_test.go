package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// row is a device as the registry stores it, as far as lists look at it.
type row struct {
	id, site, identity, link string
	contained                bool
}

// rows are devices of all states at two sites.
func rows() (list []row) {
	for i, identity := range []string{"pending", "active", "active", "active", "active", "suspended", "retired"} {
		for k, link := range []string{"online", "stale", "offline"} {
			list = append(list, row{
				id: fmt.Sprintf("press_%d-%d", i, k), site: []string{"hall-a", "hall-b"}[(i+k)%2], identity: identity, link: link, contained: i == 4,
			})
		}
	}
	return list
}

func (w row) device() fleet.Device {
	return fleet.Device{Identity: fleet.Identity(w.identity), Link: core.DeviceState(w.link), Contained: w.contained}
}

func (r *rig) exec(statement string, args ...any) {
	r.t.Helper()
	r.must(r.db.Tx(r.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(r.t.Context(), statement, args...)
		return err
	}))
}

func (r *rig) insert(list []row) {
	r.t.Helper()
	for _, w := range list {
		contained := 0
		if w.contained {
			contained = 1
		}
		r.exec(`INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, contained, certificate, csr)
			VALUES ($1, $2, $3, $4, $2, '', 'software', '', '', 0, 1, 1, $5, $6, $7, $7)`, tenant, w.id, w.site, w.identity, w.link, contained, []byte("x"))
	}
}

// TestDevicesAreFoundByState: the condition in SQL is the state that a device
// says of itself, for every device in one state only.
func TestDevicesAreFoundByState(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		list := rows()
		r.insert(list)
		r.insert([]row{{id: "pressx1", site: "hall-a", identity: "active", link: "online"}})
		seen := 0
		for _, state := range core.DeviceStates {
			var want []string
			for _, w := range list {
				if w.device().State() == state {
					want = append(want, w.id)
				}
			}
			slices.Sort(want)
			got := r.search(fleet.DeviceQuery{State: state, Text: "PRESS_"}, 2)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", state, got, want)
			}
			seen += len(got)
		}
		if seen != len(list) {
			t.Errorf("%d devices in all states, of %d", seen, len(list))
		}
		for text, want := range map[string]int{"": len(list) + 1, "press_": len(list), "%": 0, "_0-": 3, "!": 0, "'; DROP": 0, "x1": 1} {
			if got := r.search(fleet.DeviceQuery{Text: text}, 5); len(got) != want {
				t.Errorf("%q finds %d, want %d", text, len(got), want)
			}
		}
		both := len(r.search(fleet.DeviceQuery{Site: core.MustID[core.SiteID]("hall-a")}, 3)) + len(r.search(fleet.DeviceQuery{Site: core.MustID[core.SiteID]("hall-b")}, 3))
		if both != len(list)+1 {
			t.Errorf("%d at both sites", both)
		}
		sites, err := r.reg.Sites(t.Context(), tenant)
		if err != nil || sites[core.MustID[core.SiteID]("hall-a")]+sites[core.MustID[core.SiteID]("hall-b")] != len(list)+1-3 {
			t.Errorf("sites %v, %v", sites, err)
		}
	})
}

// search reads a list in pages of a size.
func (r *rig) search(q fleet.DeviceQuery, size int) (ids []string) {
	r.t.Helper()
	q.Limit = size
	for {
		list, total, err := r.reg.Search(r.t.Context(), tenant, q)
		r.must(err)
		for _, d := range list {
			ids = append(ids, d.ID.String())
		}
		if len(list) < size {
			if total != len(ids) {
				r.t.Errorf("%+v: the total is %d, found %d", q, total, len(ids))
			}
			return ids
		}
		q.After = list[size-1].ID
	}
}

// TestFiguresOfAPageAndOfAll: open latches and sensors that are not ok, by device
// and for a board, which leaves retired devices out.
func TestFiguresOfAPageAndOfAll(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.insert([]row{{id: "a", site: "s", identity: "active", link: "online"}, {id: "b", site: "s", identity: "active", link: "online"}, {id: "c", site: "s", identity: "retired", link: "offline"}})
		for _, id := range []string{"a", "c"} {
			for i, state := range []string{"ok", "alarm", "stale"} {
				r.exec(`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ($1, $2, $3, $4, $5, 0)`, tenant, id, fmt.Sprint("s", i), state, 1000+i)
				r.exec(`INSERT INTO fleet_latches (tenant, device, latch, sensor, type, since, is_open, simulated) VALUES ($1, $2, $3, 's', 't', 1, $4, 0)`, tenant, id, fmt.Sprint("l", i), i%2)
			}
		}
		list, _, err := r.reg.Search(t.Context(), tenant, fleet.DeviceQuery{})
		if err != nil || len(list) != 3 || list[0].SensorsNotOK != 2 || list[0].OpenLatches != 1 || list[1].SensorsNotOK != 0 || list[2].OpenLatches != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		f, err := r.reg.Figures(t.Context(), tenant, 1)
		if err != nil || f.SensorsNotOK != 2 || f.OpenLatches != 1 || len(f.Sensors) != 1 || f.Sensors[0].ID != "s2" || f.Sensors[0].Device.String() != "a" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// TestOrdersByPage: each once, the newest first, narrowed by state and device.
func TestOrdersByPage(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const n = 23
		for i := range n {
			id := core.NewUUID(start)
			body := fmt.Sprintf(`{"tenant":%q,"id":%q,"device":"press-%d","type":"arm","state":%q,"created":%q}`,
				tenant, id, i%2, []string{"awaiting", "done"}[i%3%2], start.Add(time.Duration(i/5)*time.Second).Format(time.RFC3339Nano))
			r.exec(`INSERT INTO fleet_orders (tenant, id, device, request, type, state, counter, expires, revision, created, payload, signatures, body)
				VALUES ($1, $2, $3, $4, 'arm', $5, 1, 1, 1, $6, $7, $8, $9)`, tenant, id, fmt.Sprintf("press-%d", i%2), fmt.Sprint(i), []string{"awaiting", "done"}[i%3%2],
				start.Add(time.Duration(i/5)*time.Second).UnixMicro(), []byte("p"), []byte("[]"), []byte(body))
		}
		for _, q := range []fleet.OrderQuery{{}, {State: fleet.OrderAwaiting}, {Device: core.MustID[core.DeviceID]("press-1")}, {State: fleet.OrderDone, Device: core.MustID[core.DeviceID]("press-0")}} {
			q.Limit = 1000
			whole, total, err := r.orders.Search(t.Context(), tenant, q)
			if err != nil || len(whole) != total || total == 0 {
				t.Fatalf("%+v: %d of %d, %v", q, len(whole), total, err)
			}
			if !slices.IsSortedFunc(whole, func(a, b fleet.Order) int { return b.Created.Compare(a.Created) }) {
				t.Errorf("%+v is not sorted", q)
			}
			var ids []core.UUID
			for q.Limit = 4; ; {
				list, counted, err := r.orders.Search(t.Context(), tenant, q)
				r.must(err)
				if counted != total {
					t.Errorf("%+v: counted %d of %d", q, counted, total)
				}
				for _, o := range list {
					ids = append(ids, o.ID)
				}
				if len(list) < q.Limit {
					break
				}
				q.Before, q.BeforeID = list[q.Limit-1].Created, list[q.Limit-1].ID
			}
			for i, o := range whole {
				if i >= len(ids) || ids[i] != o.ID {
					t.Fatalf("%+v: by page %d, at once %d", q, len(ids), len(whole))
				}
			}
		}
		if awaiting, err := r.orders.Count(t.Context(), tenant, fleet.OrderAwaiting); err != nil || awaiting == 0 || awaiting == n {
			t.Errorf("%d wait, %v", awaiting, err)
		}
	})
}

// TestListsReadByIndex: no list sorts and none reads a whole table.
func TestListsReadByIndex(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), fleet.Migrations())
	for table, order := range map[string]string{
		"fleet_devices":  "SELECT id FROM fleet_devices WHERE tenant = 'a' AND id > 'x' ORDER BY id LIMIT 50",
		"fleet_orders":   "SELECT body FROM fleet_orders WHERE tenant = 'a' AND state = 'awaiting' AND (created, id) < (1, 'x') ORDER BY created DESC, id DESC LIMIT 50",
		"fleet_orders ":  "SELECT body FROM fleet_orders WHERE tenant = 'a' AND device = 'awaiting' ORDER BY created DESC, id DESC LIMIT 50",
		"fleet_orders  ": "SELECT body FROM fleet_orders WHERE tenant = 'a' ORDER BY created DESC, id DESC LIMIT 50",
		"fleet_latches":  "SELECT device, COUNT(*) FROM fleet_latches WHERE tenant = 'a' AND device >= 'a' AND device <= 'b' AND is_open = 1 GROUP BY device",
		"fleet_sensors":  "SELECT device, COUNT(*) FROM fleet_sensors WHERE tenant = 'a' AND device >= 'a' AND device <= 'b' AND state <> 'ok' GROUP BY device",
	} {
		plan := storetest.Plan(t, db, order)
		if strings.Contains(plan, "TEMP B-TREE") || !strings.Contains(plan, "SEARCH "+strings.TrimSpace(table)+" USING") {
			t.Errorf("%s\n%s", order, plan)
		}
	}
}
