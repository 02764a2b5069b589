package incident_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/response/incident"
)

// mixed opens incidents about many devices, some at one instant, and closes a
// third of them.
func (f *fixture) mixed(n int) (list []incident.Incident) {
	f.t.Helper()
	for i := range n {
		in := f.take(alert(fmt.Sprintf("press-%d", i%9), nil), start.Add(time.Duration(i/4)*time.Minute))
		if i%3 == 0 {
			var err error
			if in, err = f.move(in.ID, incident.Change{To: incident.StateFalsePositive, By: person(core.RoleSecurityOfficer), At: start, Reason: "no"}); err != nil {
				f.t.Fatal(err)
			}
		}
		list = slices.DeleteFunc(list, func(x incident.Incident) bool { return x.ID == in.ID })
		list = append(list, in)
	}
	slices.SortFunc(list, func(x, y incident.Incident) int {
		if c := y.Stamps.Detected.Compare(x.Stamps.Detected); c != 0 {
			return c
		}
		return strings.Compare(y.ID.String(), x.ID.String())
	})
	return list
}

// TestPagesAreTheList: a list read by page is the list, each incident once, and
// its total is its length.
func TestPagesAreTheList(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		whole := f.mixed(40)
		for _, q := range []incident.Filter{
			{},
			{OpenOnly: true},
			{State: incident.StateFalsePositive},
			{State: incident.StateReviewed},
			{Device: core.MustID[core.DeviceID]("press-2")},
			{Device: core.MustID[core.DeviceID]("press-2"), OpenOnly: true},
		} {
			var want []core.UUID
			for _, in := range whole {
				if (!q.OpenOnly || in.State.Open()) && (q.State == "" || in.State == q.State) && (q.Device.IsZero() || in.Device == q.Device) {
					want = append(want, in.ID)
				}
			}
			for _, size := range []int{1, 7, 100} {
				q := q
				q.Limit = size
				if got := f.pages(q, len(want)); !slices.Equal(got, want) {
					t.Errorf("%+v in pages of %d: %d incidents, want %d", q, size, len(got), len(want))
				}
			}
		}
	})
}

func (f *fixture) pages(q incident.Filter, total int) (ids []core.UUID) {
	f.t.Helper()
	for more := true; more; {
		err := f.db.View(f.t.Context(), func(tx *store.Tx) error {
			list, err := f.store.List(f.t.Context(), tx, tenant, q)
			if err != nil {
				return err
			}
			for _, in := range list {
				ids = append(ids, in.ID)
			}
			n, err := f.store.Count(f.t.Context(), tx, tenant, q)
			if n != total {
				f.t.Errorf("%+v: the total is %d, want %d", q, n, total)
			}
			if more = len(list) == q.Limit; more {
				q.Before, q.BeforeID = list[q.Limit-1].Stamps.Detected, list[q.Limit-1].ID
			}
			return err
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return ids
}

func (f *fixture) lastReal() (open bool, last time.Time) {
	f.t.Helper()
	err := f.db.View(f.t.Context(), func(tx *store.Tx) (err error) {
		open, last, err = f.store.LastReal(f.t.Context(), tx, tenant)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return open, last
}

// TestWhatEndsAQuietTime: an incident does, from its beginning to its end. What
// turned out to be nothing does not, nor does an exercise.
func TestWhatEndsAQuietTime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if open, last := f.lastReal(); open || !last.IsZero() {
			t.Errorf("before any: %v %v", open, last)
		}
		drill := alert("press-1", nil)
		drill.Simulated = true
		f.take(drill, start)
		nothing := f.take(alert("press-2", nil), start)
		if open, _ := f.lastReal(); !open {
			t.Error("an open incident is quiet")
		}
		if _, err := f.move(nothing.ID, incident.Change{To: incident.StateFalsePositive, By: person(core.RoleSecurityOfficer), At: start, Reason: "cleaner"}); err != nil {
			t.Fatal(err)
		}
		if open, last := f.lastReal(); open || !last.IsZero() {
			t.Errorf("after a drill and a false alarm: %v %v", open, last)
		}
		attack := f.take(alert("press-3", nil), start)
		closed := start.Add(time.Hour)
		for _, c := range []incident.Change{
			{To: incident.StateTriaged, By: person(core.RoleOperator), At: start},
			{To: incident.StateContained, By: person(core.RoleOperator), At: start, Reason: "cut off"},
			{To: incident.StateEradicating, By: person(core.RoleOperator), At: start},
			{To: incident.StateRecovering, By: person(core.RoleOperator), At: start, Refs: []string{"run/1"}},
			{To: incident.StateVerifying, By: person(core.RoleOperator), At: start},
			{To: incident.StateClosed, By: service(incident.ServiceVerification), At: closed, Verdicts: map[string]core.Verdict{"a": core.VerdictPass}},
		} {
			if _, err := f.move(attack.ID, c); err != nil {
				t.Fatal(err)
			}
		}
		if open, last := f.lastReal(); open || !last.Equal(closed) {
			t.Errorf("after a real one: %v %v", open, last)
		}
		if _, err := f.move(attack.ID, incident.Change{To: incident.StateReopened, By: person(core.RoleOperator), At: closed, Reason: "again"}); err != nil {
			t.Fatal(err)
		}
		if open, _ := f.lastReal(); !open {
			t.Error("a reopened incident is quiet")
		}
	})
}

// TestOldIncidentsAreOnTheBoard: the migration reads from the incidents of an
// earlier version what a board asks for.
func TestOldIncidentsAreOnTheBoard(t *testing.T) {
	full := incident.Migrations()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			db := storetest.Open(t, storetest.Config(t, engine), storetest.Only(t, full, "00001"))
			insert := `INSERT INTO response_incidents (tenant, id, subject, family, trusted, state, is_open, revision, detected, body) VALUES ($1, $2, $3, 'tamper', 1, $4, $5, 1, $6, $7)`
			closed := start.Add(90 * time.Minute)
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				for i, row := range []struct {
					state string
					open  int
					body  string
				}{
					{"closed", 0, `{"stamps":{"detected":"` + start.Format(time.RFC3339Nano) + `","closed":"` + closed.Format(time.RFC3339Nano) + `"}}`},
					{"new", 1, `{"simulated":true,"stamps":{"detected":"` + closed.Add(time.Hour).Format(time.RFC3339Nano) + `"}}`},
				} {
					if _, err := tx.Exec(t.Context(), insert, tenant, core.NewUUID(start), fmt.Sprint("device/press-", i), row.state, row.open, start.UnixMicro(), []byte(row.body)); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil {
				err = db.Migrate(t.Context(), full)
			}
			if err != nil {
				t.Fatal(err)
			}
			f := &fixture{t: t, db: db}
			f.store = incident.NewStore(f, f.fact)
			if open, last := f.lastReal(); open || last.Unix() != closed.Unix() {
				t.Errorf("open %v, last %v, want %v", open, last, closed)
			}
		})
	}
}

// TestListsReadByIndex: no list sorts and none reads the whole table.
func TestListsReadByIndex(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), incident.Migrations())
	for _, order := range []string{
		"SELECT body FROM response_incidents WHERE tenant = 'a' AND (detected, id) < (1, 'x') ORDER BY detected DESC, id DESC LIMIT 50",
		"SELECT body FROM response_incidents WHERE tenant = 'a' AND is_open = 1 AND (detected, id) < (1, 'x') ORDER BY detected DESC, id DESC LIMIT 50",
		"SELECT body FROM response_incidents WHERE tenant = 'a' AND state = 'closed' ORDER BY detected DESC, id DESC LIMIT 50",
		"SELECT body FROM response_incidents WHERE tenant = 'a' AND subject = 'device/x' ORDER BY detected DESC, id DESC LIMIT 50",
		"SELECT is_open, ended FROM response_incidents WHERE tenant = 'a' AND simulated = 0 AND state NOT IN ('x', 'y') ORDER BY is_open DESC, ended DESC LIMIT 1",
	} {
		plan := storetest.Plan(t, db, order)
		if strings.Contains(plan, "TEMP B-TREE") || !strings.Contains(plan, "SEARCH response_incidents USING") {
			t.Errorf("%s\n%s", order, plan)
		}
	}
}
