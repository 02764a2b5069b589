package fleet_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

var hmi = core.MustID[core.ServiceID]("hmi")

// program is a program on a device: a key of its own and, once it asked, a
// certificate.
type program struct {
	on    *agent
	name  core.ServiceID
	key   *ecdsa.PrivateKey
	chain []byte
}

func (a *agent) program(name core.ServiceID) *program {
	a.r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.r.must(err)
	return &program{on: a, name: name, key: key}
}

func (p *program) csr() string {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"evil.example"}}, p.key)
	p.on.r.must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// ask asks for a certificate by the management identity of the device.
func (p *program) ask() error {
	p.on.r.t.Helper()
	body, err := link.Encode(fleet.WorkloadRequest{V: 1, Name: p.name, CSR: p.csr()})
	p.on.r.must(err)
	out, err := p.on.do("POST", "/agent/v1/workloads", body)
	if err != nil {
		return err
	}
	var answer fleet.WorkloadAnswer
	p.on.r.must(link.DecodeStrict(out, &answer))
	p.chain = []byte(answer.Certificate)
	return nil
}

// workloadFacts returns the outcomes that the log has of workload certificates.
func (r *rig) workloadFacts() (outcomes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.facts {
		if e.Action == policy.IdentityWorkload {
			outcomes = append(outcomes, e.Outcome)
		}
	}
	return outcomes
}

func TestAProgramGetsACertificateForADay(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		p := a.program(hmi)
		before := r.log.Size()
		r.must(p.ask())
		certs, err := verify.ParseChain(p.chain)
		r.must(err)
		peer, err := verify.Chain(certs, verify.Want{Pins: r.ca.Pins(), Profile: verify.ProfileWorkload, Validity: verify.At(r.clock.Now()), Tenant: tenant})
		r.must(err)
		if got := peer.Identity.String(); got != "interlock://acme/workload/press-7/hmi" || len(certs[0].DNSNames) != 0 {
			t.Errorf("names %q %q: they must come from the authorisation alone", got, certs[0].DNSNames)
		}
		if left := certs[0].NotAfter.Sub(r.clock.Now()); left > 24*time.Hour || !p.key.PublicKey.Equal(certs[0].PublicKey) {
			t.Errorf("valid for %s more, key is its own: %v", left, p.key.PublicKey.Equal(certs[0].PublicKey))
		}
		if r.log.Size() != before+1 || !slices.Equal(r.workloadFacts(), []string{"issued"}) {
			t.Errorf("%d intents, facts %v", r.log.Size()-before, r.workloadFacts())
		}
		i := slices.IndexFunc(r.facts, func(e audit.Entry) bool { return e.Action == policy.IdentityWorkload })
		if e := r.facts[i]; e.Intent == nil || e.Intent.Index != uint64(before) || e.Object != "device/press-7" {
			t.Errorf("fact %+v", e)
		}

		// It is no management identity: nothing here takes it.
		body, _ := a.seal(a.batch())
		thief := &agent{r: r, url: a.url, id: a.id, key: p.key, chain: p.chain}
		_, err = thief.do("POST", "/agent/v1/batches", body)
		if err == nil {
			t.Error("a program's certificate handed in a batch")
		}
		a.receipt(body)
	})
}

// TestTamperTakesTheWorkloadAndNotTheReport is F09 on the server's side.
func TestTamperTakesTheWorkloadAndNotTheReport(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		p := a.program(hmi)
		r.must(p.ask())
		_, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.must(err)
		r.want(p.ask(), core.KindConflict, "press-7", "quarantine")
		r.want(p.ask(), core.KindConflict) // counted, not recorded again
		a.send()                           // it reports on

		o, err := r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
		o, err = r.approve(o, "ben")
		r.must(err)
		r.want(p.ask(), core.KindConflict)
		_, err = r.approve(o, "cleo")
		r.must(err)
		r.want(p.ask(), core.KindConflict) // signed, and not yet carried out
		for _, o := range a.orders(0, 2) {
			r.must(a.result(o, link.OutcomeDone))
		}
		r.must(p.ask())
		if got := r.workloadFacts(); !slices.Equal(got, []string{"issued", "refused", "issued"}) {
			t.Errorf("facts %v", got)
		}
		r.catchUp(0)
		if n := len(r.raw.events(t, "device_refused")); n != 0 {
			t.Errorf("%d alarms about a device that asked while it was in quarantine", n)
		}
	})
}

// TestADeviceDoesNotFreeItself: what a device says takes trust away at once and
// never gives it back. Somebody who has the device has its voice too.
func TestADeviceDoesNotFreeItself(t *testing.T) {
	latched := link.DeviceEvent{Type: "case_intrusion", Sensor: "lid", State: core.SensorAlarm, Latch: latch}
	for name, contain := range map[string]func(*agent){
		"its own reflex":      func(a *agent) { a.send(latched, link.DeviceEvent{Type: "quarantine_on"}) },
		"an order":            func(a *agent) { a.send(latched); a.r.catchUp(0); a.quarantined() },
		"a state rolled back": func(a *agent) { a.send(); a.send(); a.counter = 0; a.send() },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := r.enrolled(r.serve(), "press-7")
				p := a.program(hmi)
				contain(a)
				r.catchUp(0)
				r.want(p.ask(), core.KindConflict, "quarantine")

				a.counter += 10 // whoever has the device can say any number
				seen := len(r.raw.since(0))
				a.send(link.DeviceEvent{Type: "latch_released", Fields: []byte(`{"released":"` + latch + `"}`)}, link.DeviceEvent{Type: "quarantine_off"})
				r.catchUp(seen)
				r.want(p.ask(), core.KindConflict, "quarantine")
				if n := len(r.raw.events(t, fleet.AlarmFreed)); n != 1 {
					t.Errorf("%d alarms about a device that says it is free without the word of persons", n)
				}
			})
		})
	}
}

// quarantined orders a quarantine.
func (a *agent) quarantined() {
	a.r.t.Helper()
	_, err := a.r.order(auto, policy.DeviceQuarantine, quarantine(a.id.String()))
	a.r.must(err)
}

// TestADeviceThatPersonsReleasedSaysSo: the event may come before the answer to
// the order.
func TestADeviceThatPersonsReleasedSaysSo(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		p := a.program(hmi)
		a.quarantined()
		o, err := r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
		for _, person := range []string{"ben", "cleo"} {
			o, err = r.approve(o, person)
			r.must(err)
		}
		seen := len(r.raw.since(0))
		a.send(link.DeviceEvent{Type: "latch_released", Fields: []byte(`{"released":"` + latch + `"}`)}, link.DeviceEvent{Type: "quarantine_off"})
		r.catchUp(seen)
		r.must(p.ask())
		if n := len(r.raw.events(t, fleet.AlarmFreed)); n != 0 {
			t.Errorf("%d alarms about a release that persons signed", n)
		}

		// The next containment needs the next release.
		r.clock.Advance(time.Minute)
		a.quarantined()
		seen = len(r.raw.since(0))
		a.send(link.DeviceEvent{Type: "quarantine_off"})
		r.catchUp(seen)
		r.want(p.ask(), core.KindConflict, "quarantine")
	})
}

// TestACertificateMadeWhileTheDeviceIsContainedIsWithheld contains the device
// between the permit and the answer.
func TestACertificateMadeWhileTheDeviceIsContainedIsWithheld(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		p := a.program(hmi)
		r.keys.during = func() {
			_, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
			if err != nil {
				t.Error(err)
			}
		}
		r.want(p.ask(), core.KindConflict, "quarantine")
		if got := r.workloadFacts(); !slices.Equal(got, []string{"withheld", "refused"}) {
			t.Errorf("facts %v", got)
		}
	})
}

func TestSuspendedAndRetiredDevicesGetNoWorkload(t *testing.T) {
	for _, state := range []fleet.Identity{fleet.IdentitySuspended, fleet.IdentityRetired} {
		each(t, func(t *testing.T, r *rig) {
			a := r.enrolled(r.serve(), "press-7")
			r.must(r.db.Tx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE fleet_devices SET identity = $1 WHERE tenant = $2 AND id = $3`, string(state), tenant, a.id)
				return err
			}))
			r.want(a.program(hmi).ask(), core.KindDenied, "press-7", string(state))
			if got := r.workloadFacts(); !slices.Equal(got, []string{"refused"}) {
				t.Errorf("facts %v", got)
			}
		})
	}
}

func TestWorkloadRequestsThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		p := a.program(hmi)
		body := func(name, csr string) string {
			b, err := link.Encode(map[string]any{"v": 1, "name": name, "csr": csr})
			r.must(err)
			return string(b)
		}
		for name, row := range map[string]struct {
			body string
			kind core.Kind
			word string
		}{
			"not JSON":           {"{", core.KindInvalid, "at byte"},
			"unknown key":        {strings.Replace(body("hmi", p.csr()), `"v":1`, `"v":1,"device":"press-8"`, 1), core.KindInvalid, "device"},
			"case":               {strings.Replace(body("hmi", p.csr()), `"name"`, `"Name"`, 1), core.KindInvalid, "Name"},
			"other version":      {strings.Replace(body("hmi", p.csr()), `"v":1`, `"v":2`, 1), core.KindInvalid, "version 2"},
			"no name":            {body("", p.csr()), core.KindInvalid, "name"},
			"a path":             {body("../press-8/hmi", p.csr()), core.KindInvalid, "../press-8/hmi"},
			"no request":         {body("hmi", "x"), core.KindInvalid, "certificate request"},
			"the management key": {body("hmi", a.csr()), core.KindDenied, "management key"},
			"oversized":          {body("hmi", strings.Repeat("x", 20<<10)), core.KindTooLarge, "16384"},
		} {
			_, err := a.do("POST", "/agent/v1/workloads", []byte(row.body))
			if core.KindOf(err) != row.kind || err == nil || !strings.Contains(err.Error(), row.word) {
				t.Errorf("%s: %v, want kind %v naming %q", name, err, row.kind, row.word)
			}
		}
		stranger := &agent{r: r, url: a.url, id: a.id, key: a.key}
		_, err := stranger.do("POST", "/agent/v1/workloads", []byte(body("hmi", p.csr())))
		r.want(err, core.KindUnauthenticated)
		r.keys.down(errDown)
		r.want(p.ask(), core.KindUnavailable)
		r.keys.down(nil)
		r.must(p.ask())
	})
}
