package policy

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

func TestCapsCountDifferentObjectsInASlidingHour(t *testing.T) {
	clock := clocktest.New(noon)
	c := NewCaps(clock, Limits{Person: 3, Service: 1})
	who := person("otto")
	take := func(id string) bool {
		_, err := c.take(who, device(id))
		return err == nil
	}
	steps := []struct {
		after time.Duration
		id    string
		want  bool
	}{
		{0, "a", true},
		{0, "a", true}, // the same object again costs nothing
		{20 * time.Minute, "b", true},
		{20 * time.Minute, "c", true},
		{0, "d", false},
		{19 * time.Minute, "d", false},
		{time.Minute, "d", true}, // a left the window
		{0, "e", false},
		{-3 * time.Hour, "e", false}, // a clock set back opens nothing
		{3 * time.Hour, "b", true},
		{2 * time.Hour, "e", true},
	}
	for i, s := range steps {
		clock.Advance(s.after)
		if got := take(s.id); got != s.want {
			t.Errorf("step %d: %s after %s: %v", i, s.id, s.after, got)
		}
	}
	other := who
	other.Tenant = core.MustID[core.TenantID]("rival")
	if _, err := c.take(other, device("z")); err != nil {
		t.Errorf("the same name in another tenant is capped: %v", err)
	}
	if _, err := c.take(token, device("z")); err == nil {
		t.Error("a token has a cap above zero")
	}
}

func TestCapsWeighBulkRequests(t *testing.T) {
	c := NewCaps(clocktest.New(noon), Limits{Person: 10})
	for _, row := range []struct {
		id      string
		devices any
		want    bool
	}{
		{"all", int64(11), false},
		{"hall", int64(9), true},
		{"hall", int64(9), true},
		{"hall2", int64(2), false},
		{"zero", int64(0), false},
		{"minus", int64(-5), false},
		{"much", int64(1) << 62, false},
		{"text", "1", false},
		{"last", int64(1), true},
	} {
		on := device(row.id)
		on.Attrs = map[string]any{"devices": row.devices}
		if _, err := c.take(person("otto"), on); (err == nil) != row.want {
			t.Errorf("%s %v: %v", row.id, row.devices, err)
		}
	}
}

func TestUndoGivesBackOnce(t *testing.T) {
	c := NewCaps(clocktest.New(noon), Limits{Person: 1})
	undo, err := c.take(person("otto"), device("a"))
	if err != nil {
		t.Fatal(err)
	}
	undo()
	undo()
	if _, err := c.take(person("otto"), device("b")); err != nil {
		t.Errorf("after undo: %v", err)
	}
	if _, err := c.take(person("otto"), device("c")); err == nil {
		t.Error("two undos gave two back")
	}
}

func TestACapIsLiftedByTwoOthers(t *testing.T) {
	clock := clocktest.New(noon)
	c := NewCaps(clock, Limits{Person: 1})
	anna, bert, otto := core.MustID[core.PersonID]("anna"), core.MustID[core.PersonID]("bert"), core.MustID[core.PersonID]("otto")
	rows := []struct {
		by    []core.PersonID
		extra int
		hours int
		want  core.Kind
	}{
		{nil, 5, 1, core.KindDenied},
		{[]core.PersonID{anna}, 5, 1, core.KindDenied},
		{[]core.PersonID{anna, anna}, 5, 1, core.KindDenied},
		{[]core.PersonID{anna, {}}, 5, 1, core.KindDenied},
		{[]core.PersonID{anna, otto}, 5, 1, core.KindDenied},
		{[]core.PersonID{anna, bert, otto}, 5, 1, core.KindDenied},
		{[]core.PersonID{anna, bert}, 0, 1, core.KindInvalid},
		{[]core.PersonID{anna, bert}, 5, 0, core.KindInvalid},
		{[]core.PersonID{anna, bert}, 5, 25, core.KindInvalid},
	}
	for _, r := range rows {
		err := c.Lift(tenant, person("otto"), r.extra, noon.Add(time.Duration(r.hours)*time.Hour), r.by...)
		if core.KindOf(err) != r.want {
			t.Errorf("%v: %v", r, err)
		}
	}
	if err := c.Lift(tenant, person("otto"), 2, noon.Add(time.Hour), anna, bert); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, true, false} {
		if _, err := c.take(person("otto"), device(fmt.Sprint(i))); (err == nil) != want {
			t.Errorf("object %d: %v", i, err)
		}
	}
	clock.Advance(time.Hour)
	for i, want := range []bool{true, false} {
		if _, err := c.take(person("otto"), device(fmt.Sprintf("later-%d", i))); (err == nil) != want {
			t.Errorf("after the lift ended, object %d: %v", i, err)
		}
	}
}

func TestCapsSurviveARestart(t *testing.T) {
	clock := clocktest.New(noon)
	c := NewCaps(clock, Limits{Person: 2})
	for _, id := range []string{"a", "b"} {
		if _, err := c.take(person("otto"), device(id)); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := json.Marshal(c.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var states []CapState
	if err := json.Unmarshal(stored, &states); err != nil {
		t.Fatal(err)
	}
	again := NewCaps(clock, Limits{Person: 2})
	again.Restore(states)
	if _, err := again.take(person("otto"), device("c")); err == nil || again.Used(person("otto")) != 2 {
		t.Errorf("the restart emptied the window: %v, used %d", err, again.Used(person("otto")))
	}
	clock.Advance(CapWindow)
	if states := again.Snapshot(); len(states) != 0 || again.Used(person("otto")) != 0 {
		t.Errorf("left after the window: %v", states)
	}
}
