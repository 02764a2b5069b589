package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
)

// proof: the export verifies offline under the log key of the trust root, and
// holds at least what the server claimed.
func (st *story) proof(ctx context.Context) error {
	v, err := get[api.LogState](ctx, st, "/v1/audit/state")
	if err != nil {
		return err
	}
	dir := filepath.Join(st.o.Dir, "export")
	cmd := exec.CommandContext(ctx, st.o.Program, "--data", st.paths().Dir, "--keys", st.keys(), "audit", "export", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("interlock audit export: %w: %s", err, strings.TrimSpace(string(out)))
	}
	r, err := verify.Export(dir, st.trust.Root().LogKey)
	if err != nil {
		return err
	}
	if r.Size < v.Size {
		return core.E(core.KindDamaged, "demo", fmt.Sprintf("the export has %d entries, the server claimed %d", r.Size, v.Size))
	}
	st.told("%d entries verified from the export alone: every leaf hashed, every tile compared, the checkpoint's signature checked", r.Size)
	return os.RemoveAll(dir)
}

// summary ends the story with the figures of the incident.
func (st *story) summary() error {
	m := st.inc.Metrics
	_, err := fmt.Fprintf(st.o.Out, "\nincident %s closed; detected in %.2f s, contained %.2f s later, recovered %.2f s after detection\naudit log: %d entries; %d lines told, each checked\n",
		st.inc.ID, m["detect"], m["contain"], m["recover"], st.server.Audit.Size(), st.lines)
	return err
}
