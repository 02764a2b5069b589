package npm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

// TestOneManifestEveryTool reads what npm, pnpm, yarn and bun themselves wrote for
// one package.json: they must tell the same packages, the same edges, the same
// direct and dev ones, and those that npm ls listed.
func TestOneManifestEveryTool(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata/one-manifest", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	list := strings.Fields(string(read("npm-ls.txt")))
	var first []string
	for _, c := range [][2]string{
		{"npm-11.json", "package-lock.json"},
		{"pnpm-7.yaml", "pnpm-lock.yaml"},
		{"pnpm-8.yaml", "pnpm-lock.yaml"},
		{"pnpm-9.yaml", "pnpm-lock.yaml"},
		{"yarn-1.txt", "yarn.lock"},
		{"yarn-4.txt", "yarn.lock"},
		{"bun-1.txt", "bun.lock"},
	} {
		packages, gaps := extracttest.Ask(t, fstest.MapFS{
			"package.json": {Data: read("manifest.json")}, c[1]: {Data: read(c[0])},
		}, Extractors())
		var got, names []string
		for _, p := range packages {
			got = append(got, fmt.Sprint(p.PURL, p.Direct, p.Dev, p.Requires))
			names = append(names, p.Name+"@"+p.Version)
		}
		slices.Sort(names)
		if !slices.Equal(names, list) || len(gaps) > 0 {
			t.Errorf("%s: %d packages, npm ls has %d; %v", c[0], len(names), len(list), gaps)
		}
		if first == nil {
			first = got
		}
		for i := range min(len(got), len(first)) {
			if got[i] != first[i] {
				t.Errorf("%s: %s\nand not %s", c[0], got[i], first[i])
			}
		}
	}
	packages, _ := extracttest.Ask(t, fstest.MapFS{"node_modules/.package-lock.json": {Data: read("npm-11-hidden.json")}}, Extractors())
	if len(packages) != len(list) {
		t.Errorf("installed: %d packages, npm ls has %d", len(packages), len(list))
	}
}
