package fleet_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// sql changes the database as its administrator can.
func (r *rig) sql(statement string, args ...any) {
	r.t.Helper()
	r.must(r.db.Tx(r.t.Context(), func(tx *store.Tx) error {
		n, err := tx.Affected(r.t.Context(), statement, args...)
		if err == nil && n != 1 {
			return fmt.Errorf("%d rows changed", n)
		}
		return err
	}))
}

// detected holds the registry against the log, after the time that entries have
// to get there, and returns what an alarm was raised for.
func (r *rig) detected() (objects []string) {
	r.t.Helper()
	r.must(r.authority.Compare(r.t.Context()))
	r.clock.Advance(time.Minute)
	r.must(r.authority.Compare(r.t.Context()))
	r.catchUp(len(r.raw.since(0)))
	for _, e := range r.raw.events(r.t, fleet.AlarmAuthority) {
		if e.Severity != core.SeverityCritical || e.Source != fleet.Source {
			r.t.Errorf("alarm %+v", e)
		}
		objects = append(objects, field(r.t, e, "object"))
	}
	return objects
}

func field(t *testing.T, e core.Event, name string) string {
	t.Helper()
	fields := map[string]any{}
	if err := link.DecodeStrict(e.Fields, &fields); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(fields[name])
}

// renewal has the device renew its certificate.
func (a *agent) renewal() error {
	a.r.t.Helper()
	out, err := a.do("GET", "/agent/v1/renew", nil)
	if err != nil {
		return err
	}
	var c fleet.RenewChallenge
	a.r.must(link.DecodeStrict(out, &c))
	payload, err := link.Encode(fleet.RenewProof{V: 1, Purpose: fleet.PurposeRenew, Tenant: tenant, Device: a.id, Challenge: c.Challenge})
	a.r.must(err)
	env, err := link.SealEnvelope(link.NamespaceBatch, payload, a.signer())
	a.r.must(err)
	body, err := link.Encode(fleet.RenewRequest{V: 1, CSR: a.csr(), Challenge: *env})
	a.r.must(err)
	_, err = a.do("POST", "/agent/v1/renew", body)
	return err
}

func (a *agent) reports() error {
	body, _ := a.seal(a.batch())
	_, err := a.do("POST", "/agent/v1/batches", body)
	return err
}

// TestTheDatabaseIsNotTheAuthority is F12: each column that says who may do
// what, changed by hand on both engines.
func TestTheDatabaseIsNotTheAuthority(t *testing.T) {
	set := func(column string, value any) func(r *rig) {
		return func(r *rig) {
			r.sql(`UPDATE fleet_devices SET `+column+` = $1 WHERE tenant = $2 AND id = 'press-7'`, value, tenant)
		}
	}
	other := strings.Repeat("ab", 32)
	for name, change := range map[string]func(r *rig){
		"identity":      set("identity", "suspended"),
		"spki":          set("spki", other),
		"short_code":    set("short_code", "AAAA-BBBB-CCCC"),
		"site":          set("site", "hall-2"),
		"first_use":     set("first_use", 1),
		"token":         set("token", "other"),
		"protection":    set("protection", "tpm"),
		"revision up":   set("revision", 99),
		"revision down": set("revision", 1),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := r.tampered(r.serve(), "press-7")
				waiting, err := r.order(auto, policy.DeviceRelease, release("press-7"))
				r.must(err)
				waiting, err = r.approve(waiting, "ben")
				r.must(err)
				change(r)
				mayNot := func(when string) {
					t.Helper()
					decision, err := r.guard.Permit(t.Context(), auto, policy.DeviceRelease, core.Resource{Type: "device", ID: "press-7", Tenant: tenant, Site: site})
					r.must(err)
					_, err = r.orders.Create(t.Context(), fleet.OrderRequest{Key: when, Tenant: tenant, Device: a.id, Type: link.OrderRelease, Requester: auto, Reason: "test", Decision: decision})
					if err == nil {
						t.Errorf("%s: a release was asked for", when)
					}
					if o, err := r.approve(waiting, "cleo"); err == nil && o.State == fleet.OrderQueued {
						t.Errorf("%s: a release was queued", when)
					}
					if err := a.renewal(); err == nil {
						t.Errorf("%s: the identity was renewed", when)
					}
					if err := a.program(hmi).ask(); err == nil {
						t.Errorf("%s: a program got a certificate", when)
					}
				}
				mayNot("before it was noticed")
				if got := r.detected(); !slices.Equal(got, []string{"device/press-7"}) {
					t.Fatalf("alarms for %v", got)
				}
				mayNot("after")
				if name == "identity" {
					return // the row says less, and less it is
				}
				r.must(a.reports())
				if _, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7")); err != nil {
					t.Errorf("containment is refused: %v", err)
				}
				if got := r.detected(); len(got) != 1 {
					t.Errorf("told again and again: %v", got)
				}
			})
		})
	}
}

// TestARowMakesNoIdentity: what the log says is less, is less.
func TestARowMakesNoIdentity(t *testing.T) {
	activate := func(r *rig) {
		r.sql(`UPDATE fleet_devices SET identity = 'active' WHERE tenant = $1 AND id = 'press-7'`, tenant)
	}
	for name, make := range map[string]func(r *rig, url string) *agent{
		"suspended": func(r *rig, url string) *agent {
			a, thief := r.agent(url, "press-7"), r.agent(url, "press-7")
			tok := r.token("press-7", "")
			_, err := a.enrolWith(tok)
			r.must(err)
			r.must(r.enrol.Approve(r.t.Context(), admin, tenant, a.id, link.ShortCode(a.spki())))
			a.in(tok)
			_, err = thief.enrolWith(tok)
			r.want(err, core.KindReplayed)
			activate(r)
			return a
		},
		"suspended, with the next revision": func(r *rig, url string) *agent {
			a, thief := r.agent(url, "press-7"), r.agent(url, "press-7")
			tok := r.token("press-7", "")
			_, err := a.enrolWith(tok)
			r.must(err)
			r.must(r.enrol.Approve(r.t.Context(), admin, tenant, a.id, link.ShortCode(a.spki())))
			a.in(tok)
			_, err = thief.enrolWith(tok)
			r.want(err, core.KindReplayed)
			r.sql(`UPDATE fleet_devices SET identity = 'active', revision = revision + 1 WHERE tenant = $1 AND id = 'press-7'`, tenant)
			return a
		},
		"never enrolled": func(r *rig, url string) *agent {
			a := r.enrolled(url, "press-1")
			r.sql(`UPDATE fleet_devices SET id = 'press-7' WHERE tenant = $1 AND id = 'press-1'`, tenant)
			a.id = core.MustID[core.DeviceID]("press-7")
			chain, err := r.keys.ca.Issue(r.t.Context(), verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: tenant, Device: a.id}}, a.key.Public())
			r.must(err)
			a.chain = chain
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := make(r, r.serve())
				r.want(a.reports(), core.KindDenied, "suspended")
				if _, err := a.stream(0); core.KindOf(err) != core.KindDenied {
					t.Errorf("it opened a stream: %v", err)
				}
				if a.renewal() == nil {
					t.Error("it renewed")
				}
				if got := r.detected(); !slices.Contains(got, "device/press-7") {
					t.Errorf("alarms for %v", got)
				}
				r.want(a.reports(), core.KindDenied, "suspended")
			})
		})
	}
}

func TestARowThatIsGoneIsMissed(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		r.enrolled(url, "press-7")
		r.sql(`DELETE FROM fleet_devices WHERE tenant = $1 AND id = 'press-7'`, tenant)
		if got := r.detected(); !slices.Equal(got, []string{"device/press-7"}) {
			t.Fatalf("alarms for %v", got)
		}
		// The name is no way in for another machine: nobody is asked, no
		// certificate is made.
		thief := r.agent(url, "press-7")
		_, err := thief.enrolWith(r.token("press-7", thief.fact()))
		if err == nil {
			t.Error("another machine took the name of one whose row was deleted")
		}
	})
}

// TestTokensOfTheDatabase: a token that the log does not know, or knows
// otherwise, lets nobody in.
func TestTokensOfTheDatabase(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		set := func(column string) func(tok fleet.Token, value any) {
			return func(tok fleet.Token, value any) {
				r.sql(`UPDATE fleet_tokens SET `+column+` = $1 WHERE tenant = $2 AND id = $3`, value, tenant, tok.ID)
			}
		}
		known := core.NewSecret([]byte("a secret that the thief chose"))
		hash := sha256.Sum256(known.Reveal())
		n := 0
		for name, steal := range map[string]func(thief *agent) fleet.Token{
			"hash": func(thief *agent) fleet.Token {
				tok := r.token("", thief.fact())
				set("hash")(tok, hash[:])
				tok.Secret = known
				return tok
			},
			"fact": func(thief *agent) fleet.Token {
				tok := r.token("", r.agent(url, "x").fact())
				set("fact")(tok, thief.fact())
				return tok
			},
			"no fact": func(*agent) fleet.Token {
				tok := r.token("", r.agent(url, "x").fact())
				set("fact")(tok, "")
				return tok
			},
			"site": func(thief *agent) fleet.Token {
				tok := r.token("", thief.fact())
				set("site")(tok, "hall-2")
				return tok
			},
			"device": func(thief *agent) fleet.Token {
				tok := r.token("press-99", thief.fact())
				set("device")(tok, thief.id.String())
				return tok
			},
			"expires": func(thief *agent) fleet.Token {
				tok := r.token("", thief.fact())
				r.clock.Advance(2 * time.Hour)
				set("expires")(tok, r.clock.Now().Add(time.Hour).UnixMicro())
				return tok
			},
			"state after use": func(thief *agent) fleet.Token {
				tok := r.token("", "")
				n++
				_, err := r.agent(url, fmt.Sprintf("used-%d", n)).enrolWith(tok)
				r.must(err)
				set("state")(tok, "fresh")
				return tok
			},
			"state after revocation": func(thief *agent) fleet.Token {
				tok := r.token("", thief.fact())
				r.must(r.enrol.RevokeToken(t.Context(), admin, tenant, tok.ID))
				set("state")(tok, "fresh")
				return tok
			},
			"used_key": func(thief *agent) fleet.Token {
				tok := r.token("", "")
				n++
				_, err := r.agent(url, fmt.Sprintf("used-%d", n)).enrolWith(tok)
				r.must(err)
				set("used_key")(tok, thief.fact())
				return tok
			},
			"used_by": func(thief *agent) fleet.Token {
				n++
				tok := r.token("", "")
				_, err := thief.enrolWith(tok)
				r.must(err)
				set("used_by")(tok, r.enrolled(url, fmt.Sprintf("used-%d", n)).id)
				return tok
			},
			"a row of its own": func(thief *agent) fleet.Token {
				id := hex.EncodeToString(random(10))
				r.sql(`INSERT INTO fleet_tokens (tenant, id, hash, site, device, fact, creator, created, expires, state) VALUES ($1, $2, $3, $4, '', $5, 'person/anna', 0, $6, 'fresh')`,
					tenant, id, hash[:], site, thief.fact(), r.clock.Now().Add(time.Hour).UnixMicro())
				return fleet.Token{ID: id, Secret: known}
			},
		} {
			n++
			thief := r.agent(url, fmt.Sprintf("thief-%d", n))
			tok := steal(thief)
			if out, err := thief.enrolWith(tok); err == nil {
				t.Errorf("%s: the thief is in: %s", name, out)
			}
			if got := r.detected(); !slices.Contains(got, "token/"+tok.ID) {
				t.Errorf("%s: alarms for %v", name, got)
			}
			if out, err := thief.enrolWith(tok); err == nil {
				t.Errorf("%s: the thief is in, after the alarm: %s", name, out)
			}
		}
	})
}

// TestTrustRootsOfTheDatabase: the server believes no root that the log and the
// signatures before it do not bear out, for nothing that loosens and for no new
// device.
func TestTrustRootsOfTheDatabase(t *testing.T) {
	second := func(column string, value any) func(r *rig) {
		return func(r *rig) {
			r.sql(`UPDATE fleet_roots SET `+column+` = $1 WHERE tenant = $2 AND version = 2`, value, tenant)
		}
	}
	for name, row := range map[string]struct {
		waits  bool // root 2 is a recovery that waits out its delay
		gains  bool // the row as changed would be in force at once
		change func(r *rig)
	}{
		"another root 1": {true, true, func(r *rig) {
			thief := &rig{t: r.t, log: r.log, keys: r.keys, ca: r.ca}
			thief.makeRoot()
			r.sql(`UPDATE fleet_roots SET envelope = $1, hash = $2 WHERE tenant = $3 AND version = 1`, thief.root, thief.rootHash(), tenant)
		}},
		"takes_effect, sooner": {true, true, second("takes_effect", start.UnixMicro())},
		"takes_effect, later":  {false, true, second("takes_effect", start.AddDate(1, 0, 0).UnixMicro())},
		"gone":                 {false, true, func(r *rig) { r.sql(`DELETE FROM fleet_roots WHERE tenant = $1 AND version = 2`, tenant) }},
		"hash":                 {true, false, second("hash", strings.Repeat("ab", 32))},
		"proof":                {true, false, second("proof", []byte("x"))},
		"version":              {true, false, second("version", 3)},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				url := r.serve()
				r.tampered(url, "press-7")
				next, signers := *r.trust().Root(), []string{"anna-paper", "ben-paper", "anna", "ben"}
				if row.waits {
					signers = signers[:2]
				}
				next.Version = 2
				_, err := r.roots.Publish(t.Context(), admin, r.signRoot(&next, signers...))
				r.must(err)
				_, err = r.order(auto, policy.DeviceRelease, release("press-7"))
				r.must(err)
				if got := r.detected(); len(got) != 0 {
					t.Fatalf("alarms for %v before anything was changed", got)
				}
				row.change(r)
				mayNot := func(when string) {
					t.Helper()
					if _, err := r.order(auto, policy.DeviceRelease, release("press-7")); err == nil {
						t.Errorf("%s: a release was asked for", when)
					}
					a := r.agent(url, "press-"+strings.ReplaceAll(when, " ", "-"))
					if _, err := a.enrolWith(r.token("", a.fact())); err == nil {
						t.Errorf("%s: a new device was told what to believe", when)
					}
				}
				if row.gains {
					mayNot("at once")
				}
				if got := r.detected(); !slices.Contains(got, "trust-root") {
					t.Errorf("alarms for %v", got)
				}
				mayNot("once noticed")
				if name != "another root 1" {
					if _, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7")); err != nil {
						t.Errorf("containment is refused: %v", err)
					}
				}
			})
		})
	}
}

// TestEntriesThatNobodyPermitted: the way into the log leads through a table,
// too. What comes by it grants nothing without a permit of its own.
func TestEntriesThatNobodyPermitted(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a, thief := r.agent(url, "press-7"), r.agent(url, "press-7")
		tok := r.token("press-7", "")
		_, err := a.enrolWith(tok)
		r.must(err)
		r.must(r.enrol.Approve(t.Context(), admin, tenant, a.id, link.ShortCode(a.spki())))
		a.in(tok)
		_, err = thief.enrolWith(tok)
		r.want(err, core.KindReplayed)

		var old audit.Entry // the entry that made it active, with its permit
		for _, e := range r.facts {
			if e.Action == "device.active" {
				old = e
			}
		}
		forge := func(revision uint64) {
			e := old
			e.Revision = revision
			r.history.add(e, core.Position{})
			r.sql(`UPDATE fleet_devices SET identity = 'active', revision = $1 WHERE tenant = $2 AND id = 'press-7'`, int64(revision), tenant)
		}
		forge(4)
		r.want(a.reports(), core.KindDenied, "suspended")
		if got := r.detected(); !slices.Equal(got, []string{"device/press-7"}) {
			t.Errorf("alarms for %v", got)
		}
		r.want(a.reports(), core.KindDenied, "suspended")
		if why := r.authority.Doubts()["device/press-7"]; !strings.Contains(why, "permit") {
			t.Errorf("in doubt because %q", why)
		}

		id := strings.Repeat("0a", 10)
		known := core.NewSecret([]byte("chosen"))
		hash := sha256.Sum256(known.Reveal())
		r.history.add(audit.Entry{
			Type: audit.TypeAuthority, Time: r.clock.Now(), Actor: "person/anna", Action: "token.created", Object: "token/" + id, Revision: 1, Outcome: "created",
			Body: map[string]any{"state": "fresh", "site": site, "hash": hex.EncodeToString(hash[:]), "fact": thief.fact(), "expires": r.clock.Now().Add(time.Hour).UnixMicro(), "life": "1h0m0s"},
		}, core.Position{})
		r.sql(`INSERT INTO fleet_tokens (tenant, id, hash, site, device, fact, creator, created, expires, state) VALUES ($1, $2, $3, $4, '', $5, 'person/anna', 0, $6, 'fresh')`,
			tenant, id, hash[:], site, thief.fact(), r.clock.Now().Add(time.Hour).UnixMicro())
		thief.id = core.MustID[core.DeviceID]("press-8")
		_, err = thief.enrolWith(fleet.Token{ID: id, Secret: known})
		r.want(err, core.KindConflict, "permit")
	})
}

// TestADoubtEndsByApproval: a person looks at the machine, and what the log says
// of it is written back.
func TestADoubtEndsByApproval(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		r.sql(`UPDATE fleet_devices SET site = 'hall-2', short_code = 'AAAA-BBBB-CCCC', revision = 40 WHERE tenant = $1 AND id = 'press-7'`, tenant)
		r.detected()
		r.want(a.renewal(), core.KindConflict, "stop-only")
		r.want(r.enrol.Approve(t.Context(), admin, tenant, a.id, "AAAA-BBBB-CCCC"), core.KindDenied, "code")
		r.must(r.enrol.Approve(t.Context(), admin, tenant, a.id, link.ShortCode(a.spki())))
		r.must(r.authority.Compare(t.Context()))
		if d := r.device("press-7"); d.Site != site || d.ShortCode != link.ShortCode(a.spki()) || r.reg.InDoubt(d) != "" {
			t.Errorf("%+v, in doubt: %q", d, r.reg.InDoubt(d))
		}
		r.must(a.renewal())
		_, err := r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
		if got := r.detected(); len(got) != 1 {
			t.Errorf("alarms for %v after it was mended", got)
		}
	})
}

// TestEntriesOnTheirWay: after a start the last entries may still wait in the
// outbox. That is no alarm, and no right either until they are in the log.
func TestEntriesOnTheirWay(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		r.history.hold(true)
		a := r.enrolled(url, "press-7")
		r.must(a.reports())
		r.authority = fleet.NewAuthority(r.reg, r.roots, r.history, tenant, r.warn) // another process
		if err := a.renewal(); core.KindOf(err) != core.KindUnavailable {
			t.Errorf("renewed before the log was read: %v", err)
		}
		r.must(r.authority.Compare(t.Context()))
		r.want(a.reports(), core.KindDenied, "suspended")
		r.history.hold(false)
		r.must(r.authority.Compare(t.Context()))
		r.must(a.reports())
		r.must(a.renewal())
		if got := r.detected(); len(got) != 0 {
			t.Errorf("alarms for %v", got)
		}
	})
}

// TestNobodyIsVouchedForWithoutTheLog: a log that can't be read is no reason to
// believe rows.
func TestNobodyIsVouchedForWithoutTheLog(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		r.authority = fleet.NewAuthority(r.reg, r.roots, unreadable{r.history}, tenant, r.warn)
		r.want(r.authority.Compare(t.Context()), core.KindDamaged)
		r.want(a.renewal(), core.KindUnavailable, "log")
		decision, err := r.guard.Permit(t.Context(), auto, policy.DeviceRelease, fleet.ResourceOf(r.device("press-7")))
		r.must(err)
		_, err = r.orders.Create(t.Context(), fleet.OrderRequest{Key: "k", Tenant: tenant, Device: a.id, Type: link.OrderRelease, Requester: auto, Reason: "test", Decision: decision})
		r.want(err, core.KindUnavailable, "log")
		r.must(a.reports())
		_, err = r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.must(err)
	})
}

type unreadable struct{ *history }

func (unreadable) Replay(context.Context, func(audit.Record) error) error {
	return core.E(core.KindDamaged, "audit", "a flipped bit")
}

// TestAQueuedReleaseEndsWithTheDoubt: F30 for a device whose row was written.
func TestAQueuedReleaseEndsWithTheDoubt(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		o, err := r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
		for _, person := range []string{"ben", "cleo"} {
			o, err = r.approve(o, person)
			r.must(err)
		}
		r.sql(`UPDATE fleet_devices SET protection = 'tpm' WHERE tenant = $1 AND id = 'press-7'`, tenant)
		q, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.must(err)
		if got := a.orders(0, 1)[0]; got.ID != q.ID {
			t.Errorf("the device was sent %s before the quarantine", got.Type)
		}
		if o, err = r.orders.Get(t.Context(), tenant, o.ID); err != nil || o.State != fleet.OrderSuperseded {
			t.Errorf("the release is %s, %v", o.State, err)
		}
	})
}
