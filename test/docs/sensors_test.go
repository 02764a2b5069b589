package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/sensor"
)

const sensorsHead = `# Sensors

Every driver, judge and fusion of the agent, as the code describes them. A **driver** reads one kind of hardware and judges nothing. A **judge** makes of what a driver measures what it means; it stands
under ` + "`judges`" + ` of a sensor. A **fusion** judges several sensors together and is a sensor of its own. [Give a device its sensors](../howto/sensors.md) shows how they are configured,
[events](events.md) what is done about each event, [wiring](../howto/wiring.md) how parts are connected.

Every sensor also says ` + "`sensor_lost`" + ` (high) when it is a FAULT or STALE: silent for too long, a value that stands still, a chip or a point that can't be read; ` + "`sensor_back`" + ` when it reads again,
` + "`sensor_skipped`" + ` where this machine can't have it. All three are true of every row below and not repeated.

How soon: *event* means that the kernel tells, well below a second; *poll* that the driver looks, some seconds. How it is tested: *kernel*, a real kernel's own device, in the virtual machine of
[the hardware loop](../howto/hardware-in-the-loop.md) or in a namespace; *peer*, a real program at the other end; *recorded*, bytes or files that a machine gave; *trace*, recorded motion; *simulator*, made up,
and said so.

`

var roleTitles = map[agent.Role]string{agent.RoleDriver: "Drivers", agent.RoleJudge: "Judges", agent.RoleFusion: "Fusions"}

// TestSensors holds sensors.md: one row each from what the drivers, judges and
// fusions say of themselves, then each with its events and its configuration,
// whose meaning is what the code's own comments say.
func TestSensors(t *testing.T) {
	var page bytes.Buffer
	page.WriteString(sensorsHead)
	for _, role := range []agent.Role{agent.RoleDriver, agent.RoleJudge, agent.RoleFusion} {
		fmt.Fprintf(&page, "## %s\n\n| %s | senses | kernel interface | events | how soon | tested |\n|---|---|---|---|---|---|\n", roleTitles[role], role)
		each(role, func(p agent.Part) {
			complete(t, p)
			fmt.Fprintf(&page, "| [`%s`](#%s-%s) | %s | %s | %s | %s | %s |\n", p.Doc.Name, role, p.Doc.Name, p.Doc.Senses, orDash(p.Doc.Interface), eventNames(p.Doc), orDash(string(p.Doc.Latency)), ways(p.Doc))
		})
		page.WriteString("\n")
	}
	for _, role := range []agent.Role{agent.RoleDriver, agent.RoleJudge, agent.RoleFusion} {
		each(role, func(p agent.Part) { section(t, &page, p) })
	}
	reference(t, "sensors.md", page.Bytes())
}

func each(role agent.Role, fn func(agent.Part)) {
	for _, p := range agent.Parts() {
		if p.Role == role {
			fn(p)
		}
	}
}

// complete says what a part does not tell of itself.
func complete(t *testing.T, p agent.Part) {
	t.Helper()
	d := p.Doc
	switch {
	case d.Name == "" || d.Senses == "":
		t.Errorf("a %s %q says not what it senses", p.Role, d.Name)
	case p.Role == agent.RoleDriver && (d.Interface == "" || d.Latency == ""):
		t.Errorf("driver %s says not where it looks and how soon it knows", d.Name)
	case len(d.Tested) == 0:
		t.Errorf("%s %s says not how it is tested", p.Role, d.Name)
	}
	for _, e := range d.Events {
		if e.Type == "" || e.Severity == "" || e.Meaning == "" {
			t.Errorf("%s %s: event %+v lacks a word", p.Role, d.Name, e)
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func eventNames(d sensor.Doc) string {
	var names []string
	for _, e := range d.Events {
		names = append(names, "`"+e.Type+"`")
	}
	return orDash(strings.Join(names, " "))
}

func ways(d sensor.Doc) string {
	var all []string
	for _, w := range d.Tested {
		all = append(all, string(w))
	}
	return strings.Join(all, ", ")
}

func section(t *testing.T, page *bytes.Buffer, p agent.Part) {
	fmt.Fprintf(page, "### %s: %s\n", p.Role, p.Doc.Name)
	if len(p.Doc.Events) > 0 {
		page.WriteString("\n| event | severity | alarms | meaning |\n|---|---|---|---|\n")
	}
	for _, e := range p.Doc.Events {
		alarms := ""
		if e.Alarm {
			alarms = "yes"
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", e.Type, e.Severity, alarms, e.Meaning)
	}
	if keys := keysOf(t, reflect.TypeOf(p.Config), "", map[reflect.Type]bool{}); len(keys) > 0 {
		page.WriteString("\n| key | meaning |\n|---|---|\n" + strings.Join(keys, ""))
	}
	page.WriteString("\n")
}

// keysOf lists the keys of a configuration, what is nested with its path.
func keysOf(t *testing.T, typ reflect.Type, path string, seen map[reflect.Type]bool) (rows []string) {
	if typ.Kind() != reflect.Struct || seen[typ] || typ.PkgPath() == "time" {
		return nil
	}
	seen[typ] = true
	defer delete(seen, typ)
	comments := commentsOf(t, typ)
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		inner, key := element(f.Type, path+name)
		if name == "" { // inline
			rows = append(rows, keysOf(t, inner, path, seen)...)
			continue
		}
		if comments[f.Name] == "" {
			t.Errorf("%s.%s has no comment, so the reference can't say what %s means", typ, f.Name, key)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", key, comments[f.Name]))
		rows = append(rows, keysOf(t, inner, key+".", seen)...)
	}
	return rows
}

// element looks through pointers, lists and maps.
func element(typ reflect.Type, path string) (reflect.Type, string) {
	for {
		switch typ.Kind() {
		case reflect.Pointer:
			typ = typ.Elem()
		case reflect.Slice:
			typ, path = typ.Elem(), path+"[]"
		case reflect.Map:
			typ, path = typ.Elem(), path+".NAME"
		default:
			return typ, path
		}
	}
}

// commentsOf reads what the code says above, or beside, each field of a struct.
// A comment that stands above a run of fields counts for each of them.
func commentsOf(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	dir := filepath.Join(root, strings.TrimPrefix(typ.PkgPath(), "github.com/interlock-security/interlock/"))
	all := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == typ.Name() {
				if s, ok := spec.Type.(*ast.StructType); ok {
					fieldComments(s, all)
				}
			}
			return true
		})
	}
	return all
}

func fieldComments(s *ast.StructType, all map[string]string) {
	last := ""
	for _, f := range s.Fields.List {
		said := oneLine(f.Doc.Text())
		if said == "" {
			said = oneLine(f.Comment.Text())
		}
		if said == "" {
			said = last
		}
		last = said
		for _, name := range f.Names {
			all[name.Name] = said
		}
	}
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
