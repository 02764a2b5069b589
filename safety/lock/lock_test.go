package lock_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/safety/lock"
)

var (
	noon  = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	press = core.MustID[core.DeviceID]("press-7")
	anna  = core.MustID[core.PersonID]("anna")
	bert  = core.MustID[core.PersonID]("bert")
	cora  = core.MustID[core.PersonID]("cora")
)

// id returns lock ids that are the same in every run.
func id(n int) core.UUID { return core.UUID{15: byte(n + 1)} }

func must(t *testing.T, h lock.Hasp, op lock.Op) lock.Hasp {
	t.Helper()
	next, err := h.Apply(op)
	if err != nil {
		t.Fatalf("%+v: %v", op, err)
	}
	return next
}

func refused(t *testing.T, h lock.Hasp, op lock.Op, want core.Kind) {
	t.Helper()
	next, err := h.Apply(op)
	if err == nil || core.KindOf(err) != want || len(next.Locks) != len(h.Locks) || next.Revision != h.Revision {
		t.Errorf("%+v: %v, want kind %s", op, err, want)
	}
}

func TestAMachineIsOffWhileAnyLockHangs(t *testing.T) {
	h := lock.New(press)
	permit, err := h.Permit("boot-1", noon, 10*time.Second)
	if err != nil || !permit.Holds(h, "boot-1", noon) {
		t.Fatalf("a free machine: %v", err)
	}
	h = must(t, h, lock.Op{Kind: lock.Place, Lock: id(0), By: anna, Reason: "blade change", At: noon})
	if permit.Holds(h, "boot-1", noon) {
		t.Error("a permit from before the lock still holds")
	}
	refused(t, h, lock.Op{Kind: lock.Energise, Permit: permit, At: noon}, core.KindDenied)
	if _, err := h.Permit("boot-1", noon, time.Second); core.KindOf(err) != core.KindDenied {
		t.Errorf("a permit over a requested lock: %v", err)
	}
	if h.InForce(anna) || h.Locks[0].State.Shown() != "NOT LOCKED - requested" {
		t.Error("a lock reads as in force before the device acknowledged it")
	}
	h = must(t, h, lock.Op{Kind: lock.Acknowledge, Lock: id(0), At: noon})
	h = must(t, h, lock.Op{Kind: lock.Place, Lock: id(1), By: bert, At: noon})
	if !h.InForce(anna) || h.InForce(bert) || h.Count() != 2 {
		t.Errorf("%+v", h)
	}
	h = must(t, h, lock.Op{Kind: lock.Remove, Lock: id(0), By: anna, At: noon})
	if _, err := h.Permit("boot-1", noon, time.Second); core.KindOf(err) != core.KindDenied {
		t.Errorf("one lock left: %v", err)
	}
	h = must(t, h, lock.Op{Kind: lock.Remove, Lock: id(1), By: bert, At: noon})
	if permit.Holds(h, "boot-1", noon) {
		t.Error("the permit from before the locks holds after them")
	}
	permit, err = h.Permit("boot-1", noon, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	h = must(t, h, lock.Op{Kind: lock.Energise, Permit: permit, At: noon})
	h = must(t, h, lock.Op{Kind: lock.Place, Lock: id(2), By: cora, At: noon})
	refused(t, h, lock.Op{Kind: lock.Acknowledge, Lock: id(2), At: noon}, core.KindConflict)
	h = must(t, h, lock.Op{Kind: lock.Deenergise, At: noon})
	h = must(t, h, lock.Op{Kind: lock.Acknowledge, Lock: id(2), At: noon})
	refused(t, h, lock.Op{Kind: lock.Acknowledge, Lock: id(2), At: noon}, core.KindReplayed)
}

func TestWhoTakesALockOff(t *testing.T) {
	h := must(t, lock.New(press), lock.Op{Kind: lock.Place, Lock: id(0), By: anna, At: noon})
	for _, r := range []struct {
		op   lock.Op
		want core.Kind
	}{
		{lock.Op{Kind: lock.Remove, Lock: id(0), By: bert}, core.KindDenied},
		{lock.Op{Kind: lock.Remove, Lock: id(0)}, core.KindDenied},
		{lock.Op{Kind: lock.Remove, Lock: id(9), By: anna}, core.KindNotFound},
		{lock.Op{Kind: lock.Override, Lock: id(0), By: bert, Reason: "left"}, core.KindDenied},
		{lock.Op{Kind: lock.Override, Lock: id(0), By: bert, By2: bert, Reason: "left"}, core.KindDenied},
		{lock.Op{Kind: lock.Override, Lock: id(0), By: anna, By2: bert, Reason: "left"}, core.KindDenied},
		{lock.Op{Kind: lock.Override, Lock: id(0), By: bert, By2: anna, Reason: "left"}, core.KindDenied},
		{lock.Op{Kind: lock.Override, Lock: id(0), By: bert, By2: cora}, core.KindInvalid},
		{lock.Op{Kind: lock.Override, Lock: id(9), By: bert, By2: cora, Reason: "left"}, core.KindNotFound},
		{lock.Op{Kind: lock.Place, Lock: id(0), By: bert}, core.KindReplayed},
		{lock.Op{Kind: lock.Place, Lock: id(1)}, core.KindInvalid},
		{lock.Op{Kind: lock.Place, By: bert}, core.KindInvalid},
		{lock.Op{Kind: lock.Acknowledge, Lock: id(9)}, core.KindNotFound},
		{lock.Op{Kind: "melt"}, core.KindInvalid},
	} {
		refused(t, h, r.op, r.want)
	}
	h = must(t, h, lock.Op{Kind: lock.Override, Lock: id(0), By: bert, By2: cora, Reason: "anna left the site", At: noon})
	if h.Count() != 0 {
		t.Error("the lock is still there")
	}
}

func TestPermitsAreNarrow(t *testing.T) {
	h := must(t, lock.New(press), lock.Op{Kind: lock.Deenergise, At: noon})
	good, err := h.Permit("boot-1", noon, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other := must(t, lock.New(core.MustID[core.DeviceID]("press-8")), lock.Op{Kind: lock.Deenergise, At: noon})
	long := good
	long.Until = noon.Add(time.Hour)
	counted := good
	counted.Locks = 1
	rows := map[string]bool{
		"now":            good.Holds(h, "boot-1", noon),
		"at the end":     !good.Holds(h, "boot-1", noon.Add(10*time.Second)),
		"before":         !good.Holds(h, "boot-1", noon.Add(-time.Second)),
		"another boot":   !good.Holds(h, "boot-2", noon),
		"another device": !good.Holds(other, "boot-1", noon),
		"too long":       !long.Holds(h, "boot-1", noon),
		"locks counted":  !counted.Holds(h, "boot-1", noon),
		"none":           !lock.Permit{}.Holds(h, "", noon),
		"no device":      !lock.Permit{Boot: "b", Until: noon.Add(1)}.Holds(lock.New(core.DeviceID{}), "b", noon),
	}
	for name, ok := range rows {
		if !ok {
			t.Errorf("%s: wrong", name)
		}
	}
	for _, bad := range []struct {
		boot string
		at   time.Time
		life time.Duration
		want core.Kind
	}{
		{"", noon, time.Second, core.KindInvalid},
		{"b", noon, 0, core.KindInvalid},
		{"b", noon, lock.MaxPermit + 1, core.KindInvalid},
		{"b", noon.Add(-time.Hour), time.Second, core.KindUnavailable},
	} {
		if _, err := h.Permit(bad.boot, bad.at, bad.life); core.KindOf(err) != bad.want {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestAFullHaspStaysOff(t *testing.T) {
	h := lock.New(press)
	for i := range lock.MaxLocks {
		h = must(t, h, lock.Op{Kind: lock.Place, Lock: core.UUID{14: byte(i >> 8), 15: byte(i), 0: 1}, By: anna, At: noon})
	}
	refused(t, h, lock.Op{Kind: lock.Place, Lock: id(0), By: bert}, core.KindTooLarge)
	if _, err := h.Permit("b", noon, time.Second); err == nil {
		t.Error("a full hasp gives a permit")
	}
}

// TestAgainstTheModel runs random operations over a server's hasp and a device
// that hears of them late or never, and holds the rule of TRUST F10: a machine
// is never energised with a person's lock shown in force.
func TestAgainstTheModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 11))
	people := []core.PersonID{anna, bert, cora, {}}
	grants, energised := 0, 0
	for range 2000 {
		h, owners := lock.New(press), map[core.UUID]core.PersonID{} // the model: who owns which lock
		inForce, on := map[core.UUID]bool{}, false
		var permits []lock.Permit
		now := noon
		for range 30 {
			now = now.Add(time.Duration(rnd.IntN(3)) * time.Second)
			op := lock.Op{Kind: lock.OpKinds[rnd.IntN(len(lock.OpKinds))], Lock: id(rnd.IntN(4)), By: people[rnd.IntN(4)], By2: people[rnd.IntN(4)], At: now}
			if rnd.IntN(2) == 0 {
				op.Reason = "because"
			}
			if p, err := h.Permit("boot", now, 2*time.Second); err == nil {
				permits = append(permits, p)
				grants++
				if len(owners) > 0 {
					t.Fatal("a permit over locks")
				}
			}
			if op.Kind == lock.Energise && len(permits) > 0 {
				op.Permit = permits[rnd.IntN(len(permits))]
			}
			owner, hangs := owners[op.Lock]
			want := false
			switch op.Kind {
			case lock.Place:
				want = !hangs && !op.By.IsZero()
			case lock.Acknowledge:
				want = hangs && !inForce[op.Lock] && !on
			case lock.Remove:
				want = hangs && op.By == owner
			case lock.Override:
				want = hangs && !op.By.IsZero() && !op.By2.IsZero() && op.By != op.By2 && op.By != owner && op.By2 != owner && op.Reason != ""
			case lock.Energise:
				want = len(owners) == 0 && op.Permit.Revision == h.Revision && op.Permit.Boot != "" && now.Before(op.Permit.Until)
			case lock.Deenergise:
				want = true
			}
			before := h
			next, err := h.Apply(op)
			if (err == nil) != want {
				t.Fatalf("%+v on %+v: %v, the model says %v", op, h, err, want)
			}
			if want {
				switch op.Kind {
				case lock.Place:
					owners[op.Lock] = op.By
				case lock.Acknowledge:
					inForce[op.Lock] = true
				case lock.Remove, lock.Override:
					delete(owners, op.Lock)
					delete(inForce, op.Lock)
				case lock.Energise:
					on, energised = true, energised+1
				case lock.Deenergise:
					on = false
				}
			}
			h = next
			if h.Count() != len(owners) || h.Energised != on || err == nil && h.Revision != before.Revision+1 {
				t.Fatalf("after %+v: %+v, the model has %d locks, on %v", op, h, len(owners), on)
			}
			for _, l := range h.Locks {
				if l.Owner != owners[l.ID] || (l.State == lock.InForce) != inForce[l.ID] {
					t.Fatalf("%+v differs from the model", l)
				}
				if l.State == lock.InForce && h.Energised {
					t.Fatalf("energised with %s's lock in force", l.Owner)
				}
			}
			if err != nil {
				before.Last = h.Last
				if !reflect.DeepEqual(before, h) && (len(before.Locks) > 0 || len(h.Locks) > 0) {
					t.Fatalf("a refusal changed the hasp: %+v to %+v", before, h)
				}
			}
		}
	}
	if grants == 0 || energised == 0 {
		t.Errorf("%d permits, energised %d times: the model never got there", grants, energised)
	}
}
