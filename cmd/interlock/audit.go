package main

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

type auditCmd struct {
	Search auditSearchCmd `cmd:"" help:"Entries by actor, action, object, outcome and time."`
	Proof  auditProofCmd  `cmd:"" help:"The proof of one entry, as a file that public tools verify."`
	Export auditExportCmd `cmd:"" help:"The whole log as C2SP tlog-tiles, to keep and verify elsewhere."`
	Verify auditVerifyCmd `cmd:"" help:"Verify the running log, an export or the proof of one entry."`

	Succession auditSuccessionCmd `cmd:"" help:"Go on in a new log after the old one was damaged, by the recovery keys."`
}

type auditSearchCmd struct {
	Actor   string    `help:"Who did it, for example person/anna."`
	Action  string    `help:"What was done, for example device.quarantine."`
	Object  string    `help:"To what, for example device/press-7."`
	Outcome string    `help:"How it ended, for example permitted or refused."`
	Since   time.Time `help:"From this time on, as 2026-01-31T12:00:00Z." format:"2006-01-02T15:04:05Z07:00"`
	Until   time.Time `help:"Up to this time." format:"2006-01-02T15:04:05Z07:00"`
	Limit   int       `help:"At most this many; 0 for all." short:"n" default:"100"`
}

// Help implements kong's long help.
func (auditSearchCmd) Help() string {
	return `Every entry shown was proved against the log's tree when it was read. The reading is itself recorded. What entries say in full
stands in --json.

Example:
  interlock audit search --object device/press-7 --since 2026-01-31T00:00:00Z
  interlock audit search --action device.release --json`
}

// Run lists entries.
func (c *auditSearchCmd) Run(e *env) error {
	query := filter("actor", c.Actor, "action", c.Action, "object", c.Object, "outcome", c.Outcome)
	for name, at := range map[string]time.Time{"since": c.Since, "until": c.Until} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339))
		}
	}
	list, err := fetch[api.AuditEntry](e, listing{Limit: c.Limit}, "/v1/audit/entries", query)
	if err != nil {
		return err
	}
	return e.show(list, func(w io.Writer) { tellEntries(w, list) })
}

func tellEntries(w io.Writer, list []api.AuditEntry) {
	if len(list) == 0 {
		none(w, "entries")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		rows = append(rows, []string{strconv.FormatUint(r.Index, 10), r.Time.Format(time.DateTime), r.Type, r.Actor, r.Action, r.Object, r.Outcome})
	}
	table(w, "INDEX TIME TYPE ACTOR ACTION OBJECT OUTCOME", rows)
}

type auditProofCmd struct {
	Index  uint64 `arg:"" help:"The entry's index, as search and incidents show it."`
	Origin string `help:"The log's origin, where a successor has taken its place."`
	Out    string `help:"Write the proof to this file." type:"path"`
	Key    string `help:"The log's public key (C2SP vkey) instead of the one in your own copy of the trust root."`
}

// Help implements kong's long help.
func (auditProofCmd) Help() string {
	return `The proof is a c2sp.org/tlog-proof@v1 text that carries the entry's bytes. It is verified under the log key of your own copy of
the trust root before you get it; who has that key can verify it without this product.

Example:
  interlock audit proof 4711 --out 4711.tlog-proof
  interlock audit verify 4711.tlog-proof`
}

// Run fetches a proof and verifies it.
func (c *auditProofCmd) Run(e *env) error {
	query := url.Values{}
	if c.Origin != "" {
		query.Set("origin", c.Origin)
	}
	var proof []byte
	if err := e.client().Get(e.ctx, "/v1/audit/proofs/"+strconv.FormatUint(c.Index, 10), query, &proof); err != nil {
		return err
	}
	key, err := logKey(e, c.Key)
	if err != nil {
		return err
	}
	proven, err := verifyProof(proof, key)
	if err != nil {
		return fmt.Errorf("what the server sent: %w", err)
	}
	if proven.Position.Index != c.Index {
		return core.E(core.KindDamaged, "audit proof", fmt.Sprintf("the server sent the proof of entry %d", proven.Position.Index))
	}
	if c.Out == "" {
		_, err := io.Copy(e.out, bytes.NewReader(proof))
		return err
	}
	if err := atomicfile.WriteFile(c.Out, proof, 0o600); err != nil {
		return core.Wrap(core.KindUnavailable, "audit proof", err)
	}
	return e.show(provenEntry(proven), func(w io.Writer) { tellProven(w, c.Out, proven) })
}

type auditExportCmd struct {
	Dir string `arg:"" help:"A folder that is not there yet, or is empty." type:"path"`
}

// Help implements kong's long help.
func (auditExportCmd) Help() string {
	return `Content stays encrypted; the proofs do not need it.

Example:
  interlock audit export /media/usb/audit-2026-01
  interlock audit verify /media/usb/audit-2026-01`
}

// Run fetches the export. The folder appears whole or not at all.
func (c *auditExportCmd) Run(e *env) error {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(e.client().Copy(e.ctx, "/v1/audit/export", writer)) }()
	n, err := unpack(reader, c.Dir)
	_ = reader.Close() // ends the transfer where unpack gave up
	if err != nil {
		return err
	}
	return e.show(map[string]any{"dir": c.Dir, "files": n}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%d files in %s\nverify them with: interlock audit verify %s\n", n, printable(c.Dir), printable(c.Dir))
	})
}
