package imports

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect"
)

type gitleaksFinding struct {
	RuleID, Description, Match, Secret, File, Commit, Author, Date, Link string
	StartLine, EndLine, StartColumn                                      int
	Tags                                                                 []string
}

// readGitleaks reads a report that has every secret in clear text: what leaves
// here is redacted, and the context has the secret cut out.
func readGitleaks(in *importer, b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	in.report.Tool, in.report.Scope.Kind = scanning.Tool{Name: "gitleaks"}, scanning.ScopeFolder
	each(in, "leak", list, in.gitleaksFinding)
	return nil
}

func (in *importer) gitleaksFinding(g *gitleaksFinding) {
	if g.Commit != "" {
		in.report.Scope.Kind = scanning.ScopeGit
	}
	context := ""
	if g.Secret != "" && strings.Contains(g.Match, g.Secret) { // a decoded one isn't in its match
		context = strings.ReplaceAll(g.Match, g.Secret, "")
	}
	file, inner := g.File, []string(nil)
	if parts := strings.Split(g.File, "!"); len(parts) > 1 && len(parts) <= 10 {
		file, inner = parts[0], parts[1:] // gitleaks writes archives so
	}
	in.add(scanning.Finding{
		Rule: g.RuleID, Class: scanning.ClassSecret, Title: cmp.Or(g.Description, g.RuleID), Severity: core.SeverityHigh,
		Redacted: detect.Redact([]byte(g.Secret)), Tags: g.Tags, Links: []string{g.Link}, Advice: "Revoke it, then remove it.",
		Location: scanning.Location{
			File: file, Inner: inner, Line: max(g.StartLine, 0), EndLine: max(g.EndLine, 0), Column: max(g.StartColumn, 0),
			Context: context, Commit: g.Commit, Author: g.Author, Date: when(g.Date),
		},
	})
}
