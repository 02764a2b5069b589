package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// Limits on the parts of a warrant.
const (
	maxLeaf  = 64 << 10
	maxProof = 64 << 10
)

// Evaluator is the copy of the policy that keys asks: policy.Set.
type Evaluator interface {
	Evaluate(who core.Principal, action core.Action, on core.Resource) core.Decision
}

// admit checks a warrant as permitted does, and that its intent was not used.
// What it returns has yet to be spent.
func (k *keeper) admit(w Warrant, tenant core.TenantID, object string, actions ...core.Action) (intent, error) {
	in, err := k.permitted(w, tenant, object, actions...)
	if err != nil {
		return intent{}, err
	}
	return in, k.ledger.spendable(in.at)
}

// permitted checks a warrant for an act on object of tenant, for which one of
// the actions is needed.
func (k *keeper) permitted(w Warrant, tenant core.TenantID, object string, actions ...core.Action) (intent, error) {
	const op = "keys.admit"
	if k.trust == nil {
		return intent{}, core.E(core.KindConflict, op, "no trust root was adopted, so no intent can be verified").WithHint("hold the ceremony first: interlock root init")
	}
	switch {
	case tenant.IsZero() || tenant != k.trust.Root().Tenant:
		return intent{}, core.E(core.KindDenied, op, fmt.Sprintf("tenant %q is not that of the trust root", tenant))
	case w.Principal.Tenant != tenant || w.Resource.Tenant != tenant:
		return intent{}, core.E(core.KindDenied, op, fmt.Sprintf("principal of tenant %q and resource of tenant %q in a request for tenant %q", w.Principal.Tenant, w.Resource.Tenant, tenant))
	case !slices.Contains(actions, w.Action):
		return intent{}, core.E(core.KindDenied, op, fmt.Sprintf("the warrant is for %q, this takes %v", w.Action, actions))
	case w.Resource.String() != object:
		return intent{}, core.E(core.KindDenied, op, fmt.Sprintf("the warrant is for %q, asked is %q", w.Resource, object))
	}
	if d := k.o.Policy.Evaluate(w.Principal, w.Action, w.Resource); !d.Allowed {
		return intent{}, core.E(core.KindDenied, op, fmt.Sprintf("the policy of the keys process refuses %s %s on %s: %s", w.Principal, w.Action, object, d.Reason))
	}
	return k.proven(w, object)
}

// proven verifies the intent and its place in the log.
func (k *keeper) proven(w Warrant, object string) (intent, error) {
	at, err := included(k.trust, w.Leaf, w.Proof)
	if err != nil {
		return intent{}, err
	}
	if err := matches(w, object); err != nil {
		return intent{}, err
	}
	return intent{at, w.Principal.String(), w.Action, object}, nil
}

// included verifies the proof under the trust root's log key, in the log that
// the root names or in one that followed it after damage: containment goes on
// then (F14), and intents of two logs are never taken for one another. It does
// not wait for witnesses either: what keys signs never loosens, and containment
// must not depend on somebody else's answer.
func included(t *link.Trust, leaf, text []byte) (core.Position, error) {
	const op = "keys.included"
	if len(leaf) > maxLeaf || len(text) > maxProof {
		return core.Position{}, core.E(core.KindTooLarge, op, fmt.Sprintf("leaf of %d and proof of %d bytes; at most %d and %d are read", len(leaf), len(text), maxLeaf, maxProof))
	}
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return core.Position{}, core.Wrap(core.KindInvalid, op, err)
	}
	if !bytes.Equal(p.Marshal(), text) {
		return core.Position{}, core.E(core.KindInvalid, op, "the proof is not in canonical form")
	}
	cp, err := link.VerifyCheckpoint(t, string(p.Checkpoint))
	if err != nil {
		return core.Position{}, err
	}
	if p.Index >= cp.Size {
		return core.Position{}, core.E(core.KindInvalid, op, fmt.Sprintf("index %d is not in a log of size %d", p.Index, cp.Size))
	}
	path := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		path[i] = h
	}
	if err := tlog.CheckRecord(path, int64(cp.Size), cp.Root, int64(p.Index), tlog.RecordHash(leaf)); err != nil {
		return core.Position{}, core.E(core.KindDamaged, op, fmt.Sprintf("the intent is not leaf %d of the log: %v", p.Index, err))
	}
	return core.Position{Origin: cp.Origin, Index: p.Index}, nil
}

// The words of an intent's clear header.
const (
	leafIntent    = "intent"
	leafPermitted = "permitted"
)

// matches holds the leaf's clear header against the warrant.
func matches(w Warrant, object string) error {
	h, err := readHeader(w.Leaf)
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, have, want string }{
		{"type", h["type"], leafIntent},
		{"outcome", h["outcome"], leafPermitted},
		{"action", h["action"], string(w.Action)},
		{"object", h["object"], object},
	} {
		if f.have != f.want {
			return core.E(core.KindDenied, "keys.matches", fmt.Sprintf("the intent's %s is %.80q, the request's is %.80q", f.name, f.have, f.want))
		}
	}
	if !sameActor(h["actor"], w.Principal) {
		return core.E(core.KindDenied, "keys.matches", fmt.Sprintf("the intent's actor %.80q is not %s", h["actor"], w.Principal))
	}
	return nil
}

// sameActor compares as far as the log tells. It writes programs and devices by
// name and everybody else under a pseudonym ("person/~1f..") that needs a key
// which keys does not have; there the kind has to do.
func sameActor(actor string, p core.Principal) bool {
	if actor == p.String() {
		return true
	}
	named := p.Kind == core.KindDevice || p.Kind == core.KindService
	return !named && strings.HasPrefix(actor, string(p.Kind)+"/~")
}

// readHeader returns the texts of the leaf's first line, one strict JSON object.
// What follows it is ciphertext.
func readHeader(leaf []byte) (map[string]string, error) {
	const op = "keys.readHeader"
	line, _, _ := bytes.Cut(leaf, []byte("\n"))
	var fields map[string]json.RawMessage
	if err := link.DecodeStrict(line, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if string(fields["v"]) != "1" {
		return nil, core.E(core.KindInvalid, op, "the intent is not a leaf of version 1")
	}
	out := map[string]string{}
	for _, name := range []string{"type", "action", "object", "actor", "outcome"} {
		var s string
		if err := link.DecodeStrict(fields[name], &s); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", op, name, err)
		}
		out[name] = s
	}
	return out, nil
}
