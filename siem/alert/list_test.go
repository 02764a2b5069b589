package alert_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
)

// mixed raises n alerts of several devices, severities and times, some at the
// same instant, and acknowledges some.
func (b *bench) mixed(n int) []alert.Alert {
	b.t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var list []alert.Alert
	for i := range n {
		r := raise(time.Duration(rng.IntN(n/3))*time.Minute, i)
		r.Key, r.Rule.Name = fmt.Sprint(i), []string{"r", "q"}[i%2]
		r.Severity = core.Severities[rng.IntN(len(core.Severities))]
		if d := rng.IntN(4); d > 0 {
			r.Device = core.MustID[core.DeviceID](fmt.Sprintf("press-%d", d))
		}
		a := b.raise(r)
		if i%3 == 0 {
			b.view(func(ctx context.Context, tx *store.Tx) (err error) {
				a, err = b.s.Acknowledge(ctx, tx, tenant, a.ID, core.Principal{Kind: core.KindPerson, ID: "anna"}, "", begin)
				return err
			})
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(x, y alert.Alert) int {
		if c := y.Updated.Compare(x.Updated); c != 0 {
			return c
		}
		return strings.Compare(y.ID.String(), x.ID.String())
	})
	return list
}

// view runs fn in a transaction.
func (b *bench) view(fn func(context.Context, *store.Tx) error) {
	b.t.Helper()
	if err := b.db.Tx(b.t.Context(), func(tx *store.Tx) error { return fn(b.t.Context(), tx) }); err != nil {
		b.t.Fatal(err)
	}
}

// queries are all the ways in which a list is narrowed.
func queries() (all []alert.Query) {
	for _, state := range []alert.State{"", alert.StateOpen, alert.StateAcknowledged} {
		for _, severity := range []core.Severity{"", core.SeverityInfo, core.SeverityHigh} {
			for _, device := range []core.DeviceID{{}, core.MustID[core.DeviceID]("press-2"), core.MustID[core.DeviceID]("nobody")} {
				for _, rule := range []string{"", "q"} {
					all = append(all, alert.Query{State: state, MinSeverity: severity, Device: device, Rule: rule})
				}
			}
		}
	}
	return all
}

func selects(q alert.Query, a alert.Alert) bool {
	return (q.State == "" || a.State == q.State) && a.Severity.Rank() >= q.MinSeverity.Rank() && (q.Device.IsZero() || a.Device == q.Device) && (q.Rule == "" || a.Name == q.Rule)
}

// TestPagesAreTheList: whatever narrows it and however long its pages are, a
// list read by page is the list, each alert once, and its total is its length.
func TestPagesAreTheList(t *testing.T) {
	each(t, func(b *bench) {
		whole := b.mixed(60)
		for _, q := range queries() {
			var want []core.UUID
			for _, a := range whole {
				if selects(q, a) {
					want = append(want, a.ID)
				}
			}
			for _, size := range []int{1, 7, 1000} {
				if got := b.pages(q, size, len(want)); !slices.Equal(got, want) {
					b.t.Errorf("%+v in pages of %d: %d alerts, want %d", q, size, len(got), len(want))
				}
			}
		}
		counts := map[core.Severity]int{}
		for _, a := range whole {
			if a.State == alert.StateOpen {
				counts[a.Severity]++
			}
		}
		b.view(func(ctx context.Context, tx *store.Tx) error {
			got, err := alert.BySeverity(ctx, tx, tenant, alert.StateOpen)
			if fmt.Sprint(got) != fmt.Sprint(counts) {
				b.t.Errorf("by severity %v, want %v", got, counts)
			}
			return err
		})
	})
}

// pages reads a list in pages of a size.
func (b *bench) pages(q alert.Query, size, total int) (ids []core.UUID) {
	b.t.Helper()
	q.Limit = size
	for more := true; more; {
		b.view(func(ctx context.Context, tx *store.Tx) error {
			list, err := alert.List(ctx, tx, tenant, q)
			if err != nil {
				return err
			}
			for _, a := range list {
				ids = append(ids, a.ID)
			}
			if more = len(list) == size; more {
				q.Before, q.BeforeID = list[size-1].Updated, list[size-1].ID
			}
			n, err := alert.Total(ctx, tx, tenant, q)
			if n != total {
				b.t.Errorf("%+v: the total is %d, want %d", q, n, total)
			}
			return err
		})
	}
	return ids
}

// TestListsReadByIndex: no list sorts and none reads the whole table, so that a
// page costs the same among a hundred and among a hundred thousand alerts.
func TestListsReadByIndex(t *testing.T) {
	each(t, func(b *bench) {
		if b.db.Dialect() != store.SQLite {
			return // the planner of the other needs rows to decide on
		}
		for _, order := range []string{
			"SELECT body FROM siem_alerts WHERE tenant = 'a' AND (updated, id) < (1, 'x') ORDER BY updated DESC, id DESC LIMIT 50",
			"SELECT body FROM siem_alerts WHERE tenant = 'a' AND state = 'open' AND (updated, id) < (1, 'x') ORDER BY updated DESC, id DESC LIMIT 50",
			"SELECT body FROM siem_alerts WHERE tenant = 'a' AND state = 'open' AND severity_rank = 3 AND (updated, id) < (1, 'x') ORDER BY updated DESC, id DESC LIMIT 50",
			"SELECT body FROM siem_alerts WHERE tenant = 'a' AND device = 'x' AND COALESCE(state, '') = 'open' ORDER BY updated DESC, id DESC LIMIT 50",
			"SELECT body FROM siem_alerts WHERE tenant = 'a' AND rule = 'x' ORDER BY updated DESC, id DESC LIMIT 50",
			"SELECT COUNT(*) FROM siem_alerts WHERE tenant = 'a' AND device = 'x' AND COALESCE(state, '') = 'open'",
			"SELECT COUNT(*) FROM siem_alerts WHERE tenant = 'a' AND rule = 'x' AND severity_rank >= 3",
		} {
			plan := storetest.Plan(b.t, b.db, order)
			if strings.Contains(plan, "TEMP B-TREE") || !strings.Contains(plan, "SEARCH siem_alerts USING") {
				b.t.Errorf("%s\n%s", order, plan)
			}
			for _, one := range []string{"device", "rule"} {
				if strings.Contains(order, one+" = 'x'") && !strings.Contains(plan, "siem_alerts_"+one) {
					b.t.Errorf("not by its %s: %s\n%s", one, order, plan)
				}
			}
		}
	})
}

// TestCountsFollowEveryStatement, one of many rows too, and the rows that an
// earlier version left.
func TestCountsFollowEveryStatement(t *testing.T) {
	each(t, func(b *bench) {
		b.mixed(30)
		for _, statement := range []string{
			"SELECT 1", "UPDATE siem_alerts SET live = 0", "UPDATE siem_alerts SET state = 'acknowledged' WHERE severity_rank > 2",
			"UPDATE siem_alerts SET severity_rank = 4 WHERE severity_rank < 2", "UPDATE siem_alerts SET state = 'open'", "DELETE FROM siem_alerts WHERE severity_rank = 4", "DELETE FROM siem_alerts",
		} {
			b.view(func(ctx context.Context, tx *store.Tx) error {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
				var wrong int
				err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM siem_alert_counts c WHERE n <> (
					SELECT COUNT(*) FROM siem_alerts a WHERE a.tenant = c.tenant AND a.state = c.state AND a.severity_rank = c.severity_rank)`).Scan(&wrong)
				if wrong != 0 {
					b.t.Errorf("%s: %d counts are wrong", statement, wrong)
				}
				var all, counted int
				if err == nil {
					err = tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM siem_alerts), (SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM siem_alert_counts)`).Scan(&all, &counted)
				}
				if all != counted {
					b.t.Errorf("%s: %d alerts, %d counted", statement, all, counted)
				}
				return err
			})
		}
	})
}

// TestOldAlertsFindTheirDevice: the migration reads it from the alerts that were
// made before there was a column.
func TestOldAlertsFindTheirDevice(t *testing.T) {
	full := alert.Migrations()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			db := storetest.Open(t, storetest.Config(t, engine), storetest.Only(t, full, "00001"))
			insert := `INSERT INTO siem_alerts (tenant, id, fingerprint, live, rule, severity_rank, state, count, opened, updated, body) VALUES ($1, $2, $3, 0, 'r', 1, 'open', 1, 1, 1, $4)`
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				for i, body := range []string{"{\"device\":\"press-7\",\"title\":\"türe \u202ex\"}", `{}`} {
					if _, err := tx.Exec(t.Context(), insert, tenant, eventID(i), fmt.Sprint(i), []byte(body)); err != nil {
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
			var found, none int
			err = db.View(t.Context(), func(tx *store.Tx) error {
				if n, err := alert.Total(t.Context(), tx, tenant, alert.Query{}); err != nil || n != 2 {
					t.Errorf("%d alerts are counted, %v", n, err)
				}
				if err := tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM siem_alerts WHERE device = 'press-7' AND id = $1`, eventID(0)).Scan(&found); err != nil {
					return err
				}
				return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM siem_alerts WHERE device = ''`).Scan(&none)
			})
			if err != nil || found != 1 || none != 1 {
				t.Errorf("%d of the device, %d of none: %v", found, none, err)
			}
		})
	}
}
