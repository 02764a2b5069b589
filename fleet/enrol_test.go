package fleet_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
)

func TestATokenThatNamesTheKeyBringsTheDeviceIn(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.agent(r.serve(), "press-7")
		answer := a.in(r.token("press-7", a.fact()))
		certs, err := verify.ParseChain([]byte(answer.Certificate))
		r.must(err)
		if got := certs[0].URIs[0].String(); got != "interlock://acme/device/press-7" || len(certs[0].DNSNames) != 0 {
			t.Errorf("names %q %q: they must come from the authorisation alone", got, certs[0].DNSNames)
		}
		if _, err := link.NewTrust(answer.Root, r.rootHash()); err != nil {
			t.Errorf("root in the answer: %v", err)
		}
		d := r.device("press-7")
		if d.Identity != fleet.IdentityActive || d.FirstUse || d.Site != site || d.Key != a.fact() {
			t.Errorf("device %+v", d)
		}
		if !r.hasFact("device.active", "device/press-7") {
			t.Error("no authority entry for the device")
		}
	})
}

func TestATokenWithoutAFactIsAPlaceInTheQueue(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.agent(r.serve(), "press-7")
		tok := r.token("", "")
		out, err := a.enrolWith(tok)
		r.must(err)
		var pending fleet.EnrolPending
		r.must(link.DecodeStrict(out, &pending))
		if pending.Code != link.ShortCode(a.spki()) || pending.Device != a.id {
			t.Errorf("pending %+v", pending)
		}
		if d := r.device("press-7"); d.State() != core.DevicePending || !d.FirstUse {
			t.Errorf("device %+v", d)
		}
		r.want(r.enrol.Approve(t.Context(), admin, tenant, a.id, "0000-0000-0000"), core.KindDenied, "short code", "press-7")
		viewer := core.Principal{Kind: core.KindPerson, ID: "vic", Tenant: tenant, Roles: []string{core.RoleViewer}, Sites: []core.SiteID{site}}
		r.want(r.enrol.Approve(t.Context(), viewer, tenant, a.id, pending.Code), core.KindDenied, "vic")
		r.must(r.enrol.Approve(t.Context(), admin, tenant, a.id, pending.Code))
		a.in(tok) // the same token and key fetch the certificate, also after the token's end
		if d := r.device("press-7"); !d.FirstUse || d.Identity != fleet.IdentityActive {
			t.Errorf("first use must be shown for ever: %+v", d)
		}
		r.want(r.enrol.Approve(t.Context(), admin, tenant, a.id, pending.Code), core.KindConflict, "nothing waits")
	})
}

func TestTokensThatMustNotWork(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a := r.agent(url, "press-7")

		_, err := a.enrolWith(fleet.Token{ID: "00000000000000000000", Secret: core.NewSecret([]byte("x"))})
		r.want(err, core.KindUnauthenticated, "token")
		tok := r.token("press-7", a.fact())
		_, err = a.enrolWith(fleet.Token{ID: tok.ID, Secret: core.NewSecret([]byte("wrong"))})
		r.want(err, core.KindUnauthenticated, "token")

		r.clock.Advance(2 * time.Hour)
		_, err = a.enrolWith(tok)
		r.want(err, core.KindExpired, tok.ID, "ran out")

		tok = r.token("press-7", "")
		r.must(r.enrol.RevokeToken(t.Context(), admin, tenant, tok.ID))
		_, err = a.enrolWith(tok)
		r.want(err, core.KindDenied, "revoked")

		other := r.agent(url, "press-7")
		tok = r.token("press-7", a.fact())
		_, err = other.enrolWith(tok)
		r.want(err, core.KindDenied, "another key")
		a.in(tok) // the owner is not harmed by the thief

		tok = r.token("press-7", other.fact())
		_, err = other.enrolWith(tok)
		r.want(err, core.KindConflict, "press-7", "enrolled already")

		tok = r.token("press-8", "")
		_, err = r.agent(url, "press-9").enrolWith(tok)
		r.want(err, core.KindInvalid, "press-9", "press-8")

		r.catchUp(0)
		if len(r.raw.events(t, "enrolment_wrong_key")) != 1 {
			t.Error("the thief's try left no event")
		}
		r.clock.Advance(2 * time.Minute)
		before := r.log.Size()
		r.must(r.door.Flush(t.Context()))
		if r.log.Size() != before+1 {
			t.Errorf("%d summaries of refusals for one address", r.log.Size()-before)
		}
	})
}

// TestThiefFirstOwnerSecond is F21: whoever comes second shows that somebody
// came first, and the first is cut off until a person has looked.
func TestThiefFirstOwnerSecond(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		thief, owner := r.agent(url, "press-7"), r.agent(url, "press-7")
		tok := r.token("press-7", "")
		_, err := thief.enrolWith(tok)
		r.must(err)
		r.must(r.enrol.Approve(t.Context(), admin, tenant, thief.id, link.ShortCode(thief.spki())))
		thief.in(tok)
		thief.send()

		_, err = owner.enrolWith(tok)
		r.want(err, core.KindReplayed, tok.ID, "press-7", "suspended")
		body, _ := thief.seal(thief.batch())
		_, err = thief.do("POST", "/agent/v1/batches", body)
		r.want(err, core.KindDenied, "press-7", "suspended")
		_, err = owner.enrolWith(tok)
		r.want(err, core.KindReplayed, tok.ID)
		_, err = thief.enrolWith(tok)
		r.want(err, core.KindDenied, "suspended")

		r.catchUp(0)
		alarms := r.raw.events(t, "enrolment_token_reused")
		if len(alarms) != 2 || alarms[0].Severity != core.SeverityCritical || alarms[0].Device != thief.id || alarms[0].Provenance != core.ProvenanceLocal {
			t.Errorf("alarms %+v", alarms)
		}
		if !r.hasFact("device.suspended", "device/press-7") || !r.hasFact("token.misused", "token/"+tok.ID) {
			t.Error("no audit entry of the misuse")
		}
	})
}

func TestEnrolmentRefusesBadRequests(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.agent(r.serve(), "press-7")
		tok := string(r.token("press-7", "").Bearer().Reveal())
		good := map[string]any{"v": 1, "token": tok, "device": "press-7", "public_key": a.csr(), "serial": "SN"}
		with := func(key string, value any) string {
			m := map[string]any{}
			for k, v := range good {
				m[k] = v
			}
			if m[key] = value; value == nil {
				delete(m, key)
			}
			b, err := json.Marshal(m)
			r.must(err)
			return string(b)
		}
		csr := a.csr()
		for name, row := range map[string]struct {
			body string
			kind core.Kind
			word string
		}{
			"not JSON":       {"{", core.KindInvalid, "at byte"},
			"duplicate keys": {strings.Replace(with("v", 1), `"v":1`, `"v":1,"v":1`, 1), core.KindInvalid, "v"},
			"unknown key":    {with("admin", true), core.KindInvalid, "admin"},
			"case":           {strings.Replace(with("v", 1), `"token"`, `"TOKEN"`, 1), core.KindInvalid, "TOKEN"},
			"missing key":    {with("serial", nil), core.KindInvalid, "serial"},
			"other version":  {with("v", 2), core.KindInvalid, "version 2"},
			"a path":         {with("device", "../../etc/x"), core.KindInvalid, "../../etc/x"},
			"long serial":    {with("serial", strings.Repeat("x", 200)), core.KindInvalid, "serial"},
			"no request":     {with("public_key", "x"), core.KindInvalid, "public_key"},
			"two requests":   {with("public_key", csr+csr), core.KindInvalid, "public_key"},
			"oversized":      {with("serial", strings.Repeat("x", 20<<10)), core.KindTooLarge, "16384"},
		} {
			_, err := a.do("POST", "/agent/v1/enrol", []byte(row.body))
			if core.KindOf(err) != row.kind || !strings.Contains(err.Error(), row.word) {
				t.Errorf("%s: %v, want kind %v naming %q", name, err, row.kind, row.word)
			}
		}
		list, err := r.reg.List(t.Context(), tenant, core.DeviceID{}, 0)
		if err != nil || len(list) != 0 {
			t.Errorf("something was entered: %+v, %v", list, err)
		}
	})
}

func TestEnrolmentGoesOnAfterACrash(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.agent(r.serve(), "press-7")
		tok := r.token("press-7", a.fact())
		r.keys.down(errDown)
		_, err := a.enrolWith(tok)
		r.want(err, core.KindUnavailable)
		if d := r.device("press-7"); d.Identity != fleet.IdentityPending {
			t.Errorf("identity %s without a certificate", d.Identity)
		}
		r.keys.down(nil)
		a.in(tok)
		a.send()
	})
}

// A person has looked at both machines and taken one in. From then on the token
// is known to be in wrong hands, and who holds it can't cut the device off again
// and again.
func TestTokenInWrongHandsIsSpent(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		owner, thief := r.agent(url, "press-7"), r.agent(url, "press-7")
		tok := r.token("press-7", "")
		_, err := owner.enrolWith(tok)
		r.must(err)
		code := link.ShortCode(owner.spki())
		r.must(r.enrol.Approve(t.Context(), admin, tenant, owner.id, code))
		owner.in(tok)

		_, err = thief.enrolWith(tok)
		r.want(err, core.KindReplayed, "suspended")
		targets, err := r.reg.Targets(t.Context())
		r.must(err)
		if len(targets) != 1 || targets[0].Device != owner.id {
			t.Errorf("a stop has the targets %v: a suspended machine still runs and must be named", targets)
		}

		r.must(r.enrol.Approve(t.Context(), admin, tenant, owner.id, code))
		_, err = thief.enrolWith(tok)
		r.want(err, core.KindReplayed, tok.ID)
		if d := r.device("press-7"); d.Identity != fleet.IdentityActive {
			t.Errorf("the device is %s: a token that was reported once cuts it off for ever", d.Identity)
		}
		r.catchUp(0)
		if n := len(r.raw.events(t, "enrolment_token_reused")); n != 2 {
			t.Errorf("%d alarms for two uses by the thief", n)
		}
	})
}

// The person compares the code of the key that the certificate is for, not what
// a row says the code is.
func TestApprovalIsForTheKeyInTheRequest(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		owner, thief := r.agent(url, "press-7"), r.agent(url, "press-7")
		_, err := owner.enrolWith(r.token("press-7", ""))
		r.must(err)
		block, _ := pem.Decode([]byte(thief.csr()))
		sum := sha256.Sum256(thief.spki())
		r.must(r.db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE fleet_devices SET csr = $1, spki = $2 WHERE tenant = $3 AND id = $4`, block.Bytes, hex.EncodeToString(sum[:]), tenant, "press-7")
			return err
		}))
		err = r.enrol.Approve(t.Context(), admin, tenant, owner.id, link.ShortCode(owner.spki()))
		r.want(err, core.KindDenied, "code")
		if d := r.device("press-7"); d.Identity != fleet.IdentityPending {
			t.Errorf("the device is %s", d.Identity)
		}
	})
}
