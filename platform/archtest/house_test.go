package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/interlock-security/interlock"

// pkg is what `go list -json` says of a package, as far as the rules ask.
type pkg struct {
	ImportPath   string
	Dir          string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// rel is the package's path within the module, "" for the root.
func (p pkg) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// root returns the module's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var listOnce = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// rows matches a row of the house's table: | band | `folder` | text |.
var rows = regexp.MustCompile("(?m)^\\| [a-z]* ?\\| `([a-z/]+)` \\|")

// house returns the folders in the order in which they may be imported.
func house(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root(t), "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, m := range rows.FindAllSubmatch(page, -1) {
		folders = append(folders, string(m[1]))
	}
	if len(folders) < 15 || folders[0] != "core" || folders[len(folders)-1] != "cmd" {
		t.Fatalf("the table in ARCHITECTURE.md reads as %v", folders)
	}
	return folders
}

// folderOf returns the index of the folder that holds a package, -1 for none.
// The longest match wins, so that digital/pki is not digital/crypt's.
func folderOf(folders []string, rel string) int {
	best := -1
	for i, f := range folders {
		if rel == f || strings.HasPrefix(rel, f+"/") {
			if best < 0 || len(f) > len(folders[best]) {
				best = i
			}
		}
	}
	return best
}

func TestFoldersImportOnlyWhatStandsAboveThem(t *testing.T) {
	folders := house(t)
	for _, p := range packages(t) {
		if strings.HasPrefix(p.rel(), "test/") {
			continue // end-to-end tests stand outside the house
		}
		from := folderOf(folders, p.rel())
		if from < 0 {
			t.Errorf("%s is in no folder of ARCHITECTURE.md's list", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			if i := folderOf(folders, to); i < 0 || i > from {
				t.Errorf("%s imports %s, which does not stand above it", p.rel(), to)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// allowed states closed lists of imports: a package under the folder may import
// from this module only what is named (and its own folder).
var allowed = map[string][]string{
	"core":           {},
	"device":         {"core", "platform/wal", "platform/atomicfile", "platform/breaker", "platform/config", "digital/crypt", "link", "policy", "safety", "digital/pki/verify"},
	"secrets/detect": {"core", "platform/tomlcheck"},
	"safety/stop":    {"core", "platform/atomicfile", "platform/wal", "platform/httpd", "link", "safety"},
	"digital/keys":   {"core", "platform/wal", "platform/atomicfile", "platform/breaker", "platform/supervise", "digital/crypt", "digital/pki", "link", "policy"},
}

func TestClosedImportLists(t *testing.T) {
	for _, p := range packages(t) {
		for folder, list := range allowed {
			if p.rel() != folder && !strings.HasPrefix(p.rel(), folder+"/") {
				continue
			}
			for _, imp := range p.Imports {
				to, ours := strings.CutPrefix(imp, module+"/")
				if ours && to != folder && !strings.HasPrefix(to, folder+"/") && !under(list, to) {
					t.Errorf("%s imports %s; %s may import only %v", p.rel(), to, folder, list)
				}
			}
		}
	}
}

func under(list []string, path string) bool {
	return slices.ContainsFunc(list, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// forbidden maps an import's prefix to the only folders that may have it.
var forbidden = map[string][]string{
	"github.com/ncruces/go-sqlite3":       {"platform/store"},
	"github.com/jackc/pgx":                {"platform/store"},
	"github.com/pressly/goose":            {"platform/store"},
	"github.com/danielgtaylor/huma":       {"api"},
	"github.com/VictoriaMetrics":          {"platform/events", "cmd"},
	"github.com/google/nftables":          {"device/reflex"},
	"github.com/cedar-policy/cedar-go":    {"policy"},
	"github.com/alecthomas/kong":          {"cmd"},
	"github.com/prometheus/client_golang": {"platform", "app", "siem", "fleet"},
	"math/rand":                           {"test"},
	// What reads outside formats with much code behind it stays where it is used.
	"github.com/zricethezav/gitleaks":        {"secrets/detect/gitleaks"},
	"github.com/ulikunitz/xz":                {"secrets/detect/source"},
	"github.com/sigstore":                    {"scanning/provenance"},
	"github.com/google/osv-scalibr":          {"scanning/advisory"},
	"github.com/owenrumney/go-sarif":         {"scanning/sarif"},
	"github.com/CycloneDX/cyclonedx-go":      {"scanning/sbom", "scanning/vex", "scanning/imports"},
	"github.com/pandatix/go-cvss":            {"scanning/priority"},
	"github.com/santhosh-tekuri/jsonschema/": {"scanning/internal/schematest"},
	"github.com/interlock-security/bench/":   {},
}

func TestLibrariesStayWithTheirOwner(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for prefix, owners := range forbidden {
				if strings.HasPrefix(imp, prefix) && imp != "math/rand/v2" && !under(owners, p.rel()) {
					t.Errorf("%s imports %s, which belongs to %v", p.rel(), imp, owners)
				}
			}
		}
	}
}

func TestKeysProcessHasNoParsersAndNoDoors(t *testing.T) {
	for _, p := range packages(t) {
		if p.rel() != "digital/keys" {
			continue
		}
		for _, imp := range p.Imports {
			for _, bad := range []string{"net/http", "database/sql", "encoding/xml", "archive/", "github.com/goccy/go-yaml", "html/"} {
				if strings.HasPrefix(imp, bad) {
					t.Errorf("the keys process imports %s", imp)
				}
			}
		}
	}
}
