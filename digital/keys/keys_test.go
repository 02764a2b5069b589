package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
)

func TestSignedOrderVerifiesUnderTheCommandKey(t *testing.T) {
	s := newSite(t)
	r, sig, err := s.sign("press-7")
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := link.Verify(sig, link.NamespaceOrder, r.Payload)
	if err != nil || link.AuthorizedKey(key) != s.info().CommandKey {
		t.Errorf("signed by %v, %v", key, err)
	}
}

// TestDirections: of all order types keys signs those that tighten or contain.
func TestDirections(t *testing.T) {
	s := newSite(t)
	admin := core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: acme, Roles: []string{core.RoleAdministrator, core.RoleSecurityOfficer, core.RoleOperator}, Sites: sites}
	for _, typ := range link.AllOrderTypes {
		row, _ := link.DirectionOf(typ)
		want := row.Direction == link.DirectionTighten || row.Direction == link.DirectionContain
		object := "device/press-7"
		_, err := s.client.SignOrder(t.Context(), keys.SignOrder{Warrant: s.warrant(admin, keys.ActionOf(typ), object), Payload: s.payload(s.order(typ, "press-7", admin))})
		if want != (err == nil) {
			t.Errorf("%s (%s): %v", typ, row.Direction, err)
		}
		if !want {
			wantKind(t, string(typ), err, core.KindDenied)
		}
	}
}

func TestEachIntentIsGoodForOneAct(t *testing.T) {
	s := newSite(t)
	r, _, err := s.sign("press-7")
	if err != nil {
		t.Fatal(err)
	}
	r.Payload = s.payload(s.order(link.OrderQuarantine, "press-7", playbook)) // another id
	_, err = s.client.SignOrder(t.Context(), r)
	wantKind(t, "another order", err, core.KindReplayed)
	s.restart()
	_, err = s.client.SignOrder(t.Context(), r)
	wantKind(t, "another order after a restart", err, core.KindReplayed)
	r.Warrant.Proof = s.log.append([]byte("later"))
	r.Warrant.Proof = s.log.proof(0, nil)
	_, err = s.client.SignOrder(t.Context(), r)
	wantKind(t, "another order with a newer proof", err, core.KindReplayed)
	if got := s.status().OrdersHour; got != 1 {
		t.Errorf("%d orders counted, want 1", got)
	}
}

// TestTheSameOrderIsSignedAgain: serve died after keys signed and before it
// stored the signature; what it asks again is answered as before, and counted
// once. Nothing else comes out of a used intent.
func TestTheSameOrderIsSignedAgain(t *testing.T) {
	s := newSite(t)
	s.opts.Limits.Orders = 1
	s.restart()
	r, first, err := s.sign("press-7")
	if err != nil {
		t.Fatal(err)
	}
	again := func(when string) {
		t.Helper()
		sig, err := s.client.SignOrder(t.Context(), r)
		if err != nil || sig.KeyID != first.KeyID || !bytes.Equal(sig.Sig, first.Sig) {
			t.Errorf("%s: %v, %v", when, sig, err)
		}
		if got := s.status().OrdersHour; got != 1 {
			t.Errorf("%s: %d orders counted, want 1", when, got)
		}
	}
	again("at once, at the cap")
	s.restart()
	again("after a restart")
	r.Warrant.Proof = s.log.append([]byte("later"))
	r.Warrant.Proof = s.log.proof(0, nil)
	again("with a newer proof")

	blank := r
	blank.Payload = append(bytes.Clone(r.Payload), ' ')
	_, err = s.client.SignOrder(t.Context(), blank)
	wantKind(t, "one blank more", err, core.KindReplayed)
	stranger := r
	stranger.Warrant.Principal.ID = "incidents"
	_, err = s.client.SignOrder(t.Context(), stranger)
	wantKind(t, "in another's name", err, core.KindDenied)
	_, err = s.client.IssueManagement(t.Context(), keys.IssueManagement{Warrant: r.Warrant, Tenant: acme, Device: press, CSR: newCSR(t)})
	wantKind(t, "a certificate for it", err, core.KindDenied)
	s.clock.Advance(2 * time.Hour)
	_, err = s.client.SignOrder(t.Context(), r)
	wantKind(t, "after the order ran out", err, core.KindExpired)
}

func TestSignOrderRefusals(t *testing.T) {
	s := newSite(t)
	other := newLog(t, "b")
	viewer := core.Principal{Kind: core.KindPerson, ID: "vera", Tenant: acme, Roles: []string{core.RoleViewer}, Sites: sites}
	rows := []struct {
		name  string
		spoil func(r *keys.SignOrder)
		want  core.Kind
	}{
		{"no proof", func(r *keys.SignOrder) { r.Warrant.Proof = nil }, core.KindInvalid},
		{"no leaf", func(r *keys.SignOrder) { r.Warrant.Leaf = nil }, core.KindDamaged},
		{"proof of another log", func(r *keys.SignOrder) { r.Warrant.Proof = other.append(r.Warrant.Leaf) }, core.KindDamaged},
		{"leaf changed", func(r *keys.SignOrder) { r.Warrant.Leaf = append(bytes.Clone(r.Warrant.Leaf), 'x') }, core.KindDamaged},
		{"proof with a blank", func(r *keys.SignOrder) { r.Warrant.Proof = append(bytes.Clone(r.Warrant.Proof), ' ') }, core.KindInvalid},
		{"huge leaf", func(r *keys.SignOrder) { r.Warrant.Leaf = make([]byte, 65<<10) }, core.KindTooLarge},
		{"policy refuses", func(r *keys.SignOrder) { s.ask(r, viewer, "device.quarantine", "device/press-7") }, core.KindDenied},
		{"another action", func(r *keys.SignOrder) { s.ask(r, playbook, "device.suspend", "device/press-7") }, core.KindDenied},
		{"a general permit to sign", func(r *keys.SignOrder) { s.ask(r, serve, "keys.sign-order", "device/press-7") }, core.KindDenied},
		{"another device", func(r *keys.SignOrder) { s.ask(r, playbook, "device.quarantine", "device/press-8") }, core.KindDenied},
		{"another requester", func(r *keys.SignOrder) { r.Payload = s.payload(s.order(link.OrderQuarantine, "press-7", serve)) }, core.KindDenied},
		{"other parameters", func(r *keys.SignOrder) { r.Warrant.Resource.Params = keys.ParamsOf([]byte("{}")) }, core.KindDenied},
		{"another site", func(r *keys.SignOrder) { r.Warrant.Resource.Site = core.MustID[core.SiteID]("hall-2") }, core.KindDenied},
		{"another tenant's resource", func(r *keys.SignOrder) { r.Warrant.Resource.Tenant = core.MustID[core.TenantID]("evil") }, core.KindDenied},
		{"another tenant's principal", func(r *keys.SignOrder) { r.Warrant.Principal.Tenant = core.MustID[core.TenantID]("evil") }, core.KindDenied},
		{"expired order", func(r *keys.SignOrder) {
			o := s.order(link.OrderQuarantine, "press-7", playbook)
			o.Issued, o.Expires = o.Issued-7200e6, o.Issued-3600e6
			r.Payload = s.payload(o)
		}, core.KindExpired},
		{"one blank more", func(r *keys.SignOrder) { r.Payload = append(r.Payload, ' ', 'x') }, core.KindInvalid},
		{"a key twice", func(r *keys.SignOrder) {
			r.Payload = bytes.Replace(r.Payload, []byte(`{"v":1`), []byte(`{"v":1,"v":1`), 1)
		}, core.KindInvalid},
		{"no order", func(r *keys.SignOrder) { r.Payload = []byte("rm -rf /") }, core.KindInvalid},
		{"attribute of a strange type", func(r *keys.SignOrder) { r.Warrant.Resource.Attrs = map[string]any{"x": 1.5} }, core.KindInvalid},
	}
	for name, change := range map[string]map[string]any{
		"a fact":         {"type": "fact"},
		"a refusal":      {"outcome": "refused"},
		"no outcome":     {"outcome": ""},
		"action differs": {"action": "device.arm"},
		"object differs": {"object": "device/press-8"},
		"actor differs":  {"actor": "service/incidents"},
		"actor hidden":   {"actor": "service/~" + strings.Repeat("1f", 16)},
		"version 2":      {"v": 2},
		"no text":        {"actor": 7},
	} {
		rows = append(rows, struct {
			name  string
			spoil func(r *keys.SignOrder)
			want  core.Kind
		}{"leaf: " + name, func(r *keys.SignOrder) {
			h := header(playbook.String(), "device.quarantine", "device/press-7")
			for k, v := range change {
				h[k] = v
			}
			r.Warrant.Leaf = s.leaf(h)
			r.Warrant.Proof = s.log.append(r.Warrant.Leaf)
		}, 0})
	}
	for _, row := range rows {
		r := keys.SignOrder{Payload: s.payload(s.order(link.OrderQuarantine, "press-7", playbook))}
		s.ask(&r, playbook, "device.quarantine", "device/press-7")
		row.spoil(&r)
		_, err := s.client.SignOrder(t.Context(), r)
		if row.want == 0 { // a leaf that says something else, or that can't be read
			if k := core.KindOf(err); err == nil || k != core.KindDenied && k != core.KindInvalid {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		wantKind(t, row.name, err, row.want)
	}
	if _, _, err := s.sign("press-7"); err != nil {
		t.Errorf("after all that: %v", err)
	}
	if got := s.status(); got.OrdersHour != 1 {
		t.Errorf("%d orders signed, want 1", got.OrdersHour)
	}
}

func (s *site) ask(r *keys.SignOrder, who core.Principal, action core.Action, object string) {
	s.t.Helper()
	r.Warrant = s.warrant(who, action, object)
}

func (s *site) status() keys.Status {
	s.t.Helper()
	st, err := s.client.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func TestCaps(t *testing.T) {
	s := bareSite(t)
	s.opts.Limits = keys.Limits{Orders: 8, ActorDevices: 3, Devices: 5}
	s.start()
	s.ceremony()
	officer := core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: acme, Roles: []string{core.RoleSecurityOfficer, core.RoleOperator}, Sites: sites}
	contain := func(who core.Principal, device string) error {
		_, err := s.client.SignOrder(t.Context(), keys.SignOrder{Warrant: s.warrant(who, "device.quarantine", "device/"+device), Payload: s.payload(s.order(link.OrderQuarantine, device, who))})
		return err
	}
	steps := []struct {
		who    core.Principal
		device string
		good   bool
	}{
		{playbook, "a", true},
		{playbook, "b", true},
		{playbook, "c", true},
		{playbook, "d", false}, // the actor's cap
		{playbook, "a", true},  // the same device again reaches no further
		{officer, "e", true},
		{officer, "f", true},
		{officer, "g", false}, // everybody's cap
		{officer, "a", true},
	}
	for i, step := range steps {
		if err := contain(step.who, step.device); (err == nil) != step.good {
			t.Errorf("step %d: %v", i, err)
		}
		if i == 4 {
			s.restart() // killing keys does not reset the caps
		}
	}
	if _, err := s.client.SignOrder(t.Context(), keys.SignOrder{Warrant: s.warrant(officer, "device.arm", "device/a"), Payload: s.payload(s.order(link.OrderArm, "a", officer))}); err != nil {
		t.Errorf("arming is not containment: %v", err)
	}
	wantKind(t, "the ninth order", contain(officer, "a"), core.KindDenied)
	s.clock.Advance(time.Hour + time.Second)
	if err := contain(playbook, "d"); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	s := newSite(t)
	token := core.Principal{Kind: core.KindToken, ID: "t1", Tenant: acme, Sites: sites}
	device := core.Principal{Kind: core.KindDevice, ID: "press-7", Tenant: acme, Sites: sites}
	pins, err := verify.ParsePins(s.info().CAPins...)
	if err != nil || len(pins) != 2 {
		t.Fatalf("pins %v, %v", pins, err)
	}
	hmi := core.MustID[core.ServiceID]("hmi")
	key := newKey(t)
	rows := []struct {
		name  string
		issue func() ([]byte, error)
		want  verify.Want
		id    string
	}{
		{"enrolment", func() ([]byte, error) {
			return s.client.IssueManagement(t.Context(), keys.IssueManagement{Warrant: s.warrant(token, "device.enrol", "device/press-7"), Tenant: acme, Device: press, CSR: csrOf(t, key)})
		}, verify.Want{Profile: verify.ProfileManagement}, "interlock://acme/device/press-7"},
		{"renewal", func() ([]byte, error) {
			w := s.warrant(device, "identity.renew", "device/press-7")
			w.Resource.Attrs = map[string]any{"armed": true, "bytes": int64(7), "state": "online"}
			return s.client.IssueManagement(t.Context(), keys.IssueManagement{Warrant: w, Tenant: acme, Device: press, CSR: csrOf(t, key)})
		}, verify.Want{Profile: verify.ProfileManagement}, "interlock://acme/device/press-7"},
		{"workload", func() ([]byte, error) {
			return s.client.IssueWorkload(t.Context(), keys.IssueWorkload{Warrant: s.warrant(serve, "keys.issue-workload", "device/press-7"), Tenant: acme, Device: press, Workload: hmi, CSR: newCSR(t)})
		}, verify.Want{Profile: verify.ProfileWorkload}, "interlock://acme/workload/press-7/hmi"},
		{"workload that its device asks for", func() ([]byte, error) {
			return s.client.IssueWorkload(t.Context(), keys.IssueWorkload{Warrant: s.warrant(device, "identity.workload", "device/press-7"), Tenant: acme, Device: press, Workload: hmi, CSR: newCSR(t)})
		}, verify.Want{Profile: verify.ProfileWorkload}, "interlock://acme/workload/press-7/hmi"},
		{"server", func() ([]byte, error) {
			return s.client.IssueServer(t.Context(), keys.IssueServer{Warrant: s.warrant(serve, "keys.issue-server", "certificate/core.example"), Hosts: []string{"core.example", "127.0.0.1"}, CSR: newCSR(t)})
		}, verify.Want{Profile: verify.ProfileServer, Host: "127.0.0.1"}, "interlock:///device/"},
	}
	for _, r := range rows {
		chain, err := r.issue()
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		certs, err := verify.ParseChain(chain)
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		r.want.Pins, r.want.Validity = pins, verify.At(start)
		peer, err := verify.Chain(certs, r.want)
		if err != nil || peer.Identity.String() != r.id {
			t.Errorf("%s: %+v, %v", r.name, peer, err)
		}
	}
}

func TestCertificateRefusals(t *testing.T) {
	s := newSite(t)
	token := core.Principal{Kind: core.KindToken, ID: "t1", Tenant: acme, Sites: sites}
	own := core.Principal{Kind: core.KindDevice, ID: "press-7", Tenant: acme, Sites: sites}
	other := core.Principal{Kind: core.KindDevice, ID: "press-8", Tenant: acme, Sites: sites}
	evil := core.MustID[core.TenantID]("evil")
	good := func(who core.Principal, a core.Action, object string) keys.IssueManagement {
		return keys.IssueManagement{Warrant: s.warrant(who, a, object), Tenant: acme, Device: press, CSR: newCSR(t)}
	}
	rows := map[string]struct {
		r    keys.IssueManagement
		want core.Kind
	}{
		"permit for another device": {good(token, "device.enrol", "device/press-8"), core.KindDenied},
		"another device renews":     {good(other, "identity.renew", "device/press-7"), core.KindDenied},
		"action of an order":        {good(playbook, "device.quarantine", "device/press-7"), core.KindDenied},
		"workload's permit":         {good(serve, "keys.issue-workload", "device/press-7"), core.KindDenied},
		"a device's workload":       {good(own, "identity.workload", "device/press-7"), core.KindDenied},
	}
	noCSR := good(token, "device.enrol", "device/press-7")
	noCSR.CSR = []byte("x")
	rows["no request"] = struct {
		r    keys.IssueManagement
		want core.Kind
	}{noCSR, core.KindInvalid}
	foreign := good(token, "device.enrol", "device/press-7")
	foreign.Tenant = evil
	rows["another tenant"] = struct {
		r    keys.IssueManagement
		want core.Kind
	}{foreign, core.KindDenied}
	nobody := good(token, "device.enrol", "device/press-7")
	nobody.Device = core.DeviceID{}
	rows["no device"] = struct {
		r    keys.IssueManagement
		want core.Kind
	}{nobody, core.KindDenied}
	for name, row := range rows {
		_, err := s.client.IssueManagement(t.Context(), row.r)
		wantKind(t, name, err, row.want)
	}
	_, err := s.client.IssueServer(t.Context(), keys.IssueServer{Warrant: s.warrant(serve, "keys.issue-server", "certificate/core.example"), Hosts: []string{"evil.example", "core.example"}, CSR: newCSR(t)})
	wantKind(t, "server for another host", err, core.KindDenied)
	_, err = s.client.IssueServer(t.Context(), keys.IssueServer{Warrant: s.warrant(serve, "keys.issue-server", "certificate/core.example"), CSR: newCSR(t)})
	wantKind(t, "server for no host", err, core.KindInvalid)
	_, err = s.client.IssueWorkload(t.Context(), keys.IssueWorkload{Warrant: s.warrant(serve, "keys.issue-workload", "device/press-7"), Tenant: acme, Device: press, CSR: newCSR(t)})
	wantKind(t, "workload without a name", err, core.KindInvalid)
	_, err = s.client.IssueWorkload(t.Context(), keys.IssueWorkload{Warrant: s.warrant(other, "identity.workload", "device/press-7"), Tenant: acme, Device: press, Workload: core.MustID[core.ServiceID]("hmi"), CSR: newCSR(t)})
	wantKind(t, "a workload on another device", err, core.KindDenied)
	r := good(token, "device.enrol", "device/press-7")
	if _, err := s.client.IssueManagement(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err = s.client.IssueManagement(t.Context(), r)
	wantKind(t, "the same intent again", err, core.KindReplayed)
	s.restart()
	_, err = s.client.IssueManagement(t.Context(), r)
	wantKind(t, "the same intent after a restart", err, core.KindReplayed)
}

// TestRenewalIsForTheEnrolledKey: a captured serve cannot give a device's name
// to another key by calling it a renewal.
func TestRenewalIsForTheEnrolledKey(t *testing.T) {
	s := newSite(t)
	token := core.Principal{Kind: core.KindToken, ID: "t1", Tenant: acme, Sites: sites}
	device := core.Principal{Kind: core.KindDevice, ID: "press-7", Tenant: acme, Sites: sites}
	first, second := csrOf(t, newKey(t)), csrOf(t, newKey(t))
	issue := func(who core.Principal, a core.Action, csr []byte) error {
		_, err := s.client.IssueManagement(t.Context(), keys.IssueManagement{Warrant: s.warrant(who, a, "device/press-7"), Tenant: acme, Device: press, CSR: csr})
		return err
	}
	wantKind(t, "renewal before enrolment", issue(device, "identity.renew", first), core.KindDenied)
	for _, step := range []struct {
		name string
		who  core.Principal
		a    core.Action
		csr  []byte
		good bool
	}{
		{"enrolment", token, "device.enrol", first, true},
		{"renewal", device, "identity.renew", first, true},
		{"renewal by another key", device, "identity.renew", second, false},
		{"enrolment again", token, "device.enrol", second, true},
		{"renewal by the new key", device, "identity.renew", second, true},
		{"renewal by the old key", device, "identity.renew", first, false},
	} {
		if err := issue(step.who, step.a, step.csr); (err == nil) != step.good {
			t.Errorf("%s: %v", step.name, err)
		}
		s.restart()
	}
}

func TestNothingWithoutACeremony(t *testing.T) {
	s := bareSite(t)
	s.start()
	_, _, err := s.sign("press-7")
	wantKind(t, "sign", err, core.KindConflict)
	_, err = s.client.IssueServer(t.Context(), keys.IssueServer{Warrant: s.warrant(serve, "keys.issue-server", "certificate/a"), Hosts: []string{"a"}, CSR: newCSR(t)})
	wantKind(t, "issue", err, core.KindConflict)
}

func TestTrustRoots(t *testing.T) {
	s := newSite(t)
	first := s.signRoot()
	if err := s.client.AdoptRoot(t.Context(), first, nil); err != nil {
		t.Errorf("the one in force again: %v", err)
	}
	adopt := func(change func(r *link.Root)) error {
		before := s.root
		change(&s.root)
		err := s.client.AdoptRoot(t.Context(), s.signRoot(), nil)
		s.root = before
		return err
	}
	for name, change := range map[string]func(*link.Root){
		"another log key at the same version": func(r *link.Root) { r.LogKey = newLog(t, "b").vkey },
		"the next one without a proof":        func(r *link.Root) { r.Version = 2; r.LogKey = newLog(t, "b").vkey },
		"one too far":                         func(r *link.Root) { r.Version = 3 },
	} {
		if err := adopt(change); err == nil {
			t.Errorf("%s was adopted", name)
		}
	}
	s.restart()
	if got := s.info().RootHash; got == "" || s.status().RootVersion != 1 {
		t.Errorf("after a restart the root is %q", got)
	}
	if _, _, err := s.sign("press-7"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	payload, err := link.EncodeRoot(&s.root)
	if err != nil {
		t.Fatal(err)
	}
	env, err := link.SealEnvelope(link.NamespaceRoot, payload, signer(t, "anna"))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	fresh := bareSite(t)
	fresh.start()
	wantKind(t, "a first root that its people did not sign", fresh.client.AdoptRoot(t.Context(), unsigned, nil), core.KindDenied)
	wantKind(t, "the root of another installation", fresh.client.AdoptRoot(t.Context(), first, nil), core.KindConflict)
	if fresh.info().RootHash != "" {
		t.Error("a refused root was adopted")
	}
}

func TestNextTrustRootIsSignedAndLogged(t *testing.T) {
	s := newSite(t)
	s.root.Version = 2
	envelope := s.signRoot()
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	leaf := []byte(`{"v":1,"type":"authority","object":"` + link.RootObject(keys.ParamsOf(env.Payload)) + `"}`)
	if err := s.client.AdoptRoot(t.Context(), envelope, s.log.append(leaf)); err != nil {
		t.Fatal(err)
	}
	s.restart()
	if got := s.status().RootVersion; got != 2 {
		t.Errorf("root version %d after a restart, want 2", got)
	}
	s.root.Version = 1
	if err := s.client.AdoptRoot(t.Context(), s.signRoot(), nil); err == nil {
		t.Error("an older root was adopted")
	}
}

// A root that recovery keys alone signed waits out its delay, also here and over
// a restart, so that the theft of a sheet of paper can be noticed; then it is
// taken, or what the keys process believes would be the old people for ever.
func TestARecoveredTrustRootWaits(t *testing.T) {
	s := newSite(t)
	s.root.Version = 2
	payload, err := link.EncodeRoot(&s.root)
	if err != nil {
		t.Fatal(err)
	}
	env, err := link.SealEnvelope(link.NamespaceRoot, payload, signer(t, persons[0]+" recovery"), signer(t, persons[1]+" recovery"))
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	leaf := []byte(`{"v":1,"type":"authority","object":"` + link.RootObject(keys.ParamsOf(env.Payload)) + `"}`)
	proof := s.log.append(leaf)
	adopt := func() error { return s.client.AdoptRoot(t.Context(), envelope, proof) }
	wantKind(t, "at once", adopt(), core.KindConflict)
	s.clock.Advance(71 * time.Hour)
	s.restart()
	wantKind(t, "an hour early", adopt(), core.KindConflict)
	s.clock.Advance(time.Hour)
	if err := adopt(); err != nil || s.status().RootVersion != 2 {
		t.Errorf("after the delay: %v, root %d", err, s.status().RootVersion)
	}
}

func TestSealedVaultStopsCertificatesAlone(t *testing.T) {
	s := newSite(t)
	before := s.info()
	secret := func(x string) core.Secret { return core.NewSecret([]byte(x)) }
	wantKind(t, "short passphrase", s.client.SetPassphrase(t.Context(), secret("short")), core.KindInvalid)
	if err := s.client.SetPassphrase(t.Context(), secret("correct horse battery")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "vault.kek")); err == nil {
		t.Error("the key file is still there")
	}
	s.restart()
	if !s.status().Sealed {
		t.Fatal("open without a passphrase")
	}
	if after := s.info(); !slices.Equal(after.CAPins, before.CAPins) || !bytes.Equal(after.Issuers, before.Issuers) {
		t.Error("a sealed vault reports other public keys")
	}
	if _, _, err := s.sign("press-7"); err != nil {
		t.Errorf("containment waits for the seal: %v", err)
	}
	issue := func() error {
		_, err := s.client.IssueWorkload(t.Context(), keys.IssueWorkload{Warrant: s.warrant(serve, "keys.issue-workload", "device/press-7"), Tenant: acme, Device: press, Workload: core.MustID[core.ServiceID]("hmi"), CSR: newCSR(t)})
		return err
	}
	wantKind(t, "issue while sealed", issue(), core.KindUnavailable)
	wantKind(t, "set a passphrase while sealed", s.client.SetPassphrase(t.Context(), secret("another passphrase")), core.KindUnavailable)
	wantKind(t, "wrong passphrase", s.client.Unseal(t.Context(), secret("correct horse batterx")), core.KindDenied)
	for range 2 {
		if err := s.client.Unseal(t.Context(), secret("correct horse battery")); err != nil {
			t.Fatal(err)
		}
	}
	if err := issue(); err != nil {
		t.Errorf("after unsealing: %v", err)
	}
}

// TestNoPrivateKeyCrossesTheSocket looks for every private key that the
// directory holds in everything that went over the socket.
func TestNoPrivateKeyCrossesTheSocket(t *testing.T) {
	s := newSite(t)
	if _, _, err := s.sign("press-7"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.IssueWorkload(t.Context(), keys.IssueWorkload{Warrant: s.warrant(serve, "keys.issue-workload", "device/press-7"), Tenant: acme, Device: press, Workload: core.MustID[core.ServiceID]("hmi"), CSR: newCSR(t)}); err != nil {
		t.Fatal(err)
	}
	_, err := s.client.IssueWorkload(t.Context(), keys.IssueWorkload{})
	wantKind(t, "refusal", err, core.KindInvalid)
	s.status()
	s.info()
	s.stop()
	traffic := s.tap.bytes()
	if !bytes.Contains(traffic, []byte("sign_order")) {
		t.Fatal("the tap heard nothing")
	}
	for name, secret := range privateKeys(t, s.dir) {
		for _, form := range [][]byte{
			secret, []byte(hex.EncodeToString(secret)),
			[]byte(base64.StdEncoding.EncodeToString(secret))[:40], []byte(base64.RawURLEncoding.EncodeToString(secret))[:40],
		} {
			if bytes.Contains(traffic, form) {
				t.Errorf("%s crossed the socket", name)
			}
		}
	}
}

// privateKeys opens what keys sealed, as whoever has the directory can.
func privateKeys(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	host, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	vault, err := crypt.OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	open := func(ring *crypt.Keyring, path, context string) []byte {
		sealed, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := ring.Open(sealed, context)
		if err != nil {
			t.Fatal(err)
		}
		return plain
	}
	out["order key"] = open(host, "order.key", "keys/order")
	if len(out["order key"]) != ed25519.SeedSize {
		t.Fatal("the order key is not where it is looked for")
	}
	for _, name := range []string{"root", "root-next", "intermediate"} {
		der := open(vault, "ca/"+name+".key", "pki/"+name)
		if _, err := x509.ParsePKCS8PrivateKey(der); err != nil {
			t.Fatal(err)
		}
		out[name] = der[36:68] // the scalar inside PKCS#8
	}
	return out
}

func TestDirectoryIsPrivate(t *testing.T) {
	s := newSite(t)
	if _, _, err := s.sign("press-7"); err != nil {
		t.Fatal(err)
	}
	s.stop()
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == s.dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("%s has mode %s", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDamageIsNotServed(t *testing.T) {
	for _, name := range []string{"order.key", "root.sealed", "host.keyring", "ca/intermediate.key"} {
		s := newSite(t)
		s.stop()
		path := filepath.Join(s.dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		err = keys.Serve(t.Context(), nil, s.dir, s.opts)
		wantKind(t, name, err, core.KindDamaged)
	}
}
