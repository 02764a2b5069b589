package attack

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/test/rig"
)

// assault is the captured server at work on one device.
type assault struct {
	t       *testing.T
	s       *site
	m       *machine
	l       *loot
	p       *impostor
	sk      *skKey                 // cara's security key
	extra   map[string]link.Signer // anna's second everyday and recovery keys
	device  link.Signer            // the device's own key
	root    *link.Root             // version 2, in force
	roots   [][]byte               // envelopes of versions 1 and 2
	old     *link.Envelope         // a release that was carried out once
	waiting *link.Envelope         // a release of the latch that holds now, signed by bert alone
	counter uint64
	probes  int
	whys    []string             // for which trust roots were refused
	refused map[core.UUID]string // orders that the device refused, and what they were
	before  posture
}

// posture is how protected the device is: by its own word on its local socket,
// and by what stands on its disk and at its output.
type posture struct {
	Contained, Stopped, Fenced bool
	Arming                     core.Arming
	RootVersion, Policy        uint64
	RootHash, Relay            string
	Servers                    []string
	Latches                    []string
	Waiting                    int
	Sensors                    string
}

func (a *assault) posture() posture {
	a.t.Helper()
	st := a.m.status()
	p := posture{
		Contained: st.Contained, Stopped: st.Stopped, Fenced: a.m.fenced(), Arming: st.Arming, RootVersion: st.RootVersion, Policy: st.Policy,
		RootHash: st.RootHash, Relay: a.m.relay(), Servers: st.Servers, Waiting: len(st.Waiting),
	}
	for _, l := range st.Latches {
		p.Latches = append(p.Latches, l.ID)
	}
	slices.Sort(p.Latches)
	for _, x := range st.Sensors {
		p.Sensors += fmt.Sprintf("%s %s; ", x.ID, x.State)
	}
	return p
}

// holds checks that nothing about the device's protection has moved.
func (a *assault) holds(after string) {
	a.t.Helper()
	if now := a.posture(); fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", a.before) {
		a.t.Errorf("after %s the device stands otherwise:\nbefore %+v\nafter  %+v", after, a.before, now)
	}
}

// TestCapturedServer: somebody holds every file of the server and of its keys
// process, speaks to the real agent with a good certificate at the server's
// address, and gets nothing that leads away from safety. What real persons
// signed passes through the same hands.
func TestCapturedServer(t *testing.T) {
	t.Parallel()
	a := prepare(t)
	for _, wave := range []struct {
		name string
		run  func(*assault)
	}{
		{"every order under every stolen key", (*assault).everyOrder},
		{"approvals made of other signatures", (*assault).otherSignatures},
		{"approvals that do not reach the threshold", (*assault).tooFew},
		{"orders for other places and times", (*assault).elsewhere},
		{"what was approved once", (*assault).replays},
		{"changed forms of an approved order", (*assault).forms},
		{"trust roots", (*assault).trustRoots},
	} {
		wave.run(a)
		a.holds(wave.name)
		if t.Failed() {
			t.FailNow()
		}
	}
	a.stillSenses()
	a.approvedPasses()
	a.towardsSafety()
	a.wonBack()
}

// prepare brings an installation with three persons and one device to the moment
// of the capture: root 2 in force, one release behind it, the device contained
// by a new latch and stopped, a release waiting with one approval.
func prepare(t *testing.T) *assault {
	t.Helper()
	a := &assault{t: t, s: newSite(t, people), sk: newSKKey(t, "ssh:"), extra: map[string]link.Signer{}, refused: map[core.UUID]string{}}
	a.publishSecondRoot()
	a.m = a.s.enrol(press)
	a.m.awaitStatus("trust root 2", func(st agent.Status) bool { return st.RootVersion == 2 })

	a.m.sense("lid", true)
	a.s.order(press, "the playbook's quarantine", func(o api.Order) bool { return o.Type == string(link.OrderQuarantine) && o.State == "done" })
	a.m.sense("lid", false)
	a.m.awaitStatus("the lid closed", func(st agent.Status) bool { return len(st.Sensors[0].Active) == 0 })
	first := a.askRelease()
	a.s.approve(first.ID, "bert")
	a.s.approve(first.ID, "cara")
	a.m.awaitStatus("released", func(st agent.Status) bool { return !st.Contained && len(st.Latches) == 0 })

	a.m.sense("lid", true)
	a.m.awaitStatus("latched again", func(st agent.Status) bool { return st.Contained && len(st.Latches) == 1 })
	second := a.askRelease()
	a.s.approve(second.ID, "bert")
	if _, err := a.s.server.Stops.Trip(a.s.owner(), stop.Scope{Kind: stop.ScopeDevice, Site: hall, Device: press}, "somebody is in it"); err != nil {
		t.Fatal(err)
	}
	a.m.awaitStatus("stopped and contained", func(st agent.Status) bool { return st.Stopped && st.Contained })

	a.s.stop()
	a.l = a.s.capture()
	a.old, a.waiting = a.l.orderFromTable(first.ID), a.l.orderFromTable(second.ID)
	if len(a.old.Signatures) != 2 || len(a.waiting.Signatures) != 1 {
		t.Fatalf("the stolen database has %d and %d signatures", len(a.old.Signatures), len(a.waiting.Signatures))
	}
	a.device = a.deviceKey()
	a.p = a.l.impersonate()
	a.counter, a.before = uint64(time.Now().UnixMicro()), a.posture()
	if !a.before.Contained || !a.before.Fenced || !a.before.Stopped || a.before.Relay != "safe" || a.before.Arming != core.Armed {
		t.Fatalf("the device is not as it should be at the capture: %+v", a.before)
	}
	return a
}

// askRelease asks, as anna, for the release of everything that holds the device,
// once the registry knows all of it.
func (a *assault) askRelease() api.Order {
	a.t.Helper()
	a.s.known(a.m)
	var o api.Order
	if err := a.s.api.Post(a.t.Context(), "/v1/devices/press-7/release", api.ActRequest{Reason: "inspected"}, &o); err != nil {
		a.t.Fatal(err)
	}
	return o
}

// deviceKey takes the device's management key from its disk.
func (a *assault) deviceKey() link.Signer {
	a.t.Helper()
	ring, err := crypt.OpenHost(a.m.cfg.DataDir)
	if err != nil {
		a.t.Fatal(err)
	}
	key, err := keystore.OpenKey(a.m.cfg.DataDir, ring)
	if err != nil {
		a.t.Fatal(err)
	}
	s, err := link.NewCryptoSigner(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

// params are what an attacker would like each order to say.
func params(typ link.OrderType) string {
	hour := time.Now().Add(time.Hour).UnixMicro()
	switch typ {
	case link.OrderDisarm:
		return fmt.Sprintf(`{"arming":"disarmed","until":%d}`, hour)
	case link.OrderBypass:
		return fmt.Sprintf(`{"sensor":"case","until":%d}`, hour)
	case link.OrderBaseline:
		return `{"sensor":"case","sha256":"` + strings.Repeat("0c", 32) + `"}`
	case link.OrderPolicy:
		return `{"version":2,"sha256":"` + strings.Repeat("0c", 32) + `"}`
	case link.OrderUpdate:
		return `{"version":"1.2.3","sha256":"` + strings.Repeat("0c", 32) + `","size":1}`
	case link.OrderServerAddress:
		return `{"servers":["127.0.0.1:1"]}`
	}
	return `{}`
}

// order makes the bytes of an order that is right in everything but who signed.
func (a *assault) order(typ link.OrderType, change ...func(*link.Order)) []byte {
	a.t.Helper()
	now, st := time.Now(), a.m.status()
	a.counter++
	o := &link.Order{
		V: 1, Type: typ, ID: core.NewUUID(now), Tenant: tenant, Site: hall, Device: press, Requester: "person/bert", Reason: "all is well",
		RootVersion: a.root.Version, Epoch: st.Epoch, Counter: a.counter, Latches: []string{}, Params: json.RawMessage(params(typ)),
		Issued: now.UnixMicro(), Expires: now.Add(time.Hour).UnixMicro(),
	}
	if typ == link.OrderRelease {
		o.Counter = 0
		for _, l := range st.Latches {
			o.Latches = append(o.Latches, l.ID)
		}
	}
	for _, fn := range change {
		fn(o)
	}
	b, err := link.EncodeOrder(o)
	if err != nil {
		a.t.Fatalf("order %s: %v", typ, err)
	}
	return b
}

// refuse sends an order that the device must refuse for the stated reason. Each
// type of order is refused at most ten times here: the device tells no more of
// them one by one within a minute.
func (a *assault) refuse(what, why string, payload []byte, sigs ...link.Signature) {
	a.t.Helper()
	id := idOf(a.t, payload)
	res := a.p.send(id, seal(a.t, payload, sigs...))
	if res.Outcome != link.OutcomeRefused || !strings.Contains(res.Detail, why) {
		a.t.Errorf("%s: the device answers %s, %q; want it refused for %q", what, res.Outcome, res.Detail, why)
	}
	a.refused[id] = what
}

// away lists the order types that lead away from safety, by the table.
func away() []link.OrderType {
	return slices.DeleteFunc(slices.Clone(link.AllOrderTypes), func(typ link.OrderType) bool {
		row, _ := link.DirectionOf(typ)
		return !row.Direction.Away()
	})
}

// everyOrder sends every order away from safety under every key that the disk
// held, and under the device's own and nobody's.
func (a *assault) everyOrder() {
	a.t.Helper()
	keys := []struct {
		name string
		key  link.Signer
	}{{"command key", a.l.command}, {"stop key", a.l.stop}, {"CA key", a.l.ca}, {"log key", a.l.logKey}, {"device's own key", a.device}}
	for _, typ := range away() {
		row, _ := link.DirectionOf(typ)
		short := fmt.Sprintf("role %s needs 2 person(s), has 0", row.Role)
		for _, k := range keys {
			payload := a.order(typ)
			a.refuse(fmt.Sprintf("%s by the %s", typ, k.name), short, payload, signAs(a.t, k.key, link.NamespaceOrder, payload))
		}
		a.refuse(string(typ)+" by nobody", short, a.order(typ))
		payload := a.order(typ)
		var all []link.Signature
		for _, k := range keys {
			all = append(all, signAs(a.t, k.key, link.NamespaceApproval, payload))
		}
		a.refuse(string(typ)+" approved by every stolen key", short, payload, all...)
	}
}

// otherSignatures puts what real approvers signed for another purpose where
// approvals belong.
func (a *assault) otherSignatures() {
	a.t.Helper()
	anna, cara := a.s.signer("keys/anna"), a.s.signer("keys/cara")
	both := func(typ link.OrderType, namespace, claimed string) {
		payload := a.order(typ)
		var sigs []link.Signature
		for _, k := range []link.Signer{anna, cara} {
			inner, err := k.SignSSH(sshsigData(namespace, payload))
			if err != nil {
				a.t.Fatal(err)
			}
			sigs = append(sigs, sshsigBlob(k.PublicKey(), claimed, inner))
		}
		a.refuse(fmt.Sprintf("signed in %s, said to be %s", namespace, claimed), "has 0", payload, sigs...)
	}
	both(link.OrderReset, link.NamespaceOrder, link.NamespaceOrder)
	both(link.OrderReset, link.NamespaceRoot, link.NamespaceApproval)
	both(link.OrderReset, link.NamespaceBatch, link.NamespaceBatch)
	both(link.OrderDisarm, "interlock-login@v1", "interlock-login@v1")
	both(link.OrderDisarm, "interlock-login@v1", link.NamespaceApproval)
	both(link.OrderDisarm, "interlock-approval@v2", link.NamespaceApproval)

	payload := a.order(link.OrderBypass)
	a.refuse("two logins whose challenge is the order's digest", "has 0", payload, login(a.t, anna, payload), login(a.t, cara, payload))
	payload = a.order(link.OrderBypass)
	a.refuse("a login with a security key", "has 1", payload,
		signAs(a.t, anna, link.NamespaceApproval, payload), a.sk.login("console.example", a.sk.pub.Type(), payload))
	payload = a.order(link.OrderBypass)
	a.refuse("a login at a site that calls itself ssh:", "has 1", payload,
		signAs(a.t, anna, link.NamespaceApproval, payload), a.sk.login("ssh:", a.sk.pub.Type(), payload))

	untouched := *a.sk
	untouched.flags = 0
	payload = a.order(link.OrderBaseline)
	a.refuse("a security key that nobody touched", "has 1", payload,
		signAs(a.t, anna, link.NamespaceApproval, payload), signAs(a.t, &untouched, link.NamespaceApproval, payload))
}

// tooFew sends what fewer persons signed than the role wants.
func (a *assault) tooFew() {
	a.t.Helper()
	approve := func(payload []byte, keys ...link.Signer) []link.Signature {
		var sigs []link.Signature
		for _, k := range keys {
			sigs = append(sigs, signAs(a.t, k, link.NamespaceApproval, payload))
		}
		return sigs
	}
	anna, bert, cara := a.s.signer("keys/anna"), a.s.signer("keys/bert"), a.s.signer("keys/cara")
	payload := a.order(link.OrderPolicy)
	a.refuse("two keys of one person", "has 1", payload, approve(payload, anna, a.extra["everyday"])...)
	payload = a.order(link.OrderPolicy)
	a.refuse("the requester approves the own order", "has 1", payload, approve(payload, anna, bert)...)
	payload = a.order(link.OrderPolicy)
	a.refuse("recovery keys approve", "has 0", payload, approve(payload, a.s.signer("recovery/recovery-1"), a.s.signer("recovery/recovery-3"))...)
	payload = a.order(link.OrderServerAddress)
	a.refuse("everyday keys move the server", "role root needs 2 person(s)", payload, approve(payload, anna, cara)...)
	stolen := append(approve(a.waiting.Payload), a.waiting.Signatures...)
	a.refuse("the waiting release with its one approval and the command key", "has 1", a.waiting.Payload,
		append(stolen, signAs(a.t, a.l.command, link.NamespaceOrder, a.waiting.Payload), signAs(a.t, a.l.stop, link.NamespaceApproval, a.waiting.Payload))...)
}

// elsewhere sends orders that two persons really approved, for another device,
// tenant, site, root, epoch, counter or time.
func (a *assault) elsewhere() {
	a.t.Helper()
	for _, row := range []struct {
		name, why string
		typ       link.OrderType
		change    func(*link.Order)
	}{
		{"another device", "this is", link.OrderUpdate, func(o *link.Order) { o.Device = core.MustID[core.DeviceID]("press-8") }},
		{"another site", "this device is at", link.OrderServerAddress, func(o *link.Order) { o.Site = core.MustID[core.SiteID]("hall-b") }},
		{"another tenant", "this device is of", link.OrderServerAddress, func(o *link.Order) { o.Tenant = core.MustID[core.TenantID]("other") }},
		{"the trust root before", "trust root 1", link.OrderUpdate, func(o *link.Order) { o.RootVersion = 1 }},
		{"the trust root to come", "trust root 3", link.OrderBaseline, func(o *link.Order) { o.RootVersion = 3 }},
		{"an epoch that is over", "epoch", link.OrderZeroize, func(o *link.Order) { o.Epoch = strings.Repeat("0a", 16) }},
		{"a counter that was used", "not above", link.OrderZeroize, func(o *link.Order) { o.Counter = 1 }},
		{"yesterday", "expires at", link.OrderRetire, func(o *link.Order) {
			o.Issued, o.Expires = time.Now().Add(-25*time.Hour).UnixMicro(), time.Now().Add(-time.Hour).UnixMicro()
		}},
		{"tomorrow", "still to come", link.OrderRetire, func(o *link.Order) {
			o.Issued, o.Expires = time.Now().Add(24*time.Hour).UnixMicro(), time.Now().Add(25*time.Hour).UnixMicro()
		}},
		{"a latch that is not latched", "not latched here", link.OrderRelease, func(o *link.Order) { o.Latches[0] = strings.Repeat("0b", 16) }},
	} {
		payload := a.order(row.typ, row.change)
		a.refuse("an approved "+string(row.typ)+" for "+row.name, row.why, payload, a.approvals(payload)...)
	}
}

// approvals are those of two persons who did not ask.
func (a *assault) approvals(payload []byte) []link.Signature {
	a.t.Helper()
	return []link.Signature{signAs(a.t, a.s.signer("keys/anna"), link.NamespaceApproval, payload), signAs(a.t, a.sk, link.NamespaceApproval, payload)}
}

// replays sends the release that opened the latch before this one.
func (a *assault) replays() {
	a.t.Helper()
	id := idOf(a.t, a.old.Payload)
	res := a.p.send(id, seal(a.t, a.old.Payload, a.old.Signatures...))
	if res.Outcome == link.OutcomeRefused {
		a.t.Logf("the old release again: %s", res.Detail)
	} else if len(a.p.answers(id)) != 1 || res.Outcome != link.OutcomeDone {
		a.t.Errorf("the old release again: %s, %s", res.Outcome, res.Detail)
	}
	a.holds("the old release, said again") // the first answer stands, and does nothing

	body, err := link.DecodeOrder(a.old.Payload)
	if err != nil {
		a.t.Fatal(err)
	}
	other := a.order(link.OrderRelease, func(o *link.Order) { o.ID = body.ID })
	res = a.p.send(body.ID, seal(a.t, other, a.approvals(other)...))
	if res.Outcome != link.OutcomeRefused || !strings.Contains(res.Detail, "had this id") {
		a.t.Errorf("another order under an answered id: %s, %s", res.Outcome, res.Detail)
	}
	a.refused[body.ID] = "another order under an answered id"
}

// forms sends changed bytes of an order that two persons really approved.
func (a *assault) forms() {
	a.t.Helper()
	payload := a.order(link.OrderReset, func(o *link.Order) { o.Reason = "inspected" })
	sigs := a.approvals(payload)
	replace := func(from, to string) []byte {
		b := []byte(strings.Replace(string(payload), from, to, 1))
		if string(b) == string(payload) {
			a.t.Fatalf("%q is not in the order", from)
		}
		return b
	}
	// What still reads as this order is refused for its signatures.
	for name, b := range map[string][]byte{"one blank inside": replace(`{"v":1,`, `{"v":1, `), "one newline behind": append(slices.Clone(payload), '\n')} {
		a.silently(name, seal(a.t, b, sigs...))
	}
	// What does not is refused before anybody asks who signed.
	for name, b := range map[string][]byte{
		"a key twice":             replace(`"reason":`, `"reason":"x","reason":`),
		"a key in capitals":       replace(`"type":`, `"TYPE":"stop","type":`),
		"a key in capitals alone": replace(`"type":`, `"Type":`),
		"an unknown key":          replace(`"type":`, `"note":"x","type":`),
		"null for a value":        replace(`"incident":""`, `"incident":null`),
	} {
		a.silently(name, seal(a.t, b, sigs...))
	}
	env := seal(a.t, payload, sigs...)
	other := a.order(link.OrderDisarm)
	inner := string(seal(a.t, other, sigs...)) // the payload of another order, these signatures
	_, rest, _ := strings.Cut(inner, `"payload":`)
	text, _, _ := strings.Cut(rest, `,"signatures"`)
	a.silently("two payloads in one envelope", []byte(strings.Replace(string(env), `{"payload":`, `{"payload":`+text+`,"payload":`, 1)))
	a.silently("a payload in capitals", []byte(strings.Replace(string(env), `{"payload":`, `{"PAYLOAD":`+text+`,"payload":`, 1)))
	a.silently("one approval twice", seal(a.t, payload, sigs[0], sigs[0]))
	a.probe()
}

// silently sends what has no answer, because nobody can say which order it was,
// or whose answer is another order's business.
func (a *assault) silently(what string, envelope []byte) {
	a.t.Helper()
	a.p.sayOrder(0, envelope)
	a.holds(what)
}

// probe waits until the device has worked off everything that was said before.
func (a *assault) probe() {
	a.t.Helper()
	typ := []link.OrderType{link.OrderArm, link.OrderQuarantine}[a.probes%2]
	a.probes++
	a.refuse("an unsigned order", "has 0", a.order(typ))
}

// stillSenses opens another point: if the device had been disarmed, bypassed or
// blinded it would say nothing.
func (a *assault) stillSenses() {
	a.t.Helper()
	a.m.sense("panel", true)
	a.m.awaitStatus("a latch of the second point", func(st agent.Status) bool {
		return slices.ContainsFunc(st.Sensors[0].Active, func(p string) bool { return p == "panel" }) && len(st.Latches) == len(a.before.Latches)+1
	})
	a.m.sense("panel", false)
	a.m.sense("lid", false)
	a.m.awaitStatus("both closed", func(st agent.Status) bool { return len(st.Sensors[0].Active) == 0 })
}

// approvedPasses is the other half: the relay is not trusted, so what persons
// signed passes through it.
func (a *assault) approvedPasses() {
	a.t.Helper()
	release := a.order(link.OrderRelease)
	if res := a.p.send(idOf(a.t, release), seal(a.t, release, a.approvals(release)...)); res.Outcome != link.OutcomeDone {
		a.t.Fatalf("an approved release through the captured server: %s, %s", res.Outcome, res.Detail)
	}
	reset := a.order(link.OrderReset)
	if res := a.p.send(idOf(a.t, reset), seal(a.t, reset, a.approvals(reset)...)); res.Outcome != link.OutcomeDone {
		a.t.Fatalf("an approved reset through the captured server: %s, %s", res.Outcome, res.Detail)
	}
	now := a.posture()
	if now.Contained || now.Fenced || now.Stopped || now.Relay != "allowed" || len(now.Latches) != 0 {
		a.t.Errorf("after an approved release and reset: %+v", now)
	}
	baseline := a.order(link.OrderBaseline)
	if res := a.p.send(idOf(a.t, baseline), seal(a.t, baseline, a.approvals(baseline)...)); res.Outcome != link.OutcomeFailed || !strings.Contains(res.Detail, "learns nothing") {
		a.t.Errorf("an approved baseline for a sensor that learns nothing: %s, %s", res.Outcome, res.Detail)
	}
	for _, typ := range []link.OrderType{link.OrderZeroize, link.OrderRetire, link.OrderUpdate} {
		payload := a.order(typ)
		a.refuse("an approved "+string(typ), "this build cannot", payload, a.approvals(payload)...)
	}
}

// towardsSafety: a captured server can always stop and contain (a stated
// non-goal), and no more of it than one latch's worth.
func (a *assault) towardsSafety() {
	a.t.Helper()
	halt := a.order(link.OrderStop, func(o *link.Order) { o.Counter, o.Epoch = 0, "" })
	if res := a.p.send(idOf(a.t, halt), seal(a.t, halt, signAs(a.t, a.l.stop, link.NamespaceOrder, halt))); res.Outcome != link.OutcomeDone {
		a.t.Errorf("a stop by the stop key: %s, %s", res.Outcome, res.Detail)
	}
	for range 40 {
		payload := a.order(link.OrderQuarantine)
		if res := a.p.send(idOf(a.t, payload), seal(a.t, payload, signAs(a.t, a.l.command, link.NamespaceOrder, payload))); res.Outcome != link.OutcomeDone {
			a.t.Fatalf("a quarantine by the command key: %s, %s", res.Outcome, res.Detail)
		}
	}
	now := a.posture()
	if !now.Contained || !now.Fenced || !now.Stopped || now.Relay != "safe" {
		a.t.Errorf("after a stop and a quarantine: %+v", now)
	}
	if n := len(now.Latches); n == 0 || n > 16 {
		a.t.Errorf("40 quarantines left %d latches; a server must not be able to fill the state with them", n)
	}
	// A certificate for a time to come: the device would never be able to speak
	// to its own server again.
	a.p.answerBatches(func(w http.ResponseWriter, _ *link.Envelope) { w.WriteHeader(http.StatusUnauthorized) })
	rig.Await(a.t, "the forged certificate", a.m.log.String, func() bool { return strings.Contains(a.m.log.String(), "the certificate is not renewed") })
	a.p.answerBatches(nil)
	// Its last words before it is caught: a counter and a cursor at the end of
	// their range, so that the device would never take an order of its people,
	// nor ask its own server for one, again.
	burn := a.order(link.OrderArm, func(o *link.Order) { o.Counter = math.MaxUint64 })
	a.p.sendAt(math.MaxUint64, idOf(a.t, burn), seal(a.t, burn, signAs(a.t, a.l.command, link.NamespaceOrder, burn)))
	late := a.order(link.OrderSuspend)
	a.refuse("an approved order after the counter was burnt", "not above", late, a.approvals(late)...)
}

// wonBack: the people have their server again. Every refusal is on record, and
// nothing that the captured one said has made the device deaf.
func (a *assault) wonBack() {
	a.t.Helper()
	a.p.close()
	a.s.start()
	a.s.awaitHeard(press)
	var told []core.Event
	var missing []string
	rig.Await(a.t, "the refusals on record", func() string { return fmt.Sprintf("%d of %d missing: %v", len(missing), len(a.refused), missing) }, func() bool {
		told, missing = a.s.eventsOf(press, "order_refused"), nil
		for id, what := range a.refused {
			if !slices.ContainsFunc(told, func(e core.Event) bool { return strings.Contains(string(e.Fields), id.String()) }) {
				missing = append(missing, what)
			}
		}
		return len(missing) == 0
	})
	for _, e := range told {
		if e.Provenance != core.ProvenanceDevice || e.Sequence == 0 {
			a.t.Errorf("a refusal is not a signed event of the device: %+v", e)
		}
	}
	a.rootsOnRecord()
	// The command key is known to be stolen, so the people make the next root;
	// with it the counter begins anew.
	a.publishRoot(3)
	a.m.awaitStatus("trust root 3", func(st agent.Status) bool { return st.RootVersion == 3 })
	a.obeysAgain()
}

// obeysAgain has the device stopped and released by its own people.
func (a *assault) obeysAgain() {
	a.t.Helper()
	r, err := a.s.server.Stops.Trip(a.s.owner(), stop.Scope{Kind: stop.ScopeDevice, Site: hall, Device: press}, "after all that")
	if err != nil {
		a.t.Fatal(err)
	}
	rig.Await(a.t, "the stop confirmed", func() string { return fmt.Sprint(a.s.server.Stops.Status(tenant)) }, func() bool {
		for _, st := range a.s.server.Stops.Status(tenant).Stops {
			if st.Trip == r.Trip {
				return len(st.Confirmed) == 1
			}
		}
		return false
	})
	o := a.askRelease()
	a.s.approve(o.ID, "bert")
	a.s.approve(o.ID, "cara")
	a.m.awaitStatus("released by its own people", func(st agent.Status) bool { return !st.Contained && len(st.Latches) == 0 })
	if err := a.s.api.Post(a.t.Context(), "/v1/devices/press-7/reset", api.ActRequest{Reason: "inspected"}, &o); err != nil {
		a.t.Fatal(err)
	}
	a.s.approve(o.ID, "bert")
	a.s.approve(o.ID, "cara")
	a.m.awaitStatus("reset by its own people", func(st agent.Status) bool { return !st.Stopped })
	// A stop in force is signed anew for every stream; saying it again is not
	// held against the server.
	for _, e := range a.s.eventsOf(press, "order_refused") {
		if strings.Contains(string(e.Fields), `"type":"stop"`) {
			a.t.Errorf("a stop was refused: %s", e.Fields)
		}
	}
}
