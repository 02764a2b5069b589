package keys

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// deny is a policy that permits nothing.
type deny struct{}

func (deny) Evaluate(core.Principal, core.Action, core.Resource) core.Decision {
	return core.Decision{Reason: "nothing is permitted"}
}

// The words are spelled here again so that the process does not need package
// policy to know them; they must be the same words.
func TestActionsAreThoseOfThePolicy(t *testing.T) {
	actions := []core.Action{actionEnrol, actionApprove, actionRenew, actionWorkload, actionIssueManagement, actionIssueWorkload, actionIssueServer}
	for _, typ := range link.AllOrderTypes {
		if _, err := signable(&link.Order{Type: typ}); err == nil {
			actions = append(actions, ActionOf(typ))
		}
	}
	for _, a := range actions {
		if _, known := policy.ClassOf(a); !known {
			t.Errorf("the policy does not know %q", a)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	k, err := openKeeper(f.Context(), f.TempDir(), Options{Policy: deny{}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{"v":1,"id":1,"op":"status","body":{}}`,
		`{"v":1,"id":2,"op":"public_info","body":{}}`,
		`{"v":1,"id":3,"op":"adopt_root","body":{"envelope":"e30=","proof":""}}`,
		`{"v":1,"id":4,"op":"sign_order","body":{"warrant":{"principal":{"kind":"service","id":"playbook","tenant":"acme"},"action":"device.quarantine","type":"device","id":"press-7","tenant":"acme","site":"","attrs":{"a":1,"b":"x","c":true},"params":"","leaf":"e30=","proof":""},"payload":"e30="}}`,
		`{"v":1,"id":5,"op":"unseal","body":{"passphrase":""}}`,
		`{"v":1,"id":6,"op":"nothing","body":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := k.answer(t.Context(), b); err != nil && core.KindOf(err) == core.KindInternal {
			t.Errorf("%q: %v", b, err)
		}
		if len(k.ledger.hour) != 0 || k.trust != nil {
			t.Fatalf("%q had an effect", b)
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte(`{"v":1,"type":"intent","actor":"a","action":"b","object":"c","outcome":"permitted"}` + "\nx"))
	f.Add([]byte(`{"v":1,"v":1}`))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(b)
		if err == nil && len(h) != 5 {
			t.Errorf("%q: %v", b, h)
		}
	})
}

func TestWindowOfIntents(t *testing.T) {
	l, err := openLedger(t.TempDir(), clocktest.New(time.Unix(0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	at := func(i uint64) core.Position { return core.Position{Origin: "o", Index: i} }
	for _, step := range []struct {
		index uint64
		want  core.Kind // 0: spendable, and then spent
	}{
		{5, 0},
		{5, core.KindReplayed},
		{4, 0},
		{window, 0},
		{0, core.KindExpired},
		{1, 0},
		{1, core.KindReplayed},
		{window + 10, 0},
		{5, core.KindExpired}, // forgotten, but too old by then
		{11, 0},
		{3 * window, 0},
		{window + 10, core.KindExpired},
	} {
		err := l.spendable(at(step.index))
		if step.want == 0 && err != nil || step.want != 0 && core.KindOf(err) != step.want {
			t.Errorf("index %d: %v, want kind %s", step.index, err, step.want)
		}
		if step.want == 0 {
			if err := l.append(intent{at: at(step.index), actor: "service/x", action: "a", object: "o"}, entry{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(l.used["o"].seen); n > window {
		t.Errorf("%d indexes are remembered", n)
	}
	if err := l.spendable(core.Position{Origin: "another log", Index: 5}); err != nil {
		t.Errorf("another log begins at 0 again: %v", err)
	}
}

func TestEveryDirectionIsDecided(t *testing.T) {
	for _, typ := range link.AllOrderTypes {
		row, err := signable(&link.Order{Type: typ})
		want := row.Direction == link.DirectionTighten || row.Direction == link.DirectionContain
		if want != (err == nil) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	if _, err := signable(&link.Order{Type: "self_destruct"}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("an unknown type: %v", err)
	}
}

// The ledger is kept for good, so the bytes of its entries are.
func TestLedgerGolden(t *testing.T) {
	id, err := core.ParseUUID("01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55")
	if err != nil {
		t.Fatal(err)
	}
	head := entry{V: 1, Time: 1_700_000_000_000_000, Origin: "o.example/log", Index: 7, Actor: "service/playbook", Action: "device.quarantine", Object: "device/press-7"}
	order, issued := head, head
	order.Order = &orderEntry{ID: id, Type: link.OrderQuarantine, Direction: link.DirectionContain, Payload: "ab"}
	issued.Issued = &issuedRecord{Profile: "management", Serial: "01", Names: []string{"interlock://acme/device/press-7"}, SPKI: "cd", NotBefore: 1, NotAfter: 2, Issuer: "ef"}
	const begin = `{"v":1,"time":1700000000000000,"origin":"o.example/log","index":7,"actor":"service/playbook","action":"device.quarantine","object":"device/press-7",`
	for want, e := range map[string]entry{
		begin + `"order":{"id":"01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55","type":"quarantine","direction":"contain","payload":"ab"}}`:                                     order,
		begin + `"issued":{"profile":"management","serial":"01","names":["interlock://acme/device/press-7"],"spki":"cd","not_before":1,"not_after":2,"issuer":"ef"}}`: issued,
	} {
		got, err := link.Encode(e)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
		var back entry
		if err := link.DecodeStrict([]byte(want), &back); err != nil {
			t.Error(err)
		}
	}
}
