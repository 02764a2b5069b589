package docs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory"
)

// TestInventories makes inventories.md from what the extractors say of
// themselves.
func TestInventories(t *testing.T) {
	var page bytes.Buffer
	page.WriteString(`# Inventories

Which files tell what software a tree is made of, and what is read of each. Made from the extractors' own descriptions in ` + "`scanning/inventory`" + `; how to
write another one says [a how-to](../howto/new-extractor.md).

The tree is a project's folder, a host's root or an image's layers laid over each other. Each package has its name, version and package url; where the file
tells, also whether the project itself asks for it (direct), whether it is only for development, its licences and hashes, and what it depends on. A package
that is installed in the same version as a lockfile above it says is told once, by the lockfile.

What can't be read is a gap, which makes the scan incomplete: a malformed file (with its line), one over a limit, a form or version that isn't listed here, a
package without a version, a manifest without its lockfile, a package database without ` + "`etc/os-release`" + `, an operating system without a
package database that is read. A symlink is read where it leads if that is in the tree, and is a gap if it isn't.

On purpose these are no part of a tree: ` + "`.git`, `.hg` and `.svn`" + `; Go's module cache (` + "`pkg/mod`" + ` with ` + "`cache/download`" + ` in it), whose sources are in a program only
where the program says so; on a host ` + "`/proc`, `/sys`, `/dev` and `/run`" + `; and what the caller skips.

| ecosystem | files | what is read | name |
|---|---|---|---|
`)
	seen := map[string]bool{}
	for _, x := range inventory.Extractors() {
		if seen[x.Name] || x.Reads == "" || len(x.Patterns()) == 0 || x.Ecosystem == "" {
			t.Errorf("%s: twice, or does not say what it reads", x.Name)
		}
		seen[x.Name] = true
		var files []string
		for _, f := range x.Patterns() {
			if strings.ContainsAny(f, "./*") && !strings.Contains(f, " ") {
				f = "`" + f + "`"
			}
			files = append(files, f)
		}
		fmt.Fprintf(&page, "| %s | %s | %s | `%s` |\n", x.Ecosystem, strings.Join(files, ", "), strings.ReplaceAll(x.Reads, "|", "\\|"), x.Name)
	}
	reference(t, "inventories.md", page.Bytes())
}
