package npm

import (
	"bytes"
	"context"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/lockyaml"
)

func readYarn(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	if bytes.Contains(data, []byte("__metadata:")) {
		docs, err := yaml(data)
		if err != nil {
			return err
		}
		berry(in, docs[0], out)
		return nil
	}
	if !bytes.Contains(data, []byte("yarn lockfile v1")) {
		if len(bytes.TrimSpace(data)) == 0 {
			return extract.Malformed(0, "it is empty")
		}
		return extract.Unsupported("neither a lockfile of yarn 1 nor of berry")
	}
	entries, err := classic(string(data))
	if err != nil {
		return err
	}
	g := newGraph()
	for _, e := range entries {
		e.into(g, out)
	}
	develop := g.manifest(in, "package.json", func(name, spec string) string { return name + "@" + spec })
	g.alias(entries)
	g.tell(develop, out)
	return nil
}

// yarnEntry is a package of yarn 1 with the wishes that it answers.
type yarnEntry struct {
	line                        int
	specs                       []string
	version, integrity, resolve string
	needs                       []string // wishes
}

// classic reads yarn 1's own form: blocks of "key value" under a line of wishes.
func classic(text string) ([]*yarnEntry, error) {
	var entries []*yarnEntry
	var e *yarnEntry
	number, section := 0, ""
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \r\n")
		body := strings.TrimLeft(line, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		indent := len(line) - len(body)
		if indent == 0 {
			head, ok := strings.CutSuffix(body, ":")
			if !ok {
				return nil, extract.Malformed(number, "no colon after %.60q", body)
			}
			e = &yarnEntry{line: number, specs: wishes(head)}
			entries = append(entries, e)
			continue
		}
		if e == nil {
			return nil, extract.Malformed(number, "a value before the first package")
		}
		section = e.set(body, indent, section)
	}
	return entries, nil
}

func wishes(head string) []string {
	var all []string
	for _, s := range strings.Split(head, ", ") {
		all = append(all, strings.Trim(s, `"`))
	}
	return all
}

func (e *yarnEntry) set(body string, indent int, section string) string {
	if name, ok := strings.CutSuffix(body, ":"); ok && indent <= 2 {
		return name
	}
	key, value, _ := strings.Cut(body, " ")
	if strings.HasPrefix(body, `"`) {
		if i := strings.Index(body[1:], `" `); i >= 0 {
			key, value = body[1:i+1], body[i+3:]
		}
	}
	value = strings.Trim(value, `"`)
	switch {
	case indent > 2 && strings.HasSuffix(strings.ToLower(section), "dependencies"):
		e.needs = append(e.needs, key+"@"+value)
	case key == "version":
		e.version = value
	case key == "integrity":
		e.integrity = value
	case key == "resolved":
		e.resolve = value
	}
	return section
}

func (e *yarnEntry) into(g *graph, out *extract.Sink) {
	name, spec, ok := cutVersion(e.specs[0])
	if !ok {
		out.Fail(extract.Malformed(e.line, "%.60q is no name with a version", e.specs[0]))
		return
	}
	name, _ = alias(name, spec)
	g.edges[e.specs[0]] = e.needs
	if isLocal(spec) {
		return
	}
	if e.version == "" {
		out.Unknown(e.line, name, "the lockfile gives no version of it")
		return
	}
	p := pkg(name, e.version)
	p.Hashes = extract.SRI(e.integrity)
	if _, sha1, ok := strings.Cut(e.resolve, "#"); ok && p.Hashes == nil {
		p.Hashes = extract.Hex("sha1", sha1)
	}
	g.packages[e.specs[0]] = p
}

// alias turns every wish into the first of the entry that answers it, by which
// packages are known.
func (g *graph) alias(entries []*yarnEntry) {
	first := map[string]string{}
	for _, e := range entries {
		for _, s := range e.specs {
			first[s] = e.specs[0]
		}
	}
	turn := func(list []string) {
		for i, s := range list {
			if f, ok := first[s]; ok {
				list[i] = f
			}
		}
	}
	turn(g.runtime)
	turn(g.dev)
	for _, list := range g.edges {
		turn(list)
	}
}

// manifest adds what a package.json asks for to the roots. It reports whether
// that is all that is asked for: with workspaces there are more.
func (g *graph) manifest(in *extract.Input, file string, key func(name, spec string) string) bool {
	m, err := readManifestFile(in, file)
	if err != nil {
		return false
	}
	for _, wanted := range []loose{m.Runtime, m.Optional} {
		for name, spec := range wanted {
			g.runtime = append(g.runtime, key(name, spec))
		}
	}
	for name, spec := range m.Dev {
		g.dev = append(g.dev, key(name, spec))
	}
	return len(m.Workspaces) == 0
}

// berry reads yarn 2 and later.
func berry(in *extract.Input, doc *lockyaml.Node, out *extract.Sink) {
	g, develop := newGraph(), true
	var entries []*yarnEntry
	for _, n := range doc.Nodes {
		if n.Key == "__metadata" {
			continue
		}
		e := &yarnEntry{line: n.Line, specs: wishes(n.Key), version: n.Get("version").Value, resolve: n.Get("resolution").Value}
		entries = append(entries, e)
		for _, kind := range []string{"dependencies", "optionalDependencies"} {
			for _, d := range n.Get(kind).Nodes {
				e.needs = append(e.needs, wish(d.Key, d.Value))
			}
		}
		if folder, ok := workspace(e.resolve); ok {
			known := g.manifest(in, path.Join(folder, "package.json"), wish)
			if !known && folder != "." {
				g.runtime = append(g.runtime, e.needs...)
			}
			develop = develop && (known || in.Exists(path.Join(folder, "package.json")))
			continue
		}
		e.berry(g, out)
	}
	g.alias(entries)
	g.tell(develop, out)
}

// wish is how berry writes a dependency in its keys: with npm: where no other
// protocol stands.
func wish(name, spec string) string {
	if i := strings.IndexByte(spec, ':'); i < 0 {
		spec = "npm:" + spec
	}
	return name + "@" + spec
}

func workspace(resolution string) (folder string, ok bool) {
	_, spec, _ := cutVersion(resolution)
	return strings.CutPrefix(spec, "workspace:")
}

func (e *yarnEntry) berry(g *graph, out *extract.Sink) {
	name, spec, ok := cutVersion(e.resolve)
	g.edges[e.specs[0]] = e.needs
	if patched, isPatch := strings.CutPrefix(spec, "patch:"); isPatch {
		plain, _, _ := strings.Cut(patched, "#")
		if plain, err := url.QueryUnescape(plain); err == nil {
			name, _, ok = cutVersion(plain)
		}
	}
	switch {
	case !ok || name == "":
		out.Fail(extract.Malformed(e.line, "%s is no name with a version", strconv.Quote(e.resolve)))
	case strings.HasPrefix(spec, "link:") || strings.HasPrefix(spec, "portal:"):
	case e.version == "" || strings.HasPrefix(e.version, "0.0.0-use.local"):
		out.Unknown(e.line, name, "the lockfile gives no version of it")
	default:
		g.packages[e.specs[0]] = pkg(name, e.version)
	}
}
