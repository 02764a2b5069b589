package docs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/grammar"
	"github.com/interlock-security/interlock/secrets/detect/rules"
	"github.com/interlock-security/interlock/secrets/detect/rules/files"
)

// TestSecretRules holds secret-rules.md: every rule of the pack.
func TestSecretRules(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(secretRulesHead)
	var keys []detect.Rule
	for _, g := range rules.Grammars() {
		keys = append(keys, g.Rules()...)
	}
	names := files.Names()
	named := slices.DeleteFunc(slices.Clone(keys), func(r detect.Rule) bool { return names[r.ID] == nil })
	keys = slices.DeleteFunc(keys, func(r detect.Rule) bool { return names[r.ID] != nil })

	ruleTable(&b, "Tokens, keys and addresses", "The value itself, or the name before it, tells what it is.", rules.All(), nil)
	ruleTable(&b, "Private keys", "Each is parsed as what it says it is; one under a password is of low severity. Public keys and certificates are no find.", keys, nil)
	ruleTable(&b, "Files of known formats", "The file's name proves what stands in it, so weak passwords count too.", named, names)
	var written []detect.Rule
	for _, g := range grammar.All() {
		written = append(written, g.Rules()...)
	}
	ruleTable(&b, "By how they are written", "Assignments, connection strings, command lines and configurations, in any file.", written, nil)
	reference(t, "secret-rules.md", b.Bytes())
}

func ruleTable(w io.Writer, title, what string, list []detect.Rule, names map[string][]string) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b detect.Rule) int { return cmp.Compare(a.ID, b.ID) })
	list = slices.CompactFunc(list, func(a, b detect.Rule) bool { return a.ID == b.ID })
	fmt.Fprintf(w, "\n## %s\n\n%s %d rules.\n\n| rule | what it finds | kind | severity |", title, what, len(list))
	if names != nil {
		fmt.Fprint(w, " files |\n|---|---|---|---|---|\n")
	} else {
		fmt.Fprint(w, "\n|---|---|---|---|\n")
	}
	for _, r := range list {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |", r.ID, cell(r.Title), r.Kind, r.Severity)
		if names != nil {
			fmt.Fprintf(w, " %s |", fileNames(names[r.ID]))
		}
		fmt.Fprintln(w)
	}
}

// shownFiles is how many names of files the page tells of a rule.
const shownFiles = 8

func fileNames(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	more := ""
	if len(names) > shownFiles {
		more = fmt.Sprintf("; %d more", len(names)-shownFiles)
		names = names[:shownFiles]
	}
	return "`" + strings.Join(names, "`, `") + "`" + more
}

const secretRulesHead = `# Rules that find secrets

Every rule that ` + "`interlock scan secrets`" + ` knows from the beginning. Generated from ` + "`secrets/detect/rules` and `secrets/detect/grammar`" + `; a test
holds this page against them. Rules of your own stand in ` + "`.gitleaks.toml`" + `. Where gitleaks has a rule for the same format it has the same name
here, so that ` + "`.gitleaksignore`" + ` carries over.

What a format can prove false is no find: a checksum that doesn't hold (GitHub, npm, Grafana, Atlassian, age, Bitcoin), a token without a
signature, examples that providers print in their documentation, filler and sequences, references to variables and stores, words that people
write where a secret goes.

Severity is that of a leak that nothing more is known of: critical opens accounts, infrastructure or money; high opens a service; medium can be
cracked or does little; low is guarded by a password, or is a test's.
`
