package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestEveryOrderHasItsAction: an order of type x is asked for by the action
// device.x, and the action's class says what the order's direction says.
func TestEveryOrderHasItsAction(t *testing.T) {
	classOf := map[link.Direction]Class{
		link.DirectionStop: ClassStop, link.DirectionTighten: ClassChange, link.DirectionContain: ClassContain,
		link.DirectionLoosen: ClassLoosen, link.DirectionDestroy: ClassDestroy,
	}
	for _, o := range link.AllOrderTypes {
		row, ok := link.DirectionOf(o)
		class, exists := ClassOf(core.Action("device." + string(o)))
		if !ok || !exists || class != classOf[row.Direction] {
			t.Errorf("order %s has direction %s, its action has class %q", o, row.Direction, class)
		}
	}
}

// TestTheRightsAreWrittenDown pins who may do what under the default policies,
// on the own site, so that a change of rights is a change of a file that people
// read.
func TestTheRightsAreWrittenDown(t *testing.T) {
	actors := []struct {
		name string
		who  core.Principal
	}{
		{"nobody's role", person("anna")},
		{"viewer", person("anna", core.RoleViewer)},
		{"operator", person("anna", core.RoleOperator)},
		{"officer", person("anna", core.RoleSecurityOfficer)},
		{"administrator", person("anna", core.RoleAdministrator)},
		{"playbook", program("playbook")},
		{"incidents", program("incidents")},
		{"verification", program("verification")},
		{"serve", program("serve")},
		{"device", machine("press-7")},
		{"token", token},
		{"stranger", stranger},
	}
	var b strings.Builder
	set := Default()
	for _, r := range Actions {
		var may []string
		for _, a := range actors {
			if set.Evaluate(a.who, r.Action, device("press-7")).Allowed {
				may = append(may, a.name)
			}
		}
		fmt.Fprintf(&b, "%-24s %-13s %s\n", r.Action, r.Class, strings.Join(may, ", "))
	}
	golden := filepath.Join("testdata", "rights.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != b.String() {
		t.Errorf("%v: the rights changed; run with -update and read the difference\n%s", err, b.String())
	}
}
