package attack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/rig"
)

// publishSecondRoot makes root 2: anna gets a second everyday and a second
// recovery key, cara a security key. Two persons sign it with both kinds.
func (a *assault) publishSecondRoot() {
	a.t.Helper()
	first, err := ceremony.LoadTrust(a.s.keys())
	if err != nil {
		a.t.Fatal(err)
	}
	root := first.Root()
	root.Version = 2
	for _, name := range []string{"everyday", "recovery"} {
		a.extra[name] = newKey(a.t)
		root.Persons[0].Keys = append(root.Persons[0].Keys, link.AuthorizedKey(a.extra[name].PublicKey()))
	}
	root.Persons[2].Keys = append(root.Persons[2].Keys, link.AuthorizedKey(a.sk.PublicKey()))
	for i := range root.Roles {
		if root.Roles[i].Name == link.RoleRoot {
			root.Roles[i].KeyIDs = append(root.Roles[i].KeyIDs, link.KeyID(a.extra["recovery"].PublicKey()))
		}
	}
	a.root, a.roots = root, [][]byte{first.Envelope()}
	a.publishRoot(2)
}

// publishRoot has two persons sign the next version, with recovery and everyday
// keys, and hands it to the server; everybody's own copy follows.
func (a *assault) publishRoot(version uint64) {
	a.t.Helper()
	a.root.Version = version
	envelope := a.signRoot(a.root, a.s.signer("recovery/recovery-1"), a.s.signer("recovery/recovery-2"), a.s.signer("keys/anna"), a.s.signer("keys/bert"))
	if err := a.s.api.Post(a.t.Context(), "/v1/root", json.RawMessage(envelope), nil); err != nil {
		a.t.Fatal(err)
	}
	stored, err := a.s.server.Roots.Since(a.t.Context(), tenant, version-1)
	if err != nil || len(stored) != 1 {
		a.t.Fatalf("%d roots, %v", len(stored), err)
	}
	if _, err := ceremony.SaveNext(a.s.keys(), stored[0].Envelope, stored[0].Proof, 0); err != nil {
		a.t.Fatal(err)
	}
	a.roots = append(a.roots, stored[0].Envelope)
}

func (a *assault) signRoot(root *link.Root, signers ...link.Signer) []byte {
	a.t.Helper()
	env, err := link.SealEnvelope(link.NamespaceRoot, a.rootPayload(root), signers...)
	if err != nil {
		a.t.Fatal(err)
	}
	b, err := env.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

func (a *assault) rootPayload(root *link.Root) []byte {
	a.t.Helper()
	payload, err := link.EncodeRoot(root)
	if err != nil {
		a.t.Fatal(err)
	}
	return payload
}

// trustRoots sends roots that the server would like to be next (F01 a to f).
func (a *assault) trustRoots() {
	a.t.Helper()
	recovery := []link.Signer{a.s.signer("recovery/recovery-1"), a.s.signer("recovery/recovery-2")}
	everyday := []link.Signer{a.s.signer("keys/anna"), a.s.signer("keys/bert")}
	own := []link.Signer{newKey(a.t), newKey(a.t)}
	next := func(version uint64, change ...func(*link.Root)) *link.Root {
		r, err := link.DecodeRoot(a.rootPayload(a.root))
		if err != nil {
			a.t.Fatal(err)
		}
		r.Version = version
		for _, fn := range change {
			fn(r)
		}
		return r
	}
	ours := func(r *link.Root) { // the attacker's keys are anna's and bert's now
		for i, k := range own {
			r.Persons[i].Keys = append(r.Persons[i].Keys, link.AuthorizedKey(k.PublicKey()))
			for j := range r.Roles {
				if r.Roles[j].Name == link.RoleRoot {
					r.Roles[j].KeyIDs = append(r.Roles[j].KeyIDs, link.KeyID(k.PublicKey()))
				}
			}
		}
	}
	theirs := func(r *link.Root) { // the root role is of keys that nobody has signed with
		ours(r)
		for j := range r.Roles {
			if r.Roles[j].Name == link.RoleRoot {
				r.Roles[j].KeyIDs = []string{link.KeyID(own[0].PublicKey()), link.KeyID(own[1].PublicKey())}
			}
		}
	}
	say := func(why string, r *link.Root, signers ...link.Signer) {
		env := a.signRoot(r, signers...)
		a.p.sayRoot(env, a.l.logged(a.rootPayload(r)))
		a.probe()
		a.holds(fmt.Sprintf("trust root %d", r.Version))
		a.whys = append(a.whys, why)
	}
	all := slices.Concat(recovery, everyday, own)
	const old, new = "by the rules of version 2: role root", "by the rules of version 3: role root"
	say(old, next(3, ours), a.l.command, a.l.stop, a.l.logKey, a.l.ca)                                        // (a) every server key
	say(old, next(3, ours), recovery[0], own[0], own[1])                                                      // (b) one root key
	say(old, next(3, ours), own...)                                                                           // (c) the next root's keys only
	say(new, next(3, theirs), slices.Concat(recovery, everyday)...)                                           // this root's keys only
	say("cannot follow 2", next(4, ours), all...)                                                             // (d) one version left out
	say("not newer than 2", next(2, ours), all...)                                                            // (e) another root under the same number
	say(old, next(3), recovery[0], a.extra["recovery"], everyday[0])                                          // (f) two keys of one person
	a.p.sayRoot(a.roots[0], nil)                                                                              // (e) the root before, as it was
	a.p.sayRoot(a.signRoot(next(3), slices.Concat(recovery, everyday)...), a.l.logged(a.rootPayload(a.root))) // the proof of another
	a.probe()
	a.whys = append(a.whys, "trust root 1 is not newer", "the proof is of a leaf")
	// A recovery is never taken at once: it waits, and is shown.
	a.p.sayRoot(a.signRoot(next(3), recovery...), a.l.logged(a.rootPayload(next(3))))
	a.probe()
	a.holds("recovery keys alone")
	if st := a.m.status(); st.NextRoot == nil || st.NextRoot.Version != 3 || st.NextRoot.Left < 3600 {
		a.t.Errorf("the device does not show what waits: %+v", st.NextRoot)
	}
}

// rootsOnRecord finds each refused trust root, with the reason that was meant.
func (a *assault) rootsOnRecord() {
	a.t.Helper()
	var told []core.Event
	rig.Await(a.t, "the recovery on record", a.m.log.String, func() bool { return len(a.s.eventsOf(press, "root_pending")) == 1 })
	rig.Await(a.t, "the refused trust roots on record", func() string { return fmt.Sprint(told) }, func() bool {
		told = a.s.eventsOf(press, "root_refused")
		return len(told) == len(a.whys)
	})
	for _, why := range a.whys {
		i := slices.IndexFunc(told, func(e core.Event) bool { return strings.Contains(string(e.Fields), why) })
		if i < 0 {
			a.t.Errorf("no trust root was refused for %q", why)
			continue
		}
		told = slices.Delete(told, i, i+1)
	}
}
