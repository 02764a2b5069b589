package docs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/interlock-security/interlock/policy"
)

// meanings of the classes, in the order of policy.Classes.
var classMeanings = map[policy.Class]string{
	policy.ClassRead:     "looks; counted, not recorded",
	policy.ClassReport:   "what a device says of itself; its batch or result is itself an entry of the audit log",
	policy.ClassPersonal: "reads personal data or secrets; every reading is recorded",
	policy.ClassChange:   "changes something, but no machine's protection",
	policy.ClassContain:  "isolates, suspends or locks; capped per person and hour",
	policy.ClassStop:     "brings machines to their safe state; never refused to a person on the own sites, never capped, recorded after",
	policy.ClassLoosen:   "leads away from safety: to be permitted means to be allowed to ask, and the device wants the persons' signatures",
	policy.ClassDestroy:  "can't be undone; otherwise as `loosen`",
}

var rights = regexp.MustCompile(`(?m)^(\S+) +(\S+) +(.+)$`)

// TestActions holds actions.md: the vocabulary from policy, and who has what from
// the matrix that policy's own test holds against the shipped policies.
func TestActions(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join(root, "policy", "testdata", "rights.golden"))
	if err != nil {
		t.Fatal(err)
	}
	who := map[string]string{}
	for _, row := range rights.FindAllStringSubmatch(string(golden), -1) {
		who[row[1]] = row[3]
	}
	var page bytes.Buffer
	page.WriteString(`# Actions

What can be done, and who may do or ask for it. Made from the table in ` + "`policy/actions.go`" + ` and from the shipped policies. An action that isn't
here is denied to everybody. Being allowed to ask for an order isn't being allowed to approve it: whose signatures an order needs is said by the
[trust root](../howto/trust-root.md), and which way an order goes by the [table of orders](orders.md).

Roles of persons are ` + "`viewer`" + `, ` + "`operator`" + `, ` + "`officer`" + ` (in the configuration: ` + "`security-officer`" + `) and ` + "`administrator`" + `; the
[configuration](config.md) says who has which. The others are programs, devices and tokens. *nobody's role* means that a person needs none.

| class | what it is |
|---|---|
`)
	for _, c := range policy.Classes {
		if classMeanings[c] == "" {
			t.Errorf("class %s is not explained", c)
		}
		fmt.Fprintf(&page, "| `%s` | %s |\n", c, classMeanings[c])
	}
	page.WriteString("\n| action | class | what | who |\n|---|---|---|---|\n")
	for _, row := range policy.Actions {
		if who[string(row.Action)] == "" {
			t.Errorf("%s is not in policy/testdata/rights.golden", row.Action)
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", row.Action, row.Class, row.Note, who[string(row.Action)])
	}
	reference(t, "actions.md", page.Bytes())
}
