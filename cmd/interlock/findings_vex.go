package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/url"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

type findingsVEXCmd struct {
	Export vexExportCmd `cmd:"" help:"Write what we say of our findings, for others: OpenVEX, CSAF or CycloneDX."`
	Import vexImportCmd `cmd:"" help:"Hand in what others say: findings that it answers are closed in its author's name."`
}

type vexExportCmd struct {
	Format    string `help:"How it is written: ${enum}." enum:"openvex,csaf,cyclonedx" default:"openvex"`
	Output    string `short:"o" help:"Write to this file." type:"path" placeholder:"FILE"`
	Subject   string `help:"Only findings of this subject, such as repo/shop." placeholder:"KIND/NAME"`
	Author    string `help:"Who says it, as others are to trust it; without it, the server's tenant." placeholder:"NAME"`
	Namespace string `help:"The author's web site, which CSAF demands." placeholder:"URL"`
}

// Help implements kong's long help.
func (vexExportCmd) Help() string {
	return `What is judged not to affect, or a false positive, is said with its reason; what is verified is fixed; what nobody has judged is under
investigation. Secrets and other findings than vulnerabilities of packages are never in it. Of two judgements of one package the more careful
one is said.

Example:
  interlock findings vex export -o shop.vex.json --subject repo/shop --author "Acme PSIRT"
  interlock findings vex export --format csaf --author "Acme PSIRT" --namespace https://acme.example -o acme-2026-1.json`
}

// Run writes the document.
func (c *vexExportCmd) Run(e *env) error {
	if c.Format == "csaf" && c.Namespace == "" {
		return core.E(core.KindInvalid, "findings vex export", "CSAF demands the address of its author's web site").WithHint("add --namespace https://...")
	}
	var b bytes.Buffer
	query := filter("format", c.Format, "subject", c.Subject, "author", c.Author, "namespace", c.Namespace)
	if err := e.client().Copy(e.ctx, "/v1/findings/vex?"+query.Encode(), &b); err != nil {
		return err
	}
	doc, err := vex.DecodeBytes(b.Bytes())
	if err != nil {
		return core.Wrap(core.KindDamaged, "findings vex export", err)
	}
	if c.Output != "" {
		err = atomicfile.WriteFile(c.Output, b.Bytes(), 0o600)
	} else {
		_, err = harmlessJSON(e.out).Write(b.Bytes())
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.err, "%s by %s, as %s\n", count(len(doc.Statements), "statement"), onOneLine(doc.Author), c.Format)
	return nil
}

type vexImportCmd struct {
	File   string `arg:"" help:"OpenVEX, CSAF 2.0 or CycloneDX, as JSON; - for standard input."`
	Source string `help:"Where it came from, as the server's configuration names it; without it, the file's name." placeholder:"PLACE"`
}

// Help implements kong's long help.
func (vexImportCmd) Help() string {
	return `A statement counts when the server's configuration trusts its author (findings.vex), it names the package in its version, says why, and is
neither a draft nor withdrawn. A newer edition that says something else opens again what an older one closed.

Exit code 2 when the author is not trusted, or a part of the document can't be read.

Example:
  interlock findings vex import supplier.vex.json
  curl -s https://acme.example/vex/shop.json | interlock findings vex import - --source https://acme.example/vex/shop.json`
}

// Run hands a document in.
func (c *vexImportCmd) Run(e *env) error {
	body, err := readLimitedOrInput(e, c.File, maxVEXFile)
	if err != nil {
		return err
	}
	if _, err := vex.DecodeBytes(body); err != nil {
		return inFile("findings vex import", c.File, err)
	}
	source := c.Source
	if source == "" && c.File != "-" {
		source = c.File
	}
	var taken lifecycle.VEXTaken
	if err := e.client().Upload(e.ctx, "/v1/findings/vex?source="+url.QueryEscape(source), "application/json", body, &taken); err != nil {
		return err
	}
	if err := e.show(taken, func(w io.Writer) { tellVEX(w, &taken) }); err != nil {
		return err
	}
	switch {
	case !taken.Trusted:
		return core.E(core.KindDenied, "findings vex import", fmt.Sprintf("%s is not trusted here: nothing was changed", cmp.Or(onOneLine(taken.Author), "an author without a name"))).
			WithHint("an operator names whose word counts under findings.vex in the server's configuration")
	case len(taken.Gaps) > 0:
		return core.E(core.KindUnavailable, "findings vex import", "incomplete: "+count(len(taken.Gaps), "part")+" of the document can't be read, see above; everything else was taken in")
	}
	return nil
}

// maxVEXFile bounds what is read of a document, as the server does.
const maxVEXFile = 16 << 20

// shownIgnored is how many statements that do not count are told one by one.
const shownIgnored = 25

func tellVEX(w io.Writer, t *lifecycle.VEXTaken) {
	said := fmt.Sprintf("%s of %s by %s", count(t.Statements, "statement"), onOneLine(t.Document), onOneLine(t.Author))
	if t.Known {
		_, _ = fmt.Fprintf(w, "%s: handed in before, nothing changed\n", said)
		return
	}
	_, _ = fmt.Fprintf(w, "%s: %d closed, %d opened again, %d do not count\n", said, len(t.NotAffected), len(t.Reopened), len(t.Ignored))
	for _, id := range t.NotAffected {
		_, _ = fmt.Fprintf(w, "  closed %s\n", id)
	}
	for _, id := range t.Reopened {
		_, _ = fmt.Fprintf(w, "  open again %s\n", id)
	}
	for i, u := range t.Ignored {
		if i == shownIgnored {
			_, _ = fmt.Fprintf(w, "  and %d more that do not count; all of them with --json\n", len(t.Ignored)-i)
			break
		}
		_, _ = fmt.Fprintf(w, "  does not count: %s of %s: %s\n", onOneLine(u.Statement), u.Finding, onOneLine(u.Why))
	}
	for _, g := range t.Gaps {
		_, _ = fmt.Fprintf(w, "  not read: %s: %s\n", onOneLine(g.What), onOneLine(g.Why))
	}
}
