package approval_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/safety/approval"
)

var (
	noon   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	anna   = core.MustID[core.PersonID]("anna")
	bert   = core.MustID[core.PersonID]("bert")
	cora   = core.MustID[core.PersonID]("cora")
	digest = approval.DigestOf([]byte(`{"release":"press-7"}`))
	other  = approval.DigestOf([]byte(`{"release":"press-8"}`))
)

func request() approval.Request {
	return approval.Request{
		ID: core.NewUUID(noon), Action: "device.release", Object: "device/press-7", Digest: digest,
		Tenant: core.MustID[core.TenantID]("acme"), Requester: "person/anna", Need: 2,
		Eligible: []core.PersonID{anna, bert, cora}, Created: noon, Expires: noon.Add(time.Hour),
	}
}

func op(kind approval.OpKind, by string, after time.Duration) approval.Op {
	return approval.Op{Kind: kind, By: by, Digest: digest, At: noon.Add(after)}
}

func TestTwoOthersApproveAndOneUse(t *testing.T) {
	a, err := approval.New(request())
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		op    approval.Op
		kind  core.Kind // of the refusal
		ok    bool
		state approval.State
	}{
		{op(approval.Use, "service/serve", 1), core.KindConflict, false, approval.Requested},
		{op(approval.Vote, "person/anna", 2), core.KindDenied, false, approval.Requested},
		{op(approval.Vote, "person/dora", 2), core.KindDenied, false, approval.Requested},
		{op(approval.Vote, "service/bert", 2), core.KindDenied, false, approval.Requested},
		{op(approval.Vote, "", 2), core.KindDenied, false, approval.Requested},
		{approval.Op{Kind: approval.Vote, By: "person/bert", Digest: other, At: noon.Add(2)}, core.KindInvalid, false, approval.Requested},
		{op(approval.Vote, "person/bert", 3), 0, true, approval.Requested},
		{op(approval.Vote, "person/bert", 4), core.KindReplayed, false, approval.Requested},
		{op(approval.Expire, "", 4), core.KindConflict, false, approval.Requested},
		{op("explode", "person/bert", 4), core.KindInvalid, false, approval.Requested},
		{op(approval.Vote, "person/cora", 5), 0, true, approval.Approved},
		{op(approval.Vote, "person/cora", 5), core.KindConflict, false, approval.Approved},
		{approval.Op{Kind: approval.Use, By: "service/serve", Digest: other, At: noon.Add(6)}, core.KindInvalid, false, approval.Approved},
		{op(approval.Use, "", 6), core.KindInvalid, false, approval.Approved},
		{op(approval.Use, "service/serve", 6), 0, true, approval.Used},
		{op(approval.Use, "service/serve", 7), core.KindReplayed, false, approval.Used},
		{op(approval.Withdraw, "person/anna", 7), core.KindReplayed, false, approval.Used},
	}
	for i, s := range steps {
		next, err := a.Apply(s.op)
		if (err == nil) != s.ok || !s.ok && core.KindOf(err) != s.kind || next.State != s.state {
			t.Fatalf("step %d %s by %q: %s, %v (kind %v)", i, s.op.Kind, s.op.By, next.State, err, core.KindOf(err))
		}
		a = next
	}
}

func TestTheOtherEnds(t *testing.T) {
	voted := []approval.Op{op(approval.Vote, "person/bert", 1), op(approval.Vote, "person/cora", 2)}
	rows := []struct {
		name string
		ops  []approval.Op
		want approval.State
	}{
		{"rejected", []approval.Op{op(approval.Reject, "person/bert", 1)}, approval.Rejected},
		{"rejected after approval", append(slices.Clone(voted), op(approval.Reject, "person/bert", 3)), approval.Rejected},
		{"the requester cannot reject", []approval.Op{op(approval.Reject, "person/anna", 1)}, approval.Requested},
		{"withdrawn", []approval.Op{op(approval.Withdraw, "person/anna", 1)}, approval.Withdrawn},
		{"withdrawn after approval", append(slices.Clone(voted), op(approval.Withdraw, "person/anna", 3)), approval.Withdrawn},
		{"not by another", []approval.Op{op(approval.Withdraw, "person/bert", 1)}, approval.Requested},
		{"expired by time", append(slices.Clone(voted), op(approval.Use, "service/serve", time.Hour)), approval.Expired},
		{"expired by saying so", []approval.Op{op(approval.Expire, "", time.Hour)}, approval.Expired},
		{"a clock set back revives nothing", append(slices.Clone(voted), op(approval.Vote, "x", time.Hour), op(approval.Use, "service/serve", time.Minute)), approval.Expired},
		{"nothing follows a rejection", []approval.Op{op(approval.Reject, "person/bert", 1), voted[0], voted[1]}, approval.Rejected},
	}
	for _, r := range rows {
		a, err := approval.Replay(request(), r.ops)
		if err != nil || a.State != r.want {
			t.Errorf("%s: %s, %v", r.name, a.State, err)
		}
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	rows := map[string]func(*approval.Request){
		"no id":              func(r *approval.Request) { r.ID = core.UUID{} },
		"no tenant":          func(r *approval.Request) { r.Tenant = core.TenantID{} },
		"no requester":       func(r *approval.Request) { r.Requester = "" },
		"no digest":          func(r *approval.Request) { r.Digest = approval.Digest{} },
		"no consent":         func(r *approval.Request) { r.Need = 0 },
		"too many":           func(r *approval.Request) { r.Need = approval.MaxNeed + 1 },
		"out of reach":       func(r *approval.Request) { r.Need = 3 },
		"twice the same":     func(r *approval.Request) { r.Eligible = []core.PersonID{bert, bert} },
		"nobody":             func(r *approval.Request) { r.Eligible = []core.PersonID{bert, {}} },
		"expired when made":  func(r *approval.Request) { r.Expires = r.Created },
		"for ever":           func(r *approval.Request) { r.Expires = r.Created.Add(approval.MaxLife + 1) },
		"a village eligible": func(r *approval.Request) { r.Eligible = make([]core.PersonID, approval.MaxEligible+1) },
	}
	for name, spoil := range rows {
		r := request()
		spoil(&r)
		if _, err := approval.New(r); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnApprovalIsAValue(t *testing.T) {
	a, err := approval.New(request())
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.Apply(op(approval.Vote, "person/bert", 1))
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Apply(op(approval.Vote, "person/cora", 2))
	if err != nil || len(a.Consents) != 0 || len(b.Consents) != 1 || len(c.Consents) != 2 || a.State != approval.Requested || b.Missing() != 1 {
		t.Errorf("%v: %d, %d, %d consents", err, len(a.Consents), len(b.Consents), len(c.Consents))
	}
	if c.StateAt(noon.Add(time.Hour)) != approval.Expired || c.StateAt(noon.Add(time.Minute)) != approval.Approved {
		t.Error("StateAt")
	}
	stored, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back approval.Approval
	if err := json.Unmarshal(stored, &back); err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("stored and read: %v\n%+v\n%+v", err, back, c)
	}
	var d approval.Digest
	for _, bad := range []string{"", "00", fmt.Sprintf("%064X", 10), digest.String() + "0"} {
		if d.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("digest %q was taken", bad)
		}
	}
}

// model is the reference: sets and counters, nothing else.
type model struct {
	consents map[string]bool
	ended    approval.State // "" while it runs
	clock    time.Time
}

func (m *model) apply(r approval.Request, o approval.Op) bool {
	if o.At.After(m.clock) {
		m.clock = o.At
	}
	if m.ended == "" && !m.clock.Before(r.Expires) {
		m.ended = approval.Expired
		return o.Kind == approval.Expire
	}
	may := o.By == "person/bert" || o.By == "person/cora" || o.By == "person/dora"
	enough := len(m.consents) >= r.Need
	switch {
	case m.ended != "":
		return false
	case o.Kind == approval.Vote && may && o.Digest == r.Digest && !m.consents[o.By] && !enough:
		m.consents[o.By] = true
		return true
	case o.Kind == approval.Reject && may:
		m.ended = approval.Rejected
		return true
	case o.Kind == approval.Withdraw && o.By == r.Requester:
		m.ended = approval.Withdrawn
		return true
	case o.Kind == approval.Use && enough && o.By != "" && o.Digest == r.Digest:
		m.ended = approval.Used
		return true
	}
	return false
}

func (m *model) state(r approval.Request) approval.State {
	switch {
	case m.ended != "":
		return m.ended
	case len(m.consents) >= r.Need:
		return approval.Approved
	}
	return approval.Requested
}

// TestAgainstTheModel runs random operations against the reference and holds the
// invariants after each.
func TestAgainstTheModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 5))
	people := []string{"person/anna", "person/bert", "person/cora", "person/dora", "person/eve", "service/playbook", ""}
	ends := map[approval.State]int{}
	for range 3000 {
		r := request()
		r.Eligible = append(r.Eligible, core.MustID[core.PersonID]("dora"))
		r.Need = 1 + rnd.IntN(3)
		a, err := approval.New(r)
		if err != nil {
			t.Fatal(err)
		}
		m := &model{consents: map[string]bool{}, clock: noon}
		var ops []approval.Op
		uses := 0
		for range 1 + rnd.IntN(14) {
			o := op(approval.Vote, people[rnd.IntN(len(people))], time.Duration(rnd.Int64N(int64(70*time.Minute))))
			if rnd.IntN(3) == 0 {
				o.Kind = approval.OpKinds[rnd.IntN(len(approval.OpKinds))]
			}
			if rnd.IntN(2) == 0 {
				o.At = noon.Add(time.Minute)
			}
			if rnd.IntN(8) == 0 {
				o.Digest = other
			}
			ops = append(ops, o)
			before := a.State
			next, err := a.Apply(o)
			if ok := m.apply(r, o); ok != (err == nil) || next.State != m.state(r) {
				t.Fatalf("%+v\nfrom %s: %s, %v; the model says %v, %s", o, before, next.State, err, ok, m.state(r))
			}
			if err == nil && o.Kind == approval.Use {
				uses++
			}
			invariants(t, a, next, err)
			a = next
		}
		if uses > 1 {
			t.Fatal("used twice")
		}
		again, err := approval.Replay(r, ops)
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Fatalf("the fold differs: %v\n%+v\n%+v", err, again, a)
		}
		ends[a.State]++
	}
	if len(ends) != len(approval.States) {
		t.Errorf("the operations reached only %v", ends)
	}
}

func invariants(t *testing.T, before, after approval.Approval, err error) {
	t.Helper()
	if before.State.Final() && (after.State != before.State || err == nil) {
		t.Fatalf("%s is final and became %s, %v", before.State, after.State, err)
	}
	if (after.State == approval.Approved || after.State == approval.Used) && len(after.Consents) < after.Request.Need {
		t.Fatalf("%s with %d of %d consents", after.State, len(after.Consents), after.Request.Need)
	}
	seen := map[core.PersonID]bool{}
	for _, c := range after.Consents {
		if seen[c.By] || c.By == anna || !slices.Contains(after.Request.Eligible, c.By) {
			t.Fatalf("%s counts", c.By)
		}
		seen[c.By] = true
	}
	if err != nil && core.KindOf(err) == core.KindInternal {
		t.Fatalf("a refusal without a kind: %v", err)
	}
}
