package main

import (
	"fmt"
	"io"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/provenance"
)

type scanProvenanceCmd struct {
	scanOutput
	Path     string   `arg:"" help:"The artifact." type:"path" placeholder:"FILE"`
	Evidence []string `help:"A signature, bundle or attestation; without it, those beside the artifact (.minisig, .sigstore.json, .intoto.jsonl ...). Repeatable." sep:"none" type:"path" placeholder:"FILE"`
	Policy   string   `help:"Whom you trust for it (docs/howto/verify-provenance.md)." required:"" type:"path" placeholder:"FILE"`
}

// Help implements kong's long help.
func (scanProvenanceCmd) Help() string {
	return `Says whether an artifact is what its maker signed, and was built where and from what the policy demands. Nothing is fetched: keys,
identities and Sigstore's trusted root are yours.

Exit code 0 when it is verified, 1 when it is not or nothing speaks for it, 2 when nothing could be checked.

Example:
  interlock scan provenance --policy release.yaml interlock-linux-amd64.tar.gz`
}

// Run verifies.
func (c *scanProvenanceCmd) Run(e *env) error {
	policy, err := provenance.ReadPolicy(c.Policy)
	if err != nil {
		return err
	}
	artifact, err := provenance.File(c.Path, c.Evidence...)
	if err != nil {
		return err
	}
	result, err := provenance.Verify(e.ctx, artifact, policy)
	if err != nil {
		return err
	}
	if c.format(e) == "text" && c.Output == "" {
		tellChecks(e.out, &result)
	}
	report := result.Report(time.Now().UTC())
	return c.deliver(e, []*scanning.Report{&report}...)
}

func tellChecks(w io.Writer, r *provenance.Result) {
	_, _ = fmt.Fprintf(w, "%s: %s: %s\n", onOneLine(r.Artifact), r.State, onOneLine(r.Why))
	for _, check := range r.Checks {
		_, _ = fmt.Fprintf(w, "  %-12s %s: %s\n", check.State, onOneLine(check.Evidence), onOneLine(check.Why))
	}
}
