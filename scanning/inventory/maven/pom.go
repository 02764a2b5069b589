package maven

import (
	"context"
	"encoding/xml"
	"fmt"
	"path"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

type dependency struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
	Scope    string `xml:"scope"`
	Type     string `xml:"type"`
}

func (d dependency) key() string { return d.Group + ":" + d.Artifact }

type pom struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
	Parent   *struct {
		Group    string  `xml:"groupId"`
		Artifact string  `xml:"artifactId"`
		Version  string  `xml:"version"`
		Path     *string `xml:"relativePath"`
	} `xml:"parent"`
	Properties properties   `xml:"properties"`
	Managed    []dependency `xml:"dependencyManagement>dependencies>dependency"`
	Needs      []dependency `xml:"dependencies>dependency"`
	Modules    []string     `xml:"modules>module"`

	file string
}

// properties are elements by name.
type properties map[string]string

// UnmarshalXML keeps the text of each child.
func (p *properties) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	*p = properties{}
	for {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			var text string
			if err := d.DecodeElement(&text, &t); err != nil {
				return err
			}
			(*p)[t.Name.Local] = strings.TrimSpace(text)
		}
	}
}

// Bounds of what one pom can draw in.
const (
	maxParents   = 20
	maxModules   = 2000
	maxImports   = 50
	maxExpansion = 1000
)

func readPom(_ context.Context, in *extract.Input, out *extract.Sink) error {
	p, err := load(in, in.Path)
	if err != nil {
		return err
	}
	m := &model{in: in, out: out, self: p, values: map[string]string{}, managed: map[string]dependency{}}
	m.chain()
	for _, d := range m.needs() {
		m.tell(d)
	}
	if m.told > 0 {
		out.Gap(scanning.ReasonUnsupported, out.At(0), "a pom does not say what its dependencies need in turn; scan what is built, or an SBOM of it (mvn org.cyclonedx:cyclonedx-maven-plugin:makeBom)")
	}
	return nil
}

func load(in *extract.Input, file string) (*pom, error) {
	data, err := in.Other("/" + file)
	if err != nil {
		return nil, err
	}
	p := &pom{file: file}
	return p, extract.XML(in, data, p)
}

// model is a pom with all that it inherits.
type model struct {
	in      *extract.Input
	out     *extract.Sink
	self    *pom
	parents []*pom // nearest first
	// missing is the first ancestor that is not in the tree.
	missing string
	values  map[string]string
	managed map[string]dependency
	lacking []string // BOMs that are not in the tree
	told    int
	imports int
	modules int // looked through for BOMs
}

// chain takes the parents in, nearest first, so that the nearest wins.
func (m *model) chain() {
	m.inherit(m.self)
	for p := m.self; p.Parent != nil && len(m.parents) < maxParents; {
		next := m.parent(p)
		if next == nil {
			m.missing = fmt.Sprintf("%s:%s:%s", p.Parent.Group, p.Parent.Artifact, p.Parent.Version)
			break
		}
		m.parents = append(m.parents, next)
		m.inherit(next)
		p = next
	}
	for _, p := range m.lineage() {
		for _, d := range p.Managed {
			m.manage(d)
		}
	}
}

func (m *model) lineage() []*pom { return append([]*pom{m.self}, m.parents...) }

func (m *model) inherit(p *pom) {
	set := func(key, value string) {
		if _, ok := m.values[key]; !ok && value != "" {
			m.values[key] = value
		}
	}
	for key, value := range p.Properties {
		set(key, value)
	}
	for _, prefix := range []string{"project.", "pom.", ""} {
		set(prefix+"version", p.Version)
		set(prefix+"groupId", p.Group)
		set(prefix+"artifactId", p.Artifact)
		if p.Parent != nil {
			set(prefix+"version", p.Parent.Version)
			set(prefix+"groupId", p.Parent.Group)
			set(prefix+"parent.version", p.Parent.Version)
			set(prefix+"parent.groupId", p.Parent.Group)
		}
	}
}

// parent is where relativePath says, if that is the one that is meant.
func (m *model) parent(p *pom) *pom {
	at := "../pom.xml"
	if p.Parent.Path != nil {
		at = strings.TrimSpace(*p.Parent.Path)
	}
	if at == "" {
		return nil
	}
	file := path.Join(path.Dir(p.file), at)
	if !strings.HasSuffix(file, ".xml") {
		file = path.Join(file, "pom.xml")
	}
	next, err := load(m.in, file)
	if err != nil || next.Artifact != p.Parent.Artifact {
		return nil
	}
	return next
}

// manage takes one managed version in, or all of a BOM that stands in the tree.
func (m *model) manage(d dependency) {
	d = m.filled(d)
	if d.Scope != "import" {
		if _, ok := m.managed[d.key()]; !ok {
			m.managed[d.key()] = d
		}
		return
	}
	if m.imports++; m.imports > maxImports {
		return
	}
	bom := m.find(d)
	if bom == nil {
		m.lacking = append(m.lacking, d.key()+":"+d.Version)
		return
	}
	other := &model{in: m.in, out: m.out, self: bom, values: map[string]string{}, managed: m.managed, imports: m.imports, modules: m.modules}
	other.chain()
	m.imports, m.modules, m.lacking = other.imports, other.modules, append(m.lacking, other.lacking...)
}

// find looks for a pom among the modules of the topmost parent in the tree.
func (m *model) find(d dependency) *pom {
	top := m.self
	if len(m.parents) > 0 {
		top = m.parents[len(m.parents)-1]
	}
	for todo := []*pom{top}; len(todo) > 0; {
		p := todo[0]
		todo = todo[1:]
		if p.Artifact == d.Artifact && (p.Group == d.Group || p.Group == "") {
			return p
		}
		for _, name := range p.Modules {
			if m.modules++; m.modules > maxModules {
				return nil
			}
			file := path.Join(path.Dir(p.file), strings.TrimSpace(name))
			if !strings.HasSuffix(file, ".xml") {
				file = path.Join(file, "pom.xml")
			}
			if next, err := load(m.in, file); err == nil {
				todo = append(todo, next)
			}
		}
	}
	return nil
}

func (m *model) filled(d dependency) dependency {
	d.Group, d.Artifact = m.fill(d.Group), m.fill(d.Artifact)
	d.Version, d.Scope = m.fill(d.Version), m.fill(d.Scope)
	return d
}

// fill puts values in place of ${names}, as far as they are known. What would
// grow without end stays as it is.
func (m *model) fill(text string) string {
	text = strings.TrimSpace(text)
	for range maxParents {
		i := strings.Index(text, "${")
		if i < 0 {
			return text
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return text
		}
		value, ok := m.values[text[i+2:i+end]]
		if !ok || len(text)+len(value) > maxExpansion {
			return text
		}
		text = text[:i] + value + text[i+end+1:]
	}
	return text
}

// needs are the dependencies of the pom and of its parents, the nearest first.
func (m *model) needs() []dependency {
	var all []dependency
	seen := map[string]bool{}
	for _, p := range m.lineage() {
		for _, d := range p.Needs {
			d = m.filled(d)
			if key := d.key() + ":" + d.Type; !seen[key] {
				seen[key] = true
				all = append(all, d)
			}
		}
	}
	return all
}

func (m *model) tell(d dependency) {
	if managed, ok := m.managed[d.key()]; ok {
		if d.Version == "" {
			d.Version = managed.Version
		}
		if d.Scope == "" {
			d.Scope = managed.Scope
		}
	}
	if d.Scope == "system" {
		return
	}
	m.told++
	version, ok := exactly(d.Version)
	if !ok {
		m.out.Unknown(0, d.key(), m.why(d.Version))
		return
	}
	p := pkg(d.Group, d.Artifact, version)
	p.Direct, p.Dev = true, d.Scope == "test"
	m.out.Add(p)
}

func (m *model) why(version string) string {
	why := "its version is " + version + ", which only a build resolves"
	if version == "" {
		why = "it has no version here"
	}
	if m.missing != "" {
		why += "; the parent " + m.missing + " is not in the tree"
	}
	if len(m.lacking) > 0 {
		why += "; the BOM " + strings.Join(m.lacking, ", ") + " is not in the tree"
	}
	return why
}
