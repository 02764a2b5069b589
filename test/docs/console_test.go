package docs

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/web"
)

// consoleRoutes lists the console's pages and forms, from the table that serves
// them. They do what the operators' routes of the same actions do.
func consoleRoutes(t *testing.T, page *bytes.Buffer) {
	t.Helper()
	c, err := web.New(web.Parts{Origin: "http://localhost:7400"})
	if err != nil {
		t.Fatal(err)
	}
	page.WriteString("\n## People's browsers\n\n`listen.console`. A GET has no effect. A POST needs the session's form token and this console's own origin. " +
		"What a page shows or does goes through the operators' operation of the same action.\n\n| route | action | class |\n|---|---|---|\n")
	for _, r := range byPath(c.Mux().Routes()) {
		class, there := policy.ClassOf(r.Action)
		if !there {
			t.Errorf("%s: the action %s is not in policy's vocabulary", r.Pattern, r.Action)
		}
		_, _ = fmt.Fprintf(page, "| `%s` | `%s` | %s |\n", r.Pattern, r.Action, class)
	}
}
