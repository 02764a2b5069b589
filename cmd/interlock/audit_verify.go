package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link/ceremony"
)

type auditVerifyCmd struct {
	Path string `arg:"" optional:"" help:"An export's folder, or a proof of one entry. Without it the server verifies its running log." type:"path"`
	Key  string `help:"The log's public key (C2SP vkey) instead of the one in your own copy of the trust root."`
}

// Help implements kong's long help.
func (auditVerifyCmd) Help() string {
	return `With a path everything is recomputed here, from the files and the log key of your own copy of the trust root; no server is asked.
The key inside an export proves nothing: whoever made the export wrote it.

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
	Entry   *provenAtIndex `json:"entry,omitempty"`
}

// logVerdict is one log of an export, the newest last.
type logVerdict struct {
	Dir  string `json:"dir"`
	Root string `json:"root"` // in hex, as the server tells it
	*verify.Report
}

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
		err = out.export(c.Path, key)
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

// export verifies a log and those that it succeeded, each by itself.
func (v *verdict) export(dir, key string) error {
	dirs, err := filepath.Glob(filepath.Join(dir, "predecessors", "*"))
	if err != nil {
		return core.Wrap(core.KindInvalid, "audit verify", err)
	}
	for _, d := range append(dirs, dir) {
		head, err := os.ReadFile(filepath.Join(d, "checkpoint"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return core.Wrap(core.KindUnavailable, "audit verify", err)
		}
		report, err := verify.Export(d, generationKey(key, head))
		if err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
		v.Logs = append(v.Logs, logVerdict{d, hexRoot(report.Root), report})
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

// gap says what was not looked at: that is never a pass.
func (v *verdict) gap() error {
	if len(v.Logs) < 2 {
		return nil
	}
	return core.E(core.KindUnavailable, "audit verify", "each log is whole by itself; that persons signed the succession from one to the next was not checked").
		WithHint("compare the statement in the file succession with what was signed")
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

var generation = regexp.MustCompile(`/g[1-9][0-9]{0,4}$`)

// generationKey is the vkey under which a checkpoint is to be verified: a log's
// successors are signed by the same key under the origin with /g2, /g3 behind
// it. Any other origin is left to fail.
func generationKey(vkey string, checkpoint []byte) string {
	origin, _, _ := strings.Cut(string(checkpoint[:min(len(checkpoint), 1<<10)]), "\n")
	name, rest, ok := strings.Cut(vkey, "+")
	_, encoded, ok2 := strings.Cut(rest, "+")
	base := generation.ReplaceAllString(name, "")
	if !ok || !ok2 || origin == name || generation.ReplaceAllString(origin, "") != base {
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

func tellVerdict(w io.Writer, v verdict) {
	if !v.OK {
		_, _ = fmt.Fprintf(w, "DAMAGED: %s\n", printable(v.Problem))
	}
	for _, l := range v.Logs {
		_, _ = fmt.Fprintf(w, "%s: %d entries verified, root %s\n", printable(l.Origin), l.Size, l.Root)
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
