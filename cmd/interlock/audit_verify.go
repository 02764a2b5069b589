package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

type auditVerifyCmd struct {
	Path string `arg:"" optional:"" help:"An export's folder, or a proof of one entry. Without it the server verifies its running log." type:"path"`
	Key  string `help:"The log's public key (C2SP vkey) instead of the one in your own copy of the trust root."`
}

// Help implements kong's long help.
func (auditVerifyCmd) Help() string {
	return `With a path everything is recomputed here, from the files and the log key of your own copy of the trust root; no server is asked.
The key inside an export proves nothing: whoever made the export wrote it. Where a log succeeded a damaged one, the signatures of the
root role are checked too, by your own copy of the trust root and those that it replaced; what was lost is told as LOST.

Exit code 0 when everything fits, 1 when something was changed, removed or put in another's place (it says what and where),
2 when it could not be checked.

Example:
  interlock audit verify
  interlock audit verify /media/usb/audit-2026-01
  interlock audit verify 4711.tlog-proof --key "$(cat log.vkey)"`
}

// verdict is what an offline verification found.
type verdict struct {
	OK      bool           `json:"ok"`
	Problem string         `json:"problem,omitempty"`
	Path    string         `json:"path"`
	Logs    []logVerdict   `json:"logs,omitempty"`
	Gone    []goneLog      `json:"gone,omitempty"`
	Entry   *provenAtIndex `json:"entry,omitempty"`
}

// goneLog is a log of which nothing can be proved any more.
type goneLog struct {
	Origin string `json:"origin"`
	Lost   uint64 `json:"lost"`
}

// logVerdict is one log of an export, the newest last.
type logVerdict struct {
	Dir  string `json:"dir"`
	Root string `json:"root"` // in hex, as the server tells it
	// Lost is how many entries are known to have been in it and are not.
	Lost uint64 `json:"lost,omitempty"`
	// Begun says how a log that is not the first came to be: by a succession
	// that was signed, by one whose signatures nobody could check here, or by
	// damage that persons have not dealt with yet.
	Begun string `json:"begun,omitempty"` // signed | unchecked | damage
	*verify.Report
}

// How a log began.
const (
	begunSigned    = "signed"
	begunUnchecked = "unchecked"
	begunByDamage  = "damage"
)

// provenAtIndex is an entry whose proof holds.
type provenAtIndex struct {
	api.AuditEntry
	Size uint64 `json:"size"` // of the tree that it was proved in
}

// Run verifies what it was given.
func (c *auditVerifyCmd) Run(e *env) error {
	if c.Path == "" {
		return c.running(e)
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		return core.Wrap(core.KindNotFound, "audit verify", err)
	}
	key, err := logKey(e, c.Key)
	if err != nil {
		return err
	}
	out := verdict{Path: c.Path}
	if info.IsDir() {
		err = out.export(c.Path, key, c.successionCheck(e))
	} else {
		err = out.proof(c.Path, key)
	}
	if err != nil && core.KindOf(err) != core.KindDamaged {
		return err
	}
	out.OK = err == nil
	if err != nil {
		out.Problem = err.Error()
	}
	if err := e.show(out, func(w io.Writer) { tellVerdict(w, out) }); err != nil {
		return err
	}
	if !out.OK {
		return errFindings
	}
	return out.gap()
}

// running asks the server to recompute its log from the bytes on its disk.
func (c *auditVerifyCmd) running(e *env) error {
	var v api.Verified
	if err := e.client().Post(e.ctx, "/v1/audit/verify", nil, &v); err != nil {
		return err
	}
	err := e.show(v, func(w io.Writer) {
		if v.OK {
			_, _ = fmt.Fprintf(w, "%s: %d entries verified, root %s\n", printable(v.Origin), v.Size, printable(v.Root))
		} else {
			_, _ = fmt.Fprintf(w, "DAMAGED: %s\n", printable(v.Problem))
		}
	})
	if err == nil && !v.OK {
		err = errFindings
	}
	return err
}

// successionCheck judges the signatures under a succession by the trust roots
// that the user has and had; nil where the user brought a key instead.
func (c *auditVerifyCmd) successionCheck(e *env) func(statement, signatures []byte) error {
	history, err := ceremony.LoadHistory(e.global.Keys)
	if c.Key != "" || err != nil {
		return nil
	}
	return func(statement, signatures []byte) (err error) {
		for _, trust := range history {
			if err = trust.CheckStatement(statement, signatures); err == nil {
				return nil
			}
		}
		return err
	}
}

// export verifies a log and those that it succeeded, each by itself and in its
// place after the one before.
func (v *verdict) export(dir, key string, signed func(statement, signatures []byte) error) error {
	logs, err := verify.Chain(dir, func(origin string) string { return generationKey(key, []byte(origin)) }, signed)
	if err != nil {
		return err
	}
	for _, l := range logs {
		for _, gone := range l.Gone {
			v.Gone = append(v.Gone, goneLog{gone.Origin, gone.Lost()})
		}
		_, number := link.Generation(l.Origin)
		one := logVerdict{Dir: l.Dir, Root: hexRoot(l.Root), Lost: l.Lost, Report: l.Report}
		switch {
		case l.Statement != nil && signed != nil:
			one.Begun = begunSigned
		case l.Statement != nil:
			one.Begun = begunUnchecked
		case number > 1:
			one.Begun = begunByDamage
		}
		v.Logs = append(v.Logs, one)
	}
	return nil
}

// hexRoot turns the base64 of checkpoints into what status and verify show.
func hexRoot(root string) string {
	b, err := base64.StdEncoding.DecodeString(root)
	if err != nil {
		return root
	}
	return hex.EncodeToString(b)
}

func (v *verdict) proof(path, key string) error {
	b, err := readLimited(path, maxProofFile)
	if err != nil {
		return err
	}
	p, err := verifyProof(b, key)
	if err == nil {
		v.Entry = provenEntry(p)
	}
	return err
}

// gap says what was not looked at, or is not settled: that is never a pass.
func (v *verdict) gap() error {
	for _, l := range v.Logs {
		if l.Begun == begunUnchecked {
			return core.E(core.KindUnavailable, "audit verify", "the logs are whole and in their places; that persons signed the succession from one to the next was not checked").
				WithHint("verify it where your own copy of the trust root is, without --key")
		}
	}
	if n := len(v.Logs); n > 0 && v.Logs[n-1].Begun == begunByDamage {
		return core.E(core.KindUnavailable, "audit verify", v.Logs[n-1].Origin+" was begun because the log before it is damaged, and no succession is signed yet").
			WithHint("interlock audit succession statement")
	}
	return nil
}

// maxProofFile bounds a proof; verify has a closer limit of its own.
const maxProofFile = 1 << 20

// verifyProof verifies a proof by the log key, for whichever generation of the
// log it is.
func verifyProof(text []byte, key string) (*verify.Proven, error) {
	var p proof.TLogProof
	if p.Unmarshal(text) == nil { // what is malformed is verify's to say
		key = generationKey(key, p.Checkpoint)
	}
	return verify.Proof(text, key)
}

// logKey is the public key that a log is verified by: one that the user names,
// else that of the user's own copy of the trust root.
func logKey(e *env, named string) (string, error) {
	if named != "" {
		return strings.TrimSpace(named), nil
	}
	trust, err := ceremony.LoadTrust(e.global.Keys)
	if err != nil {
		return "", fmt.Errorf("the log key of your own copy of the trust root: %w", err)
	}
	return trust.Root().LogKey, nil
}

// generationKey is the vkey under which a checkpoint is to be verified: a log's
// successors are signed by the same key under the origin with /g2, /g3 behind
// it. Any other origin is left to fail.
func generationKey(vkey string, checkpoint []byte) string {
	origin, _, _ := strings.Cut(string(checkpoint[:min(len(checkpoint), 1<<10)]), "\n")
	name, rest, ok := strings.Cut(vkey, "+")
	_, encoded, ok2 := strings.Cut(rest, "+")
	line, _ := link.Generation(origin)
	if own, _ := link.Generation(name); !ok || !ok2 || origin == name || line != own {
		return vkey
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 33 {
		return vkey
	}
	if other, err := note.NewEd25519VerifierKey(origin, key[1:]); err == nil {
		return other
	}
	return vkey
}

func provenEntry(p *verify.Proven) *provenAtIndex {
	h := p.Header
	return &provenAtIndex{Size: p.Size, AuditEntry: api.AuditEntry{
		Position: p.Position, Time: time.UnixMicro(h.Time).UTC(), Type: string(h.Type), Actor: h.Actor, Action: string(h.Action),
		Object: h.Object, Outcome: h.Outcome,
	}}
}

var begunText = map[string]string{
	begunSigned:    "begun by a succession that the root role signed",
	begunUnchecked: "begun by a succession whose signatures were not checked",
	begunByDamage:  "begun because the log before it was damaged",
}

func tellVerdict(w io.Writer, v verdict) {
	if !v.OK {
		_, _ = fmt.Fprintf(w, "DAMAGED: %s\n", printable(v.Problem))
	}
	for _, l := range v.Gone {
		_, _ = fmt.Fprintf(w, "%s: nothing is left\n  LOST: %d entries are known to have been here; persons signed that they are gone\n", printable(l.Origin), l.Lost)
	}
	for _, l := range v.Logs {
		_, _ = fmt.Fprintf(w, "%s: %d entries verified, root %s\n", printable(l.Origin), l.Size, l.Root)
		if l.Lost > 0 {
			_, _ = fmt.Fprintf(w, "  LOST: %d entries after these are known to have been here; persons signed that they are gone\n", l.Lost)
		}
		if how := begunText[l.Begun]; how != "" {
			_, _ = fmt.Fprintf(w, "  %s\n", how)
		}
		if l.Size > 0 {
			_, _ = fmt.Fprintf(w, "  from %s to %s\n", time.UnixMicro(l.First).UTC().Format(time.RFC3339), time.UnixMicro(l.Last).UTC().Format(time.RFC3339))
		}
	}
	if v.Entry != nil {
		tellEntry(w, v.Path, v.Entry)
	}
}

func tellProven(w io.Writer, path string, p *verify.Proven) { tellEntry(w, path, provenEntry(p)) }

func tellEntry(w io.Writer, path string, p *provenAtIndex) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) }
	line("%s: entry %d is in %s (proved in its tree of %d)", path, p.Index, p.Origin, p.Size)
	line("  %s %s by %s: %s on %s %s", p.Time.Format(time.RFC3339), p.Type, p.Actor, p.Action, p.Object, p.Outcome)
}
