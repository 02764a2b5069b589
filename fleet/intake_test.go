package fleet_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
)

func TestABatchBecomesEventsAndAReceiptThatProves(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		body, payload := a.seal(a.batch(
			link.DeviceEvent{Type: "carrier_down", Class: core.ClassDeviceState, Severity: core.SeverityHigh, Sensor: "eth0", State: core.SensorAlarm, Latch: strings.Repeat("ab", 16), Fields: json.RawMessage(`{"device":"press-8","point":"eth0"}`)},
			link.DeviceEvent{Type: "heartbeat", Simulated: true},
		))
		rec := a.receipt(body)
		if err := link.VerifyReceipt(r.trust(), rec, payload); err != nil {
			t.Errorf("receipt: %v", err)
		}
		if rec.Fork || rec.First != 1 || rec.Last != 2 {
			t.Errorf("receipt %+v", rec)
		}
		events := r.raw.events(t, "carrier_down")
		if len(events) != 1 {
			t.Fatalf("%d events", len(events))
		}
		e := events[0]
		if e.Source != "device/press-7" || e.Device != a.id || e.Provenance != core.ProvenanceDevice || e.Sequence != 1 || e.Simulated {
			t.Errorf("a claim about another device must stay the sender's: %+v", e)
		}
		var fields map[string]string
		r.must(json.Unmarshal(e.Fields, &fields))
		if fields["device"] != "press-8" || fields["sensor"] != "eth0" || fields["state"] != "alarm" {
			t.Errorf("fields %v", fields)
		}
		if !r.raw.events(t, "heartbeat")[0].Simulated {
			t.Error("the mark of simulation was lost")
		}
		var evidence struct {
			Payload    string           `json:"payload"`
			Signatures []link.Signature `json:"signatures"`
		}
		r.must(json.Unmarshal(r.raw.events(t, fleet.TypeBatch)[0].Fields, &evidence))
		if evidence.Payload != string(payload) {
			t.Error("the batch was not kept byte for byte")
		}
		if _, _, err := link.Verify(evidence.Signatures[0], link.NamespaceBatch, []byte(evidence.Payload)); err != nil {
			t.Errorf("kept signature: %v", err)
		}
	})
}

func TestTheSameBatchAgainIsAnotherReceiptAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		body, payload := a.seal(a.batch())
		first, again := a.receipt(body), a.receipt(body)
		if again.Fork || again.Batch != first.Batch {
			t.Errorf("receipts %+v and %+v", first, again)
		}
		if err := link.VerifyReceipt(r.trust(), again, payload); err != nil {
			t.Error(err)
		}
		if n := len(r.raw.events(t, "heartbeat")); n != 1 {
			t.Errorf("%d events of one batch", n)
		}
		r.catchUp(0)
		if n := len(r.raw.events(t, fleet.AlarmFork)); n != 0 {
			t.Errorf("%d alarms for a resend", n)
		}
	})
}

// TestNoReceiptBeforeItIsDurable breaks the journal, then the audit log. What
// was appended before the crash is there once after the resend.
func TestNoReceiptBeforeItIsDurable(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		body, payload := a.seal(a.batch())

		r.raw.err = errDown
		_, err := a.do("POST", "/agent/v1/batches", body)
		r.want(err, core.KindUnavailable)
		if n := len(r.raw.since(0)); n != 0 {
			t.Fatalf("%d frames", n)
		}
		r.raw.err = nil

		r.log.broken(errDown) // between journal and audit leaf
		_, err = a.do("POST", "/agent/v1/batches", body)
		r.want(err, core.KindUnavailable)
		if n := len(r.raw.since(0)); n != 1 {
			t.Fatalf("%d frames", n)
		}
		r.log.broken(nil)

		rec := a.receipt(body)
		if err := link.VerifyReceipt(r.trust(), rec, payload); err != nil {
			t.Error(err)
		}
		if n := len(r.raw.events(t, "heartbeat")); n != 1 {
			t.Errorf("%d events after the resend", n)
		}
	})
}

// TestAnImageRestoredFromYesterday is F08: the device reuses its numbers for
// other events. Both histories are kept and somebody hears of it.
func TestAnImageRestoredFromYesterday(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		a.send()
		yesterday := *a
		a.send(link.DeviceEvent{Type: "case_intrusion", Severity: core.SeverityCritical})
		seen := r.catchUp(0)

		restored := &yesterday
		rec := restored.send(link.DeviceEvent{Type: "nothing_happened"})
		if !rec.Fork {
			t.Error("the receipt says nothing of the fork")
		}
		r.catchUp(seen)
		alarms := r.raw.events(t, fleet.AlarmFork)
		if len(alarms) != 1 || alarms[0].Severity != core.SeverityCritical || alarms[0].Device != a.id {
			t.Fatalf("alarms %+v", alarms)
		}
		if len(r.raw.events(t, "case_intrusion")) != 1 || len(r.raw.events(t, "nothing_happened")) != 1 {
			t.Error("one of the histories was lost")
		}
		if d := r.device("press-7"); d.State() != core.DeviceQuarantined || d.Known.Hash != a.prev {
			t.Errorf("device %s, known %+v: the fork must not move the picture", d.State(), d.Known)
		}
	})
}

func TestBatchesThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a, b := r.enrolled(url, "press-7"), r.enrolled(url, "press-8")
		_, payload := a.seal(a.batch())
		good := a.sign(payload)
		batchOf := func(edit func(*link.Batch)) []byte {
			x := &agent{r: r, id: a.id, epoch: a.epoch, key: a.key}
			batch := x.batch()
			edit(batch)
			p, err := link.EncodeBatch(batch)
			r.must(err)
			return a.sign(p)
		}
		wrongNamespace, err := link.SealEnvelope(link.NamespaceApproval, payload, a.signer())
		r.must(err)
		wrong, err := wrongNamespace.Encode()
		r.must(err)
		for name, row := range map[string]struct {
			body []byte
			kind core.Kind
			word string
		}{
			"not JSON":                   {[]byte("{"), core.KindInvalid, "at byte"},
			"duplicate keys":             {bytes.Replace(good, []byte(`"payload"`), []byte(`"payload":"","payload"`), 1), core.KindInvalid, "payload"},
			"keys inside the signature":  {a.sign(bytes.Replace(payload, []byte(`"v":1`), []byte(`"v":1,"v":1`), 1)), core.KindInvalid, "v"},
			"a path as its name":         {a.sign(bytes.Replace(payload, []byte(`"press-7"`), []byte(`"../../etc/x"`), 1)), core.KindInvalid, "../../etc/x"},
			"one byte changed":           {flip(good), core.KindInvalid, ""},
			"signed by another device":   {b.sign(payload), core.KindDenied, "press-7"},
			"signed in another space":    {wrong, core.KindDenied, ""},
			"another device's name":      {batchOf(func(x *link.Batch) { x.Device = b.id }), core.KindDenied, "press-8"},
			"another tenant's name":      {batchOf(func(x *link.Batch) { x.Tenant = core.MustID[core.TenantID]("other") }), core.KindDenied, "other"},
			"oversized":                  {bytes.Repeat([]byte("x"), fleet.MaxBody+1), core.KindTooLarge, "131072"},
			"no signature":               {[]byte(`{"payload":"e30=","signatures":[]}`), core.KindDenied, "0 signatures"},
			"white space after the fact": {append(bytes.Clone(good), []byte(" x")...), core.KindInvalid, "at byte"},
		} {
			_, err := a.do("POST", "/agent/v1/batches", row.body)
			kind := core.KindOf(err)
			if err == nil || kind != row.kind && (row.word != "" || kind == core.KindInternal) || !strings.Contains(err.Error(), row.word) {
				t.Errorf("%s: %v (%v), want kind %v naming %q", name, err, kind, row.kind, row.word)
			}
		}
		if n := len(r.raw.since(0)); n != 0 {
			t.Errorf("%d frames of refused batches", n)
		}
		r.catchUp(0)
		if n := len(r.raw.events(t, "device_refused")); n == 0 || !r.hasFact("batch.append", "device/press-7") {
			t.Errorf("%d events of refusals, in the log: %v", n, r.hasFact("batch.append", "device/press-7"))
		}
	})
}

func flip(b []byte) []byte {
	c := bytes.Clone(b)
	i := bytes.Index(c, []byte(`"sig":"`)) + 60
	if c[i] == 'A' {
		c[i] = 'B'
	} else {
		c[i] = 'A'
	}
	return c
}

func TestACertificateOfAnotherAuthority(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a := r.enrolled(url, "press-7")
		ring, err := crypt.OpenHost(filepath.Join(t.TempDir(), "host"))
		r.must(err)
		foreign, err := pki.Open(t.Context(), pki.Config{Dir: filepath.Join(t.TempDir(), "ca"), Sealer: ring, Recorder: issued{}, Clock: r.clock, Name: "test"})
		r.must(err)
		chain, err := foreign.Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: tenant, Device: a.id}}, a.key.Public())
		r.must(err)
		body, _ := a.seal(a.batch())
		a.chain = chain
		if _, err := a.do("POST", "/agent/v1/batches", body); err == nil {
			t.Fatal("accepted")
		}
		if n := len(r.raw.since(0)); n != 0 {
			t.Errorf("%d frames", n)
		}
		r.clock.Advance(2 * time.Minute)
		before := r.log.Size()
		r.must(r.door.Flush(t.Context()))
		if r.log.Size() == before {
			t.Error("the refusal left no entry in the log")
		}
	})
}

// TestACertificateForAnotherKey: one that our own authority issued, before the
// device was enrolled anew.
func TestACertificateForAnotherKey(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		r.must(err)
		a.chain, err = r.ca.Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: tenant, Device: a.id}}, key.Public())
		r.must(err)
		a.key = key
		body, _ := a.seal(a.batch())
		_, err = a.do("POST", "/agent/v1/batches", body)
		r.want(err, core.KindDenied, "press-7", "another key")
	})
}

func TestStrangersReachEnrolmentAlone(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.agent(r.serve(), "press-7")
		for _, path := range []string{"POST /agent/v1/batches", "POST /agent/v1/results", "GET /agent/v1/orders?after=0", "GET /agent/v1/renew", "POST /agent/v1/renew"} {
			method, p, _ := strings.Cut(path, " ")
			_, err := a.do(method, p, nil)
			if core.KindOf(err) != core.KindUnauthenticated {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

func TestOneFloodingDeviceStarvesItselfAlone(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		parts := r.parts()
		parts.Quota.BurstRequests, parts.Quota.RequestsPerSecond = 3, 1
		var err error
		r.door, err = fleet.NewListener(parts)
		r.must(err)
		url := r.serve()
		a, b := r.enrolled(url, "press-7"), r.enrolled(url, "press-8")
		var refused error
		for range 5 {
			body, _ := a.seal(a.batch())
			if _, err := a.do("POST", "/agent/v1/batches", body); err != nil {
				refused = err
			}
		}
		r.want(refused, core.KindUnavailable, "press-7", "quota")
		b.send()
		r.clock.Advance(2 * time.Second)
		b.send()
	})
}

func TestQuotaConfig(t *testing.T) {
	c := fleet.DefaultQuota
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.BurstBytes = 10
	if err := c.Validate(); core.KindOf(err) != core.KindInvalid {
		t.Errorf("%v", err)
	}
	if err := (fleet.FoldConfig{StaleAfter: time.Minute, OfflineAfter: time.Second}).Validate(); err == nil || errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
}
