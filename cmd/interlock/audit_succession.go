package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

type auditSuccessionCmd struct {
	Statement successionStatementCmd `cmd:"" help:"Fetch what the recovery keys are to sign: which entries can be proved, which are lost."`
	Sign      successionSignCmd      `cmd:"" help:"Read the statement from its exact bytes and sign it with recovery keys."`
	Submit    successionSubmitCmd    `cmd:"" help:"Hand the signed statement to the server, which begins the new log."`
	Root      successionRootCmd      `cmd:"" help:"Prepare the next trust root, which names the new log, to be signed and published."`
}

// shownStatement is a statement as people see it.
type shownStatement struct {
	Hash      string          `json:"hash"`
	Code      string          `json:"code"`
	Statement audit.Statement `json:"statement"`
	Lost      uint64          `json:"lost"`
	Roles     []roleSigners   `json:"roles,omitempty"` // by the own copy of the trust root, where there is one
}

// statementView reads a statement from the bytes that are signed.
func statementView(payload []byte) (*shownStatement, error) {
	s, err := audit.ParseStatement(payload)
	if err != nil {
		return nil, err
	}
	v := &shownStatement{Hash: fmt.Sprintf("%x", link.BatchHash(payload)), Code: link.ShortCode(payload), Statement: s}
	for _, p := range s.Predecessors {
		v.Lost += p.Lost()
	}
	return v, nil
}

func tellStatement(w io.Writer, v *shownStatement) {
	line := labelled(w)
	line("sha256", "%s", v.Hash)
	line("short code", "%s", v.Code)
	line("new log", "%s", v.Statement.Origin)
	line("because", "%s", v.Statement.Reason)
	for _, p := range v.Statement.Predecessors {
		line("given up", "%s: %d entries can be proved, root %x", p.Origin, p.Size, p.Root)
		if lost := p.Lost(); lost > 0 {
			line("  LOST", "%d entries: %d are known to have been in it", lost, p.Known)
		}
	}
	for _, r := range v.Roles {
		line(r.By, "needs %s, has %d", r.Need, len(r.Signed))
		for _, s := range r.Signed {
			line("", "signed   %s", s)
		}
		for _, m := range r.Missing {
			line("", "missing  %s", m)
		}
	}
}

type successionStatementCmd struct {
	Out string `help:"Write the exact bytes to this file, to be signed." type:"path"`
}

// Help implements kong's long help.
func (successionStatementCmd) Help() string {
	return `Only a damaged log has one. The server's folder stays as it is; restore a whole copy of it if you have one. What the statement
calls lost was known to the server's database or is in the hands of devices, and cannot be proved from here any more.

Example:
  interlock audit succession statement
  interlock audit succession statement --out /media/usb/succession.json`
}

// Run fetches the statement and shows it from its bytes.
func (c *successionStatementCmd) Run(e *env) error {
	var answer api.Statement
	if err := e.client().Get(e.ctx, "/v1/audit/succession", nil, &answer); err != nil {
		return err
	}
	v, err := statementView(answer.Statement)
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := atomicfile.WriteFile(c.Out, answer.Statement, 0o600); err != nil {
			return core.Wrap(core.KindUnavailable, "audit succession statement", err)
		}
	}
	return e.show(v, func(w io.Writer) {
		tellStatement(w, v)
		if c.Out != "" {
			_, _ = fmt.Fprintf(w, "\nwritten to %s; sign it with: interlock audit succession sign %s --out SIGNED --recovery\n", printable(c.Out), printable(c.Out))
		}
	})
}

type successionSignCmd struct {
	File string `arg:"" help:"The statement, or the envelope that others have signed already." type:"path"`
	recoverySigners
	Out string `help:"Where the signed statement goes; by default it replaces an envelope." type:"path"`
	Yes bool   `help:"Don't ask; the statement is still printed."`
}

// Help implements kong's long help.
func (successionSignCmd) Help() string {
	return `Whoever signs says: what is lost is lost, the record goes on in the new log. Compare the numbers with what you know, for example
with an export of your own. It takes the root role of the trust root in force, as a new trust root does.

The first to sign gives the statement and --out; from then on the envelope goes from person to person.

Example:
  interlock audit succession sign succession.json --out signed.json --recovery
  interlock audit succession sign signed.json --key /media/usb/recovery-2`
}

// Run prints, asks, signs and writes.
func (c *successionSignCmd) Run(e *env) error {
	env, err := readStatement(c.File)
	if err != nil {
		return err
	}
	if len(env.Signatures) == 0 && c.Out == "" {
		return core.E(core.KindInvalid, "audit succession sign", "a statement that nobody has signed yet needs --out for the signed one")
	}
	trust, err := ceremony.LoadTrust(e.global.Keys)
	if err != nil {
		return fmt.Errorf("your own copy of the trust root: %w", err)
	}
	v, err := statementView(env.Payload)
	if err != nil {
		return err
	}
	if err := isOurs(v.Statement, trust.Root()); err != nil {
		return err
	}
	signing, err := c.signers(e)
	if err != nil {
		return err
	}
	if err := areRecovery(signing, trust.Root()); err != nil {
		return err
	}
	tellStatement(e.talk(), v)
	if !c.Yes && !confirmed(e, "Sign exactly this? [yes/no] ") {
		return core.E(core.KindConflict, "audit succession sign", "nothing was signed")
	}
	return c.sign(e, env, signing, trust, v)
}

func (c *successionSignCmd) sign(e *env, env *link.Envelope, signing []link.Signer, trust *link.Trust, v *shownStatement) error {
	b, err := addSignatures(env, signing)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = c.File
	}
	if err := atomicfile.WriteFile(out, append(b, '\n'), 0o600); err != nil {
		return core.Wrap(core.KindUnavailable, "audit succession sign", err)
	}
	v.Roles = []roleSigners{whoSigned(env, trust.Root(), link.RoleRoot)}
	enough := trust.CheckStatement(env.Payload, b) == nil
	return e.show(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "signed; written to %s\n", printable(out))
		tellStatement(w, &shownStatement{Hash: v.Hash, Code: v.Code, Statement: v.Statement, Roles: v.Roles})
		if enough {
			_, _ = fmt.Fprintf(w, "it is complete: interlock audit succession submit %s\n", printable(out))
		}
	})
}

// readStatement reads the bare statement or the envelope around it.
func readStatement(file string) (*link.Envelope, error) {
	b, err := readLimited(file, link.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	env, envErr := link.ParseEnvelope(b)
	if envErr == nil {
		return env, nil
	}
	b = bytes.TrimSuffix(b, []byte("\n")) // an editor's; it is not part of what is signed
	if _, err := audit.ParseStatement(b); err != nil {
		return nil, core.E(core.KindInvalid, "audit succession", fmt.Sprintf("%s is no envelope (%v) and no statement (%v)", file, envErr, err))
	}
	return &link.Envelope{Payload: b, Signatures: []link.Signature{}}, nil
}

// isOurs refuses the statement of another log than the one that the own trust
// root names.
func isOurs(s audit.Statement, r *link.Root) error {
	named := slices.ContainsFunc(s.Predecessors, func(p audit.Predecessor) bool { return p.Origin == r.LogOrigin })
	if !named || !link.IsLaterLog(s.Origin, r.LogOrigin) {
		return core.E(core.KindDenied, "audit succession", fmt.Sprintf("the statement is of log %s, which does not follow %s, the one that your trust root %d names", s.Origin, r.LogOrigin, r.Version)).
			WithHint("do not sign it; if the trust root is older than the server's: interlock root follow")
	}
	return nil
}

// areRecovery refuses keys that count for nothing under a statement.
func areRecovery(list []link.Signer, r *link.Root) error {
	for _, s := range list {
		if id := link.KeyID(s.PublicKey()); !slices.Contains(roleOf(r, link.RoleRoot).KeyIDs, id) {
			return core.E(core.KindDenied, "audit succession sign", fmt.Sprintf("key %s is no recovery key of trust root %d", id, r.Version))
		}
	}
	return nil
}

type successionSubmitCmd struct {
	File string `arg:"" help:"The signed statement." type:"path"`
}

// Help implements kong's long help.
func (successionSubmitCmd) Help() string {
	return `The server counts the signatures under the trust root in force and begins the new log, whose first entry holds statement and
signatures. From then on it works as before. Afterwards publish the trust root that names the new log.

Example:
  interlock audit succession submit signed.json`
}

// Run hands the statement in.
func (c *successionSubmitCmd) Run(e *env) error {
	b, err := readLimited(c.File, link.MaxEnvelope)
	if err != nil {
		return err
	}
	if _, err := link.ParseEnvelope(b); err != nil {
		return err
	}
	var state api.LogState
	if err := e.client().Post(e.ctx, "/v1/audit/succession", json.RawMessage(b), &state); err != nil {
		return err
	}
	return e.show(state, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "the record goes on in %s, mode %s\nnow name it in the trust root: interlock audit succession root %s --out next.json\n",
			printable(state.Origin), printable(state.Mode), printable(c.File))
	})
}

type successionRootCmd struct {
	File string `arg:"" help:"The statement, signed or not: it names the new log." type:"path"`
	Out  string `help:"Write the document to this file." type:"path"`
}

// Help implements kong's long help.
func (successionRootCmd) Help() string {
	return `Your own copy of the trust root, one version higher, with the new log in place of the old one and nothing else changed. The key
stays the same; only the log's name is new. It can be signed in the same sitting as the statement, and published after that.

Example:
  interlock audit succession root signed.json --out next.json
  interlock root sign next.json --out root-2.json --as owner --recovery
  interlock root publish root-2.json && interlock root follow`
}

// Run writes the document.
func (c *successionRootCmd) Run(e *env) error {
	env, err := readStatement(c.File)
	if err != nil {
		return err
	}
	s, err := audit.ParseStatement(env.Payload)
	if err != nil {
		return err
	}
	trust, err := ceremony.LoadTrust(e.global.Keys)
	if err != nil {
		return fmt.Errorf("your own copy of the trust root: %w", err)
	}
	next, err := namingLog(trust.Root(), s, time.Now())
	if err != nil {
		return err
	}
	payload, err := link.EncodeRoot(next)
	if err != nil {
		return err
	}
	if c.Out == "" {
		return printDocument(e.out, payload)
	}
	if err := atomicfile.WriteFile(c.Out, payload, 0o600); err != nil {
		return core.Wrap(core.KindUnavailable, "audit succession root", err)
	}
	return e.show(next, func(w io.Writer) {
		for _, l := range changes(trust.Root(), next) {
			_, _ = fmt.Fprintln(w, l)
		}
		_, _ = fmt.Fprintf(w, "written to %s; sign it with: interlock root sign %s --out root-%d.json --as NAME --recovery\n", printable(c.Out), printable(c.Out), next.Version)
	})
}

// namingLog is the version after old that names the log which the statement
// begins.
func namingLog(old *link.Root, s audit.Statement, now time.Time) (*link.Root, error) {
	if err := isOurs(s, old); err != nil {
		return nil, err
	}
	key, err := link.LaterLogKey(old.LogKey, s.Origin)
	if err != nil {
		return nil, err
	}
	next := *old
	next.Version, next.LogKey, next.LogOrigin = old.Version+1, key, s.Origin
	next.Issued = max(old.Issued, now.UnixMicro())
	if next.ReviewBy <= next.Issued { // it lay long unreviewed: the same span again
		next.ReviewBy = next.Issued + old.ReviewBy - old.Issued
	}
	return &next, nil
}

// recoverySigners are the flags that name recovery keys.
type recoverySigners struct {
	Recovery bool     `help:"Sign with every recovery key that still lies in --keys."`
	Key      []string `help:"Sign with this OpenSSH private key, for example on a stick; repeat it." placeholder:"FILE" type:"path"`
}

// signers opens the keys that the flags name.
func (c *recoverySigners) signers(e *env) ([]link.Signer, error) {
	var list []link.Signer
	if c.Recovery {
		names, err := ceremony.RecoveryKeysPresent(e.global.Keys)
		if err == nil && len(names) == 0 {
			err = core.E(core.KindNotFound, "sign", "no recovery key lies in "+e.global.Keys).WithHint("name the one on your stick with --key FILE")
		}
		for _, n := range names {
			s, loadErr := ceremony.LoadRecoverySigner(e.global.Keys, n)
			list, err = append(list, s), errors.Join(err, loadErr)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, path := range c.Key {
		s, err := ceremony.LoadSigner(path)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, core.E(core.KindInvalid, "sign", "who signs?").WithHint("name a key: --recovery or --key FILE")
	}
	return list, nil
}

// addSignatures signs the envelope's payload as trust roots and statements are
// signed, and encodes it.
func addSignatures(env *link.Envelope, signing []link.Signer) ([]byte, error) {
	for _, s := range signing {
		sig, err := link.Sign(s, link.NamespaceRoot, env.Payload)
		if err != nil {
			return nil, err
		}
		if err := env.Add(sig); err != nil {
			return nil, err
		}
	}
	return env.Encode()
}
