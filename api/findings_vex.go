package api

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
	"github.com/interlock-security/interlock/scanning/vex"
)

func (a *API) vexRoutes() {
	a.stream(policy.FindingDismiss, vexOperation(), a.serveVEX)
	a.stream(policy.FindingRead, vexExportOperation(), a.serveVEXExport)
}

func vexOperation() huma.Operation {
	op := upload(post("submit-vex", "/v1/findings/vex", "Hand in what somebody says that affects nothing"),
		"A VEX document: OpenVEX, CSAF 2.0 or CycloneDX in JSON, also compressed with gzip",
		"What the document did: findings closed in its author's name, opened again, and what it says that does not count")
	op.Parameters = append(op.Parameters, queryText("source", "Where the document came from; the configuration may name the only place whose documents count"))
	return op
}

func vexExportOperation() huma.Operation {
	op := get("export-vex", "/v1/findings/vex", "What we say of vulnerabilities, as a VEX document")
	op.Parameters = append(op.Parameters, queryText("format", "openvex (the default), csaf or cyclonedx"), queryText("subject", "Only of this subject"), queryText("author", "Who says so; the server's tenant if left out"),
		queryText("namespace", "The web site of who says so, which CSAF needs"))
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The document", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
	}}
	return op
}

func queryText(name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
}

// maxVEX is how large a VEX document is, as it is sent and unpacked.
const maxVEX = 16 << 20

func (a *API) serveVEX(w http.ResponseWriter, r *http.Request, query url.Values) error {
	body, err := readPlain(w, r, maxVEX, maxVEX)
	if err != nil {
		return err
	}
	taken, err := a.SubmitVEX(r.Context(), query.Get("source"), body)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, taken)
}

// SubmitVEX takes a VEX document in. What it closes is closed in its author's name,
// if the operator's configuration says that their word counts; whoever hands it in
// has to be one who may dismiss findings on every site that has devices.
func (a *API) SubmitVEX(ctx context.Context, source string, body []byte) (taken lifecycle.VEXTaken, err error) {
	s, err := a.findings()
	if err != nil {
		return taken, err
	}
	if err := short(map[string]string{"source": source}); err != nil {
		return taken, err
	}
	doc, err := vex.DecodeBytes(body)
	if err != nil {
		return taken, err
	}
	if n := namesSaid(doc); n > maxNamesSaid {
		return taken, core.E(core.KindTooLarge, "api.SubmitVEX", fmt.Sprintf("the document's statements have %d names of vulnerabilities; at most %d are taken", n, maxNamesSaid)).
			WithHint("hand it in in parts")
	}
	d, who, err := a.decideEverywhere(ctx, policy.FindingDismiss, core.Resource{Type: "finding", ID: "vex"})
	if err != nil {
		return taken, err
	}
	c := lifecycle.Change{By: who, At: a.Clock.Now().UTC().Truncate(time.Microsecond), Intent: d.Intent}
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		taken, err = s.TakeVEX(ctx, tx, who.Tenant, doc, source, c)
		return err
	})
	return taken, err
}

// maxNamesSaid is how many names all statements of a document have together: each
// name of each statement is a row.
const maxNamesSaid = 50_000

func namesSaid(d *vex.Document) (n int) {
	for i := range d.Statements {
		n += 1 + len(d.Statements[i].Aliases)
	}
	return n
}

// decideEverywhere asks the Guard about an act that reaches devices wherever they
// are, now and later: once without a site, and once for each site. An object
// without a site is tenant-wide to the site rule, which would let somebody of one
// site reach all the others.
func (a *API) decideEverywhere(ctx context.Context, action core.Action, on core.Resource) (core.Decision, core.Principal, error) {
	d, who, err := a.decide(ctx, action, on)
	if err != nil {
		return d, who, err
	}
	sites, err := a.Registry.Sites(ctx, who.Tenant)
	if err != nil {
		return d, who, err
	}
	for _, on.Site = range sortedSites(sites) {
		if on.Site.IsZero() {
			continue // asked about above
		}
		if _, _, err := a.decide(ctx, action, on); err != nil {
			return d, who, err
		}
	}
	return d, who, nil
}

func (a *API) serveVEXExport(w http.ResponseWriter, r *http.Request, query url.Values) error {
	b, err := a.ExportVEX(r.Context(), VEXExport{query.Get("format"), query.Get("subject"), query.Get("author"), query.Get("namespace")})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b)
	return err
}

// maxExported is how many findings one document speaks of.
const maxExported = 20_000

// VEXExport is what is to be said, in which format and by whom.
type VEXExport struct{ Format, Subject, Author, Namespace string }

// ExportVEX writes what the findings' states amount to as statements to others.
func (a *API) ExportVEX(ctx context.Context, in VEXExport) ([]byte, error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, "*")
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(short(map[string]string{"subject": in.Subject, "author": in.Author, "namespace": in.Namespace}), oneOf("format", in.Format, "openvex", "csaf", "cyclonedx")); err != nil {
		return nil, err
	}
	now := a.Clock.Now().UTC().Truncate(time.Second)
	d := &vex.Document{Author: cmp.Or(in.Author, who.Tenant.String()), Issued: now, Updated: now, Version: 1}
	err = a.view(ctx, func(tx *store.Tx) error {
		q := lifecycle.Filter{Class: scanning.ClassVulnerability, Subject: in.Subject, Sort: lifecycle.SortNewest}
		for {
			list, err := s.List(ctx, tx, who.Tenant, q)
			if err != nil {
				return err
			}
			for i := range list {
				d.Statements = append(d.Statements, statementsOf(&list[i], d.Author)...)
			}
			if len(d.Statements) > maxExported {
				return core.E(core.KindTooLarge, "api.ExportVEX", fmt.Sprintf("a document speaks of at most %d findings", maxExported)).WithHint("name a subject")
			}
			if len(list) < lifecycle.MaxList {
				return nil
			}
			p := lifecycle.PlaceOf(&list[len(list)-1], q.Sort)
			q.After = &p
		}
	})
	if err != nil {
		return nil, err
	}
	if len(d.Statements) == 0 {
		return nil, core.E(core.KindNotFound, "api.ExportVEX", "no vulnerability was found there: there is nothing to say")
	}
	return in.encode(d, now)
}

func (in *VEXExport) encode(d *vex.Document, now time.Time) ([]byte, error) {
	d.Settle()
	var out bytes.Buffer
	var err error
	switch in.Format {
	case "csaf":
		by := vex.Publisher{Name: d.Author, Namespace: in.Namespace, Category: "user"}
		err = vex.EncodeCSAF(&out, d.Advisory("What vulnerabilities mean at "+d.Author, by, vex.TLPAmber), now)
	case "cyclonedx":
		err = vex.EncodeCycloneDX(&out, d)
	default:
		err = vex.EncodeOpenVEX(&out, d)
	}
	return out.Bytes(), err
}

// statementsOf are what a finding's state says to others, none for what stands for
// another one or has no package url.
func statementsOf(f *lifecycle.Finding, author string) []vex.Statement {
	s := vex.Statement{Author: author, At: f.LastSeen.UTC().Truncate(time.Second), Status: vex.UnderInvestigation}
	switch f.State {
	case lifecycle.StateDuplicate:
		return nil
	case lifecycle.StateNotAffected:
		s.Status, s.Justification, s.Impact = vex.NotAffected, f.Justification, f.Reason
	case lifecycle.StateFalsePositive:
		s.Status, s.Impact = vex.NotAffected, "false positive: "+f.Reason
	case lifecycle.StateVerified:
		s.Status, s.At = vex.Fixed, f.Verified.UTC().Truncate(time.Second)
	case lifecycle.StateAccepted:
		s.Status, s.Action = vex.Affected, "the risk is accepted until "+f.Acceptance.Until.UTC().Format(time.DateOnly)
	case lifecycle.StateAffected, lifecycle.StateRemediating, lifecycle.StateFixed:
		s.Status, s.Action = vex.Affected, cmp.Or(f.What.Advice, "update the package when a fixed version is there")
	}
	if f.What.Package == nil {
		return nil
	}
	pkg := *f.What.Package
	if s.Status == vex.Fixed { // in the version that it was found in it is as vulnerable as ever
		if len(f.What.Fixed) == 0 {
			return nil
		}
		pkg.Version, pkg.SourceVersion, pkg.PURL = f.What.Fixed[0], "", ""
	}
	part := cmp.Or(pkg.PURL, purl.Of(&pkg))
	if part == "" {
		return nil
	}
	s.Vulnerability, s.Products = mainName(f.Names, f.What.Rule), []vex.Product{{PURL: productOf(f.Subject), Parts: []string{part}}}
	s.Aliases = slices.DeleteFunc(slices.Clone(f.Names), func(n string) bool { return n == s.Vulnerability })
	return []vex.Statement{s}
}

// productOf names a subject as a product: what we say is about our own, not about
// the package wherever it is.
func productOf(subject string) string {
	parts := strings.Split(subject, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "pkg:generic/" + strings.Join(parts, "/")
}

// mainName is the name that most databases share.
func mainName(names []string, otherwise string) string {
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, "CVE-") }); i >= 0 {
		return names[i]
	}
	return otherwise
}
