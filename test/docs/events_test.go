package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/device/agent"
)

// emitters are the folders whose code makes events; so does what is below those
// that end in "...".
var emitters = []string{"app", "device/agent", "device/monitor/...", "device/spool", "device/sensor/...", "fleet/...", "siem/collect", "siem/baseline", "siem/detect/tuning", "scanning/lifecycle"}

// emitting names the functions that take an event's type, and which argument it
// is; others is for a function of that name elsewhere.
var emitting = map[string][]int{"tell": {0, 1}, "event": {0}, "lifecycle": {2}, "pulse": {0}, "ownLatch": {1}, "rescan": {0}, "localEffect": {0}}

var (
	eventWord = regexp.MustCompile(`^[a-z]+(_[a-z]+)*_?$`)
	eventRow  = regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|")
)

// TestEvents holds events.md: each type that code of ours gives an event stands
// there or, of drivers, judges and fusions, in sensors.md, and none that nobody
// gives.
func TestEvents(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "reference", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range eventRow.FindAllStringSubmatch(string(page), -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			told = append(told, strings.Trim(name, "`"))
		}
	}
	emitted := map[string]string{}
	for _, dir := range emitters {
		for _, d := range below(t, dir) {
			eventTypes(t, d, emitted)
		}
	}
	for _, d := range agent.Docs() {
		for _, e := range d.Events {
			emitted[e.Type] = "what " + d.Name + " says of itself"
			told = append(told, e.Type) // in sensors.md
		}
	}
	if len(emitted) < 40 {
		t.Fatalf("found only %d event types in the code", len(emitted))
	}
	for name, where := range emitted {
		if !slices.Contains(told, name) {
			t.Errorf("%s: events.md does not know %s", where, name)
		}
	}
	for _, name := range told {
		if emitted[name] == "" {
			t.Errorf("events.md tells of %s, which no code gives an event", name)
		}
	}
}

// below returns the folders with code that an emitter stands for.
func below(t *testing.T, dir string) (all []string) {
	t.Helper()
	top, deep := strings.CutSuffix(dir, "/...")
	if !deep {
		return []string{dir}
	}
	err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "testdata" || strings.HasSuffix(d.Name(), "test") {
			return fs.SkipDir
		}
		if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) > 0 {
			all = append(all, strings.TrimPrefix(path, root+string(filepath.Separator)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// eventTypes reads the literals that become event types.
func eventTypes(t *testing.T, dir string, into map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %d files", dir, err, len(files))
	}
	fset := token.NewFileSet()
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, e := range typeExpressions(n) {
				if name, ok := literal(e); ok && eventWord.MatchString(name) {
					into[name] = strings.TrimPrefix(fset.Position(e.Pos()).String(), root+"/")
				}
			}
			return true
		})
	}
}

// typeExpressions returns the expressions within n, not below it, that are
// types of events.
func typeExpressions(n ast.Node) (list []ast.Expr) {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := called(n.Fun)
		for _, i := range emitting[name] {
			if i < len(n.Args) {
				list = append(list, prefixed(name, n.Args[i]))
			}
		}
	case *ast.CompositeLit:
		if made := called(n.Type); made == "Reading" || made == "Event" || made == "alarm" {
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok && slices.Contains([]string{"Type", "Clear", "kind"}, called(kv.Key)) {
					list = append(list, kv.Value)
				}
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) && regexp.MustCompile(`^(Alarm|Type|EventLost|type)`).MatchString(name.Name) {
				list = append(list, n.Values[i])
			}
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if name := called(left); i < len(n.Rhs) && (name == "kind" || name == "Clear") {
				list = append(list, n.Rhs[i])
			}
		}
	}
	return list
}

// prefixed makes local_stop of the stop in localEffect("stop", ...).
func prefixed(name string, e ast.Expr) ast.Expr {
	if text, ok := literal(e); ok && name == "localEffect" {
		return &ast.BasicLit{ValuePos: e.Pos(), Kind: token.STRING, Value: strconv.Quote("local_" + text)}
	}
	return e
}

func called(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}
