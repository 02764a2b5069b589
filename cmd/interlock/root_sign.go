package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

type rootSignCmd struct {
	File string `arg:"" help:"The proposal: a signed envelope, or the edited document itself." type:"path"`
	As   string `help:"Sign with this person's everyday key, from --keys or the ssh-agent."`
	recoverySigners
	From string `help:"The trust root before it, where you have no own copy (a person who is new in it)." type:"path"`
	Out  string `help:"Where the signed proposal goes; by default it replaces FILE." type:"path"`
	Yes  bool   `help:"Don't ask; the document is still printed."`
}

// Help implements kong's long help.
func (rootSignCmd) Help() string {
	return `A new version is signed by the root role of the version before it and by its own: with recovery keys. With an everyday key of the
policy role beside them devices take it at once, otherwise after the recovery delay.

The first to sign gives the edited document and --out; from then on the signed proposal goes from person to person.

Example:
  interlock root show --document > next.json     (edit it: version, issued, and what changes)
  interlock root sign next.json --out root-2.json --as owner --recovery
  interlock root sign root-2.json --key /media/usb/recovery-2
  interlock root verify root-2.json && interlock root publish root-2.json`
}

// Run prints, asks, signs and writes.
func (c *rootSignCmd) Run(e *env) error {
	env, err := c.proposal()
	if err != nil {
		return err
	}
	next, err := link.DecodeRoot(env.Payload)
	if err != nil {
		return err
	}
	old, err := rootBefore(e, c.From)
	if err != nil {
		return err
	}
	if err := continues(old.Root(), next); err != nil {
		return err
	}
	signing, err := c.signers(e, old.Root(), next)
	if err != nil {
		return err
	}
	if err := areKnown(signing, old.Root(), next); err != nil {
		return err
	}
	if err := c.ask(e, env.Payload, next, old.Root()); err != nil {
		return err
	}
	return c.sign(e, env, signing, old)
}

// proposal reads an envelope, or puts an edited document into one in the one
// encoding that is signed.
func (c *rootSignCmd) proposal() (*link.Envelope, error) {
	b, err := readLimited(c.File, link.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	env, envErr := link.ParseEnvelope(b)
	if envErr == nil {
		return env, nil
	}
	var doc link.Root
	if err := link.DecodeStrict(b, &doc); err != nil {
		return nil, core.E(core.KindInvalid, "root sign", fmt.Sprintf("%s is no envelope (%v) and no document (%v)", c.File, envErr, err))
	}
	if c.Out == "" {
		return nil, core.E(core.KindInvalid, "root sign", "a document that nobody has signed yet needs --out for the signed one")
	}
	payload, err := link.EncodeRoot(&doc)
	if err != nil {
		return nil, err
	}
	return &link.Envelope{Payload: payload, Signatures: []link.Signature{}}, nil
}

// rootBefore is the trust root that a proposal would follow.
func rootBefore(e *env, file string) (*link.Trust, error) {
	if file == "" {
		t, err := ceremony.LoadTrust(e.global.Keys)
		if err != nil {
			return nil, fmt.Errorf("your own copy of the trust root: %w", err)
		}
		return t, nil
	}
	b, err := readLimited(file, link.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	_, v, err := inspect(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return link.NewTrust(b, v.Hash)
}

// continues refuses what no device that has old would ever take.
func continues(old, next *link.Root) error {
	switch {
	case next.Installation != old.Installation || next.Tenant != old.Tenant:
		return core.E(core.KindDenied, "root sign", fmt.Sprintf("the proposal is for installation %q, tenant %s; the root before it is of %q, %s", next.Installation, next.Tenant, old.Installation, old.Tenant))
	case next.Version != old.Version+1:
		return core.E(core.KindConflict, "root sign", fmt.Sprintf("the proposal has version %d and would have to be %d", next.Version, old.Version+1)).
			WithHint(`set "version" in the document before anybody signs it`)
	case next.Issued < old.Issued:
		return core.E(core.KindConflict, "root sign", "the proposal is issued before the version that it follows").WithHint(`set "issued" to now, in microseconds: date +%s000000`)
	}
	return nil
}

func (c *rootSignCmd) signers(e *env, roots ...*link.Root) ([]link.Signer, error) {
	if c.As == "" {
		return c.recoverySigners.signers(e)
	}
	own, err := personSigner(e, c.As, roots...)
	if err != nil || !c.Recovery && len(c.Key) == 0 {
		return []link.Signer{own}, err
	}
	list, err := c.recoverySigners.signers(e)
	return append([]link.Signer{own}, list...), err
}

// areKnown refuses keys that count for nobody, before somebody thinks to have
// signed.
func areKnown(list []link.Signer, roots ...*link.Root) error {
	for _, s := range list {
		id := link.KeyID(s.PublicKey())
		if !slices.ContainsFunc(roots, func(r *link.Root) bool { return ownerOf(r, id) != "" }) {
			return core.E(core.KindDenied, "root sign", fmt.Sprintf("key %s is no person's in the proposal nor in the root before it", id))
		}
	}
	return nil
}

// ask shows the document from the bytes that will be signed, and what it changes.
func (c *rootSignCmd) ask(e *env, payload []byte, next, old *link.Root) error {
	w := e.talk()
	sum := link.BatchHash(payload)
	labelled(w)("sha256", "%x", sum)
	labelled(w)("short code", "%s", link.ShortCode(payload))
	tellDocument(w, next)
	_, _ = fmt.Fprintf(w, "\nWhat it changes in version %d:\n", old.Version)
	for _, l := range changes(old, next) {
		_, _ = fmt.Fprintln(w, l)
	}
	if !c.Yes && !confirmed(e, "Sign exactly this? [yes/no] ") {
		return core.E(core.KindConflict, "root sign", "nothing was signed")
	}
	return nil
}

// changes are the lines that only one of two roots has.
func changes(old, next *link.Root) []string {
	var out []string
	a, b := documentLines(old), documentLines(next)
	for _, side := range []struct {
		mark        string
		these, than []string
	}{{"  - ", a, b}, {"  + ", b, a}} {
		for _, l := range side.these {
			if !slices.Contains(side.than, l) {
				out = append(out, side.mark+l)
			}
		}
	}
	return out
}

func documentLines(r *link.Root) []string {
	var b strings.Builder
	tellDocument(&b, r)
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

func (c *rootSignCmd) sign(e *env, env *link.Envelope, signing []link.Signer, old *link.Trust) error {
	b, err := addSignatures(env, signing)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = c.File
	}
	if err := atomicfile.WriteFile(out, append(b, '\n'), 0o600); err != nil {
		return core.Wrap(core.KindUnavailable, "root sign", err)
	}
	j, err := judge(old, b, nil)
	if err != nil {
		return err
	}
	return e.show(j, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "signed; written to %s\n", printable(out))
		tellJudgement(w, j)
	})
}

type rootPublishCmd struct {
	File string `arg:"" help:"The signed trust root." type:"path"`
}

// Help implements kong's long help.
func (rootPublishCmd) Help() string {
	return `The server verifies it as a device does, logs it and relays it; it can't change it. Afterwards each person runs: interlock root follow

Example:
  interlock root publish root-2.json`
}

// Run sends a root that verifies here.
func (c *rootPublishCmd) Run(e *env) error {
	b, err := readLimited(c.File, link.MaxEnvelope)
	if err != nil {
		return err
	}
	_, seen, err := inspect(b)
	if err != nil {
		return err
	}
	var v api.RootVersion
	if err := e.client().Post(e.ctx, "/v1/root", json.RawMessage(b), &v); err != nil {
		return err
	}
	if _, err := knownSince(e.global.Keys, seen.Hash); err != nil { // from now on, for a later follow
		return err
	}
	return e.show(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "trust root %d (%s) is published; once the server has it in force, bring your own copy to it with: interlock root follow\n", v.Version, short(v.Hash))
	})
}

type rootFollowCmd struct{}

// Help implements kong's long help.
func (rootFollowCmd) Help() string {
	return `Your own copy takes the next version only if a device would: signed by both versions and proved to be in the log. One that recovery
keys alone signed waits out the recovery delay here too; run it again then.

Example:
  interlock root follow`
}

// Run takes over the server's root where the rules allow it.
func (rootFollowCmd) Run(e *env) error {
	own, err := ceremony.LoadTrust(e.global.Keys)
	if err != nil {
		return err
	}
	var v api.RootVersion
	if err := e.client().Get(e.ctx, "/v1/root", nil, &v); err != nil {
		return err
	}
	_, seen, err := inspect(v.Envelope)
	if err != nil {
		return err
	}
	if seen.Hash == own.Hash() {
		return e.show(seen, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "your copy is the server's: version %d\n", seen.Document.Version)
		})
	}
	proof, err := rootProof(e, seen.Hash)
	if err != nil {
		return err
	}
	waited, err := knownSince(e.global.Keys, seen.Hash)
	if err != nil {
		return err
	}
	next, err := ceremony.SaveNext(e.global.Keys, v.Envelope, proof, waited)
	if err != nil {
		return err
	}
	_ = os.Remove(waitingFile(e.global.Keys, seen.Hash)) // it has done its work
	return e.show(rootView(next.Envelope(), next), func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "your copy is now version %d, sha256 %s\n", next.Root().Version, next.Hash())
	})
}

// rootProof fetches the proof that a root is in the log. The entry's index is
// the server's word; the proof is not.
func rootProof(e *env, hash string) ([]byte, error) {
	list, _, _, err := client.List[api.AuditEntry](e.ctx, e.client(), "/v1/audit/entries", filter("object", link.RootObject(hash)), 0)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(x api.AuditEntry) bool { return x.Type != link.LeafAuthority })
	if len(list) == 0 {
		return nil, core.E(core.KindNotFound, "root follow", "the server's log has no entry of trust root "+short(hash)).WithHint("do not believe this root")
	}
	var proof []byte
	err = e.client().Get(e.ctx, fmt.Sprintf("/v1/audit/proofs/%d", list[0].Index), map[string][]string{"origin": {list[0].Origin}}, &proof)
	return proof, err
}

func waitingFile(dir, hash string) string { return filepath.Join(dir, "waiting-"+short(hash)) }

// knownSince is how long a root has been known here: since this verb first saw
// it. Neither the root nor the server says so.
func knownSince(dir, hash string) (time.Duration, error) {
	path := waitingFile(dir, hash)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, core.Wrap(core.KindUnavailable, "root follow", atomicfile.WriteFile(path, []byte(hash+"\n"), 0o600))
	}
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "root follow", err)
	}
	return max(0, time.Since(info.ModTime())), nil
}
