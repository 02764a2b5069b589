package link_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// here is the device that the orders of newOrder are for, at a known time.
func here() link.Context {
	now := issued.Add(time.Minute)
	return link.Context{
		Tenant: core.MustID[core.TenantID]("acme"), Site: core.MustID[core.SiteID]("hall-2"), Device: core.MustID[core.DeviceID]("press-7"),
		Epoch: epoch, LastCounter: 41, Latches: map[string]bool{latch: true},
		Now: link.TrustedTime{Lower: now.Add(-time.Minute), Upper: now.Add(time.Minute)},
	}
}

// signers returns who carries an order of this type in a site of three, and in
// which namespace.
func signersFor(kind link.OrderType) (namespace string, names []string) {
	row, _ := link.DirectionOf(kind)
	switch row.Role {
	case link.RoleServerStop:
		return link.NamespaceOrder, []string{"stop"}
	case link.RoleServerCommand:
		return link.NamespaceOrder, []string{"command"}
	case link.RoleRoot:
		return link.NamespaceApproval, []string{"anna/recovery", "cora/recovery"}
	}
	return link.NamespaceApproval, []string{"anna", "ben"}
}

func (s *site) signed(kind link.OrderType, o *link.Order) *link.Envelope {
	s.t.Helper()
	namespace, names := signersFor(kind)
	return s.envelope(namespace, encodeOrder(s.t, o), names...)
}

func TestEveryOrderTypeCanBeGiven(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	for _, k := range link.AllOrderTypes {
		v, err := tr.CheckOrder(s.signed(k, newOrder(t, k, nil)), here())
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		if v.Row.Type != k || v.Delay != 0 || fmt.Sprintf("%T", v.Params) != fmt.Sprintf("*%T", goodParams[k]) {
			t.Errorf("%s: %+v, params %T", k, v, v.Params)
		}
		if v.Row.Direction.Away() && (v.By != link.ByPersons || len(v.Persons) != 2) {
			t.Errorf("%s: by %s %v", k, v.By, v.Persons)
		}
	}
}

// Who works on a device does not decide alone that it stops watching.
func TestMaintenanceTakesTwoPersons(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	o := newOrder(t, link.OrderDisarm, link.DisarmParams{Arming: core.Maintenance, Until: issued.Add(time.Hour).UnixMicro(), Ticket: "M-118"})
	o.Requester = "person/anna"
	payload := encodeOrder(t, o)
	for _, row := range []struct {
		names []string
		ok    bool
	}{
		{[]string{"anna"}, false},
		{[]string{"ben"}, false},
		{[]string{"anna", "ben"}, false}, // she asked for it, so she does not count
		{[]string{"ben", "cora"}, true},
	} {
		if _, err := tr.CheckOrder(s.envelope(link.NamespaceApproval, payload, row.names...), here()); (err == nil) != row.ok {
			t.Errorf("%v: %v", row.names, err)
		}
	}
}

// TRUST F01 to F03: with every key that a server holds, and every namespace,
// nothing that leads away from safety passes.
func TestCapturedServerCannotLoosen(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	for _, k := range link.AllOrderTypes {
		row, _ := link.DirectionOf(k)
		payload := encodeOrder(t, newOrder(t, k, nil))
		for _, ns := range namespaces {
			for _, key := range []string{"command", "stop", "log", "mallory"} {
				v, err := tr.CheckOrder(s.envelope(ns, payload, key), here())
				may := ns == link.NamespaceOrder &&
					(key == "stop" && row.Direction == link.DirectionStop ||
						key == "command" && (row.Direction == link.DirectionTighten || row.Direction == link.DirectionContain))
				if (err == nil) != may {
					t.Errorf("%s by %s in %s: %v, want accepted: %t", k, key, ns, err, may)
				}
				if err != nil && core.KindOf(err) != core.KindDenied {
					t.Errorf("%s by %s in %s: kind %s", k, key, ns, core.KindOf(err))
				}
				if may && (v.By != string(row.Role) || v.Persons != nil) {
					t.Errorf("%s by %s: %+v", k, key, v)
				}
			}
		}
		if row.Direction.Away() {
			if _, err := tr.CheckOrder(s.envelope(link.NamespaceOrder, payload, "command", "stop", "log"), here()); err == nil {
				t.Errorf("%s: all server keys together pass", k)
			}
			if _, err := tr.CheckOrder(&link.Envelope{Payload: payload}, here()); core.KindOf(err) != core.KindDenied {
				t.Errorf("%s without a signature: %v", k, err)
			}
		}
	}
}

// TRUST F06: a stop needs nothing but identity and scope. Whoever sends it may
// know neither epoch nor counter nor trust root of the device.
func TestStopNeedsNothingButASignature(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	o := newOrder(t, link.OrderStop, nil)
	o.Epoch, o.Counter, o.RootVersion, o.Reason, o.Incident = "", 0, 0, "", ""
	at := here()
	at.LastCounter, at.Now = 1<<63, link.TrustedTime{Lower: issued.AddDate(20, 0, 0)}
	for ns, key := range map[string]string{link.NamespaceOrder: "stop", link.NamespaceApproval: "ben"} {
		if _, err := tr.CheckOrder(s.envelope(ns, encodeOrder(t, o), key), at); err != nil {
			t.Errorf("by %s: %v", key, err)
		}
	}
}

// A person's signature that was made for anything else is no approval (F02).
func TestSignatureOfAnotherNamespaceCountsNothing(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	payload := encodeOrder(t, newOrder(t, link.OrderRelease, nil))
	for _, ns := range []string{link.NamespaceOrder, link.NamespaceRoot, link.NamespaceBatch} {
		env := s.envelope(ns, payload, "anna", "ben", "cora")
		if _, err := tr.CheckOrder(env, here()); core.KindOf(err) != core.KindDenied || !strings.Contains(err.Error(), "says nothing in") {
			t.Errorf("%s: %v", ns, err)
		}
		if err := env.Add(mustSign(t, edSigner(t, "x"), link.NamespaceApproval, payload)); err != nil {
			t.Fatal(err)
		}
	}
	// One approval and one of another namespace is one.
	env := s.envelope(link.NamespaceApproval, payload, "anna")
	if err := env.Add(mustSign(t, s.key("ben"), link.NamespaceOrder, payload)); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.CheckOrder(env, here()); core.KindOf(err) != core.KindDenied {
		t.Error(err)
	}
	// With enough approvals it is carried along, and named.
	if err := env.Add(mustSign(t, s.key("cora"), link.NamespaceApproval, payload)); err != nil {
		t.Fatal(err)
	}
	v, err := tr.CheckOrder(env, here())
	if err != nil || len(v.Ignored) != 1 || len(v.Persons) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestThresholdCountsPersons(t *testing.T) {
	s := quorumSite(t)
	s.root.Persons[0].Keys = append(s.root.Persons[0].Keys, s.text("anna/2"))
	s.role(link.RolePolicy).Members = s.role(link.RolePolicy).Members[1:] // ben, cora
	tr := s.trust()
	rows := []struct {
		name      string
		kind      link.OrderType
		requester string
		sign      []string
		ok        bool
	}{
		{"two persons", link.OrderRelease, "service/x", []string{"anna", "cora"}, true},
		{"one person", link.OrderRelease, "service/x", []string{"anna"}, false},
		{"two keys of one person", link.OrderRelease, "service/x", []string{"anna", "anna/2"}, false},
		{"two keys of one and another", link.OrderRelease, "service/x", []string{"anna", "anna/2", "ben"}, true},
		{"the requester does not count", link.OrderRelease, "person/anna", []string{"anna", "ben"}, false},
		{"two besides the requester", link.OrderRelease, "person/anna", []string{"anna", "ben", "cora"}, true},
		{"a device named like a person", link.OrderRelease, "device/anna", []string{"anna", "ben"}, true},
		{"recovery keys release nothing", link.OrderRelease, "service/x", []string{"anna/recovery", "ben/recovery", "cora/recovery"}, false},
		{"one everyday, one recovery", link.OrderRelease, "service/x", []string{"anna", "ben/recovery"}, false},
		{"a stranger", link.OrderRelease, "service/x", []string{"anna", "mallory"}, false},
		{"not of the role", link.OrderPolicy, "service/x", []string{"anna", "ben"}, false},
		{"of the role", link.OrderPolicy, "service/x", []string{"ben", "cora"}, true},
		{"root role by everyday keys", link.OrderServerAddress, "service/x", []string{"anna", "ben", "cora"}, false},
		{"contain by two persons", link.OrderQuarantine, "service/x", []string{"anna", "ben"}, true},
		{"contain by one person", link.OrderQuarantine, "service/x", []string{"anna"}, false},
		{"stop by one person", link.OrderStop, "person/anna", []string{"anna"}, true},
		{"stop by a recovery key", link.OrderStop, "person/anna", []string{"anna/recovery"}, true},
		{"stop by a stranger", link.OrderStop, "person/mallory", []string{"mallory"}, false},
	}
	for _, row := range rows {
		o := newOrder(t, row.kind, nil)
		o.Requester = row.requester
		payload := encodeOrder(t, o)
		_, err := tr.CheckOrder(s.envelope(link.NamespaceApproval, payload, row.sign...), here())
		if (err == nil) != row.ok || err != nil && core.KindOf(err) != core.KindDenied {
			t.Errorf("%s: %v, want accepted: %t", row.name, err, row.ok)
		}
	}
	// An envelope that was not parsed can't count one key twice.
	env := s.envelope(link.NamespaceApproval, encodeOrder(t, newOrder(t, link.OrderRelease, nil)), "anna")
	env.Signatures = append(env.Signatures, env.Signatures[0])
	if _, err := tr.CheckOrder(env, here()); core.KindOf(err) != core.KindInvalid {
		t.Error(err)
	}
}

func TestDestroyWantsUserVerificationOfSecurityKeys(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa"} {
		s := quorumSite(t)
		touched, verified := newSecurityKey(t, kind, "ssh:", 1), newSecurityKey(t, kind, "ssh:", 5)
		s.keys["anna"] = touched
		s.root.Persons[0].Keys[0] = link.AuthorizedKey(touched.PublicKey())
		s.keys["ben"] = verified
		s.root.Persons[1].Keys[0] = link.AuthorizedKey(verified.PublicKey())
		s.keys["cora"] = verifiedTwin(t, kind)
		s.root.Persons[2].Keys[0] = link.AuthorizedKey(s.keys["cora"].PublicKey())
		tr := s.trust()
		release := encodeOrder(t, newOrder(t, link.OrderRelease, nil))
		if _, err := tr.CheckOrder(s.envelope(link.NamespaceApproval, release, "anna", "ben"), here()); err != nil {
			t.Errorf("%s: release by touch: %v", kind, err)
		}
		wipe := encodeOrder(t, newOrder(t, link.OrderZeroize, nil))
		if _, err := tr.CheckOrder(s.envelope(link.NamespaceApproval, wipe, "anna", "ben"), here()); err == nil || !strings.Contains(err.Error(), "PIN") {
			t.Errorf("%s: zeroize by touch: %v", kind, err)
		}
		if _, err := tr.CheckOrder(s.envelope(link.NamespaceApproval, wipe, "cora", "ben"), here()); err != nil {
			t.Errorf("%s: zeroize with PIN: %v", kind, err)
		}
	}
}

func verifiedTwin(t *testing.T, kind string) link.Signer {
	return newSecurityKey(t, kind, "ssh:", 5)
}

// TRUST F07: every accepted order, replayed into every other state.
func TestAcceptedOrdersAreWorthNothingElsewhere(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	second := s.next()
	env2 := second.signRoot(s.quorum()...)
	tr2, err := tr.Update(env2, s.logged(env2))
	if err != nil {
		t.Fatal(err)
	}
	foreign := newSite(t, link.ModeQuorum, "anna", "ben", "cora")
	foreign.root.Tenant = core.MustID[core.TenantID]("globex")
	foreignTrust := foreign.trust()

	rows := []struct {
		name  string
		trust *link.Trust
		at    func(link.Context, *link.Order) link.Context
		kind  core.Kind
		spare func(link.OrderType) bool // types that the row does not touch
	}{
		{"answered before", tr, func(c link.Context, o *link.Order) link.Context {
			c.Seen = func(id core.UUID) bool { return id == o.ID }
			return c
		}, core.KindReplayed, never},
		{"counter taken", tr, func(c link.Context, o *link.Order) link.Context { c.LastCounter = 42; return c }, core.KindReplayed, isOne(link.OrderRelease, link.OrderStop)},
		{"relatched", tr, func(c link.Context, o *link.Order) link.Context {
			c.Latches = map[string]bool{other: true, latch: false}
			return c
		}, core.KindReplayed, isNot(link.OrderRelease)},
		{"opened already", tr, func(c link.Context, o *link.Order) link.Context { c.Latches = nil; return c }, core.KindReplayed, isNot(link.OrderRelease)},
		{"state restored or new", tr, func(c link.Context, o *link.Order) link.Context { c.Epoch = other; return c }, core.KindReplayed, isOne(link.OrderStop)},
		{"another device", tr, func(c link.Context, o *link.Order) link.Context {
			c.Device = core.MustID[core.DeviceID]("press-8")
			return c
		}, core.KindDenied, never},
		{"another site", tr, func(c link.Context, o *link.Order) link.Context {
			c.Site = core.MustID[core.SiteID]("hall-3")
			return c
		}, core.KindDenied, never},
		{"another tenant's device", tr, func(c link.Context, o *link.Order) link.Context {
			c.Tenant = core.MustID[core.TenantID]("globex")
			return c
		}, core.KindDenied, never},
		{"another tenant's root", foreignTrust, func(c link.Context, o *link.Order) link.Context {
			c.Tenant = core.MustID[core.TenantID]("globex")
			return c
		}, core.KindDenied, never},
		{"next trust root", tr2, func(c link.Context, o *link.Order) link.Context { return c }, core.KindConflict, isOne(link.OrderStop)},
		{"ten years later", tr, func(c link.Context, o *link.Order) link.Context {
			c.Now = link.TrustedTime{Lower: issued.AddDate(10, 0, 0), Upper: issued.AddDate(10, 0, 1)}
			return c
		}, core.KindExpired, isOne(link.OrderStop)},
		{"ten years before", tr, func(c link.Context, o *link.Order) link.Context {
			c.Now = link.TrustedTime{Lower: issued.AddDate(-10, 0, 0), Upper: issued.AddDate(-10, 0, 1)}
			return c
		}, core.KindInvalid, towardsSafety},
		{"device that does not know itself", tr, func(c link.Context, o *link.Order) link.Context { c.Epoch = ""; return c }, core.KindInternal, isNone},
	}
	for _, k := range link.AllOrderTypes {
		o := newOrder(t, k, nil)
		env := s.signed(k, o)
		if _, err := tr.CheckOrder(env, here()); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		for _, row := range rows {
			_, err := row.trust.CheckOrder(env, row.at(here(), o))
			if row.spare(k) {
				if err != nil {
					t.Errorf("%s, %s: %v, want accepted", k, row.name, err)
				}
				continue
			}
			if err == nil || (core.KindOf(err) != row.kind) {
				t.Errorf("%s, %s: %v, want %s", k, row.name, err, row.kind)
			}
		}
	}
}

func never(link.OrderType) bool  { return false }
func isNone(link.OrderType) bool { return false }
func isOne(ks ...link.OrderType) func(link.OrderType) bool {
	return func(k link.OrderType) bool { return slices.Contains(ks, k) }
}

func isNot(k link.OrderType) func(link.OrderType) bool {
	return func(other link.OrderType) bool { return other != k }
}

func towardsSafety(k link.OrderType) bool {
	row, _ := link.DirectionOf(k)
	return !row.Direction.Away()
}

// Bytes that were changed after signing, in ways that a lenient reader would not
// see, are refused; so are they when the signer himself wrote them that way.
func TestStringGamesWithASignedOrder(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	good := encodeOrder(t, newOrder(t, link.OrderRelease, nil))
	edit := func(old, new string) []byte {
		b := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(b, good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return b
	}
	rows := []struct {
		name     string
		payload  []byte
		malformd bool // also refused when properly signed
	}{
		{"one blank more", edit(`,"id"`, `, "id"`), false},
		{"newline at the end", append(bytes.Clone(good), '\n'), false},
		{"blank in front", append([]byte(" "), good...), false},
		{"another device", edit(`"press-7"`, `"press-8"`), false},
		{"key twice", edit(`"device":"press-7"`, `"device":"press-7","device":"press-8"`), true},
		{"key twice, escaped", edit(`"device":"press-7"`, `"device":"press-7","devic\u0065":"press-8"`), true},
		{"key in capitals", edit(`"device":"press-7"`, `"device":"press-7","DEVICE":"press-8"`), true},
		{"key unknown", edit(`"v":1`, `"v":1,"force":true`), true},
		{"key missing", edit(`"counter":0,`, ``), true},
		{"order after order", append(bytes.Clone(good), good...), true},
		{"nul at the end", append(bytes.Clone(good), 0), true},
		{"version as a float", edit(`"v":1`, `"v":1.0`), true},
		{"null latches", edit(`"latches":["`+latch+`"]`, `"latches":null`), true},
	}
	for _, row := range rows {
		env := s.envelope(link.NamespaceApproval, good, "anna", "ben")
		env.Payload = row.payload
		if _, err := tr.CheckOrder(env, here()); err == nil {
			t.Errorf("%s: the changed bytes pass", row.name)
		}
		_, err := tr.CheckOrder(s.envelope(link.NamespaceApproval, row.payload, "anna", "ben"), here())
		if row.malformd && core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: signed that way: %v", row.name, err)
		}
	}
}

func TestAgentUpdateNeverGoesBelowTheRootsMinimum(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	for version, ok := range map[string]bool{"1.1.9": false, "1.2.0-rc.1": false, "1.2.0": true, "1.10.0": true, "0.9.0": false} {
		o := newOrder(t, link.OrderUpdate, link.UpdateParams{Version: version, SHA256: strings.Repeat("ab", 32), Size: 1})
		if _, err := tr.CheckOrder(s.signed(link.OrderUpdate, o), here()); (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestSingleOperatorNeedsPresenceAndWaits(t *testing.T) {
	s := soloSite(t)
	tr := s.trust()
	give := func(kind link.OrderType, code string) *link.Envelope {
		o := newOrder(t, kind, nil)
		o.Requester = "person/owner"
		if code != "" {
			o.Params = append(append(bytes.TrimSuffix(o.Params, []byte("}")), comma(o.Params)...), []byte(`"presence":"`+code+`"}`)...)
		}
		key := "owner"
		if kind == link.OrderServerAddress {
			key = "owner/recovery"
		}
		return s.envelope(link.NamespaceApproval, encodeOrder(t, o), key)
	}
	for _, k := range link.AllOrderTypes {
		row, _ := link.DirectionOf(k)
		if !row.Direction.Away() {
			if v, err := tr.CheckOrder(give(k, ""), here()); err != nil || v.Delay != 0 {
				t.Errorf("%s by the owner: %+v, %v", k, v, err)
			}
			continue
		}
		at := here()
		at.Presence = "402917"
		v, err := tr.CheckOrder(give(k, "402917"), at)
		if err != nil || v.Delay != 10*time.Minute {
			t.Fatalf("%s: %+v, %v", k, v, err)
		}
		for _, wrong := range []struct{ shown, given string }{{"402917", ""}, {"402917", "402918"}, {"", ""}, {"", "402917"}, {"1", "1"}, {"402917", "4029170"}} {
			at.Presence = wrong.shown
			if _, err := tr.CheckOrder(give(k, wrong.given), at); core.KindOf(err) != core.KindDenied || core.HintOf(err) == "" {
				t.Errorf("%s, shown %q, given %q: %v", k, wrong.shown, wrong.given, err)
			}
		}
		at.Presence = "402917"
		if err := v.StillHolds(tr, at); err != nil {
			t.Errorf("%s after the delay: %v", k, err)
		}
	}
}

func comma(params []byte) []byte {
	if bytes.Equal(params, []byte("{}")) {
		return nil
	}
	return []byte(",")
}

func TestOrderThatWaitedIsCheckedAgain(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	v, err := tr.CheckOrder(s.signed(link.OrderRelease, newOrder(t, link.OrderRelease, nil)), here())
	if err != nil {
		t.Fatal(err)
	}
	env := s.next().signRoot(s.quorum()...)
	next, err := tr.Update(env, s.logged(env))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.StillHolds(next, here()); core.KindOf(err) != core.KindConflict {
		t.Errorf("under another root: %v", err)
	}
	for name, change := range map[string]func(*link.Context){
		"epoch":  func(c *link.Context) { c.Epoch = other },
		"latch":  func(c *link.Context) { c.Latches = nil },
		"device": func(c *link.Context) { c.Device = core.MustID[core.DeviceID]("x") },
		"review": func(c *link.Context) { c.Now.Upper = issued.AddDate(2, 0, 0) },
	} {
		at := here()
		change(&at)
		if err := v.StillHolds(tr, at); err == nil {
			t.Errorf("%s changed and it still holds", name)
		}
	}
	if err := v.StillHolds(tr, here()); err != nil {
		t.Error(err)
	}
	if v, err = tr.CheckOrder(s.signed(link.OrderDisarm, newOrder(t, link.OrderDisarm, nil)), here()); err != nil {
		t.Fatal(err)
	}
	at := here()
	at.LastCounter = 42 // its own counter, taken when it began to wait
	if err := v.StillHolds(tr, at); err != nil {
		t.Error(err)
	}
	at.Epoch = other
	if err := v.StillHolds(tr, at); core.KindOf(err) != core.KindReplayed {
		t.Errorf("in another epoch: %v", err)
	}
}

func TestApproveChecksBeforeItSigns(t *testing.T) {
	s := quorumSite(t)
	s.role(link.RolePolicy).Members = s.role(link.RolePolicy).Members[1:]
	tr := s.trust()
	o := newOrder(t, link.OrderRelease, nil)
	o.Requester = "person/cora"
	payload := encodeOrder(t, o)
	env := &link.Envelope{Payload: payload}
	for i, name := range []string{"anna", "ben"} {
		sig, err := tr.Approve(payload, s.key(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Add(sig); err != nil {
			t.Fatal(err)
		}
		if y, err := tr.Approvals(env); err != nil || len(y.Persons) != i+1 || y.Complete() != (i == 1) {
			t.Errorf("%s, %v", y, err)
		}
	}
	if _, err := tr.CheckOrder(env, here()); err != nil {
		t.Error(err)
	}
	policy := encodeOrder(t, newOrder(t, link.OrderPolicy, nil))
	old := newOrder(t, link.OrderRelease, nil)
	old.RootVersion = 2
	elsewhere := newOrder(t, link.OrderRelease, nil)
	elsewhere.Tenant = core.MustID[core.TenantID]("globex")
	for _, row := range []struct {
		name    string
		payload []byte
		key     string
	}{
		{"requester", payload, "cora"},
		{"stranger", payload, "mallory"},
		{"server", payload, "command"},
		{"not of the role", policy, "anna"},
		{"another root version", encodeOrder(t, old), "anna"},
		{"another tenant", encodeOrder(t, elsewhere), "anna"},
		{"no order", []byte(`{"challenge":"sign in"}`), "anna"},
	} {
		if _, err := tr.Approve(row.payload, s.key(row.key)); err == nil {
			t.Errorf("%s: signed", row.name)
		}
	}
	stop := &link.Envelope{Payload: encodeOrder(t, newOrder(t, link.OrderStop, nil))}
	if _, err := tr.Approvals(stop); core.KindOf(err) != core.KindInvalid {
		t.Errorf("approvals of a stop: %v", err)
	}
	if _, err := tr.Approve(payload, s.key("mallory")); err == nil || !strings.Contains(err.Error(), "is no person's") {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := tr.Approve(policy, s.key("anna/recovery")); err != nil {
		t.Errorf("a root key beside the role: %v", err)
	}
	if _, err := tr.Approve(encodeOrder(t, newOrder(t, link.OrderStop, nil)), s.key("cora")); err != nil {
		t.Errorf("a stop: %v", err)
	}
}
