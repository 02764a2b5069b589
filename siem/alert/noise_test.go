package alert_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/alert"
)

func TestNoiseTellsWhatARuleCosts(t *testing.T) {
	each(t, func(b *bench) {
		for i := range 5 {
			r := raise(time.Duration(i)*time.Minute, i, 100+i)
			r.Key, r.Group = fmt.Sprint(i), map[string]string{"user": []string{"backup", "anna"}[min(1, i/4)]}
			a := b.raise(r)
			if i > 2 {
				continue
			}
			err := b.db.Tx(b.t.Context(), func(tx *store.Tx) error {
				_, err := b.s.Close(b.t.Context(), tx, tenant, a.ID, alert.Closing{
					Verdict: alert.VerdictFalsePositive, By: "person/anna", At: a.Opened.Add(time.Duration(i+1) * time.Hour), Reason: fmt.Sprint("reason ", i/2),
				})
				return err
			})
			if err != nil {
				b.t.Fatal(err)
			}
		}
		other := raise(10*time.Minute, 50)
		other.Rule.ID = "22222222-2222-4222-8222-222222222222"
		b.raise(other)
		drill := raise(11*time.Minute, 51)
		drill.Simulated = true
		b.raise(drill)
		err := b.db.View(b.t.Context(), func(tx *store.Tx) error {
			list, complete, err := alert.NoiseOf(b.t.Context(), tx, tenant, begin)
			if err != nil || !complete || len(list) != 2 {
				b.t.Fatalf("%v, %+v", err, list)
			}
			n := list[0]
			if n.Alerts != 5 || n.Events != 10 || n.Open != 2 || n.Closed != 3 || n.FalsePositives != 3 || n.ToClose != 2*time.Hour {
				b.t.Errorf("%+v", n)
			}
			if fmt.Sprint(n.Reasons) != "[reason 1 reason 0]" || n.Group != "user" || n.GroupValue != "backup" || n.GroupEvents != 8 || n.SourceEvents != 10 {
				b.t.Errorf("%+v", n)
			}
			counts, err := alert.Counts(b.t.Context(), tx, tenant, at(10*time.Minute))
			if fmt.Sprint(counts) != "map[22222222-2222-4222-8222-222222222222:1]" {
				b.t.Errorf("counts %v", counts)
			}
			return err
		})
		if err != nil {
			b.t.Error(err)
		}
	})
}

// TestMemoryFoldsAsTheStoreDoes feeds both the same raises.
func TestMemoryFoldsAsTheStoreDoes(t *testing.T) {
	each(t, func(b *bench) {
		m := alert.NewMemory(0)
		n := 0
		for i := range 60 {
			r := raise(time.Duration(i*i)*time.Second*20, n, n+1, max(0, n-3))
			n += 2
			r.Key = fmt.Sprint(i % 3)
			b.raise(r)
			if err := m.Raise(r); err != nil {
				b.t.Fatal(err)
			}
		}
		stored := map[string]string{}
		for _, a := range b.list(alert.Query{}) {
			stored[a.ID.String()] = text(a)
		}
		if len(stored) != len(m.Alerts()) || len(stored) < 4 {
			b.t.Errorf("%d alerts, in memory %d", len(stored), len(m.Alerts()))
		}
		for _, a := range m.Alerts() {
			if stored[a.ID.String()] != text(a) {
				b.t.Errorf("in memory\n%s\nstored\n%s", text(a), stored[a.ID.String()])
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	m := alert.NewMemory(2)
	for i := range 5 {
		r := raise(0, i)
		r.Key = fmt.Sprint(i)
		if err := m.Raise(r); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.Alerts()) != 2 || m.Left() != 3 {
		t.Errorf("%d alerts, %d left out", len(m.Alerts()), m.Left())
	}
}

// text is an alert without what is said of the last notice.
func text(a alert.Alert) string {
	a.Notice = alert.KindNone
	b, err := json.Marshal(a)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
