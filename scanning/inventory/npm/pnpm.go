package npm

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/lockyaml"
)

func yaml(data []byte) ([]*lockyaml.Node, error) {
	docs, err := lockyaml.Parse(string(data))
	var at *lockyaml.Error
	if errors.As(err, &at) {
		return nil, extract.Malformed(at.Line, "not the YAML of a lockfile: %s", at.Msg)
	}
	return docs, err
}

func readPnpm(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	docs, err := yaml(data)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return extract.Malformed(0, "it is empty")
	}
	for _, doc := range docs {
		major, _, _ := strings.Cut(doc.Get("lockfileVersion").Value, ".")
		n, err := strconv.Atoi(major)
		if err != nil {
			return extract.Malformed(doc.Line, "no lockfileVersion: not a lockfile of pnpm")
		}
		if n < 5 || n > 9 {
			return extract.Unsupported("lockfile version %s; versions 5 to 9 are read", doc.Get("lockfileVersion").Value)
		}
		p := &pnpm{version: n, graph: newGraph(), out: out}
		p.read(doc)
	}
	return nil
}

type pnpm struct {
	version int
	graph   *graph
	out     *extract.Sink
}

func (p *pnpm) read(doc *lockyaml.Node) {
	// Version 9 keeps what a package is apart from how it was resolved.
	about := map[string]*lockyaml.Node{}
	for _, n := range doc.Get("packages").Nodes {
		about[bare(n.Key)] = n
	}
	from := doc.Get("packages")
	if p.version >= 9 {
		from = doc.Get("snapshots")
	}
	for _, n := range from.Nodes {
		p.entry(n, about[bare(n.Key)])
	}
	p.importer(doc)
	for _, n := range doc.Get("importers").Nodes {
		p.importer(n)
	}
	p.graph.tell(p.version >= 9, p.out)
}

// bare cuts the peers off that a package was resolved with.
func bare(key string) string {
	key, _, _ = strings.Cut(key, "(")
	return key
}

func (p *pnpm) entry(n, about *lockyaml.Node) {
	if about == nil {
		about = n
	}
	name, version := p.split(n.Key)
	if v := about.Get("name").Value; v != "" {
		name = v
	}
	if v := about.Get("version").Value; v != "" {
		version = v
	}
	for _, kind := range []string{"dependencies", "optionalDependencies"} {
		for _, d := range n.Get(kind).Nodes {
			p.graph.edges[n.Key] = append(p.graph.edges[n.Key], p.key(d.Key, d.Value))
		}
	}
	if isLocal(version) || isLocal(n.Key) {
		return
	}
	if !exact.MatchString(version) {
		p.out.Unknown(n.Line, n.Key, "the lockfile gives no version of it")
		return
	}
	made := pkg(name, version)
	made.Dev = n.Get("dev").Value == "true"
	made.Hashes = extract.SRI(about.Get("resolution").Get("integrity").Value)
	p.graph.packages[n.Key] = made
}

// isLocal is a folder of the project itself.
func isLocal(version string) bool {
	return strings.HasPrefix(version, "link:") || strings.HasPrefix(version, "file:") || strings.HasPrefix(version, "workspace:")
}

// split reads a package's key: /name/1.2.3_peers in version 5, /name@1.2.3(peers)
// in 6, name@1.2.3(peers) from 9 on.
func (p *pnpm) split(key string) (name, version string) {
	key = strings.TrimPrefix(bare(key), "/")
	if p.version > 5 {
		name, version, _ = cutVersion(key)
		return name, version
	}
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return key, ""
	}
	version, _, _ = strings.Cut(key[i+1:], "_")
	return key[:i], version
}

// key is that of the package to which a dependency leads.
func (p *pnpm) key(name, version string) string {
	switch {
	case strings.HasPrefix(version, "/") || isLocal(version):
		return version
	case p.version == 5:
		return "/" + name + "/" + version
	case p.version < 9:
		return "/" + name + "@" + version
	}
	if _, _, aliased := cutVersion(bare(version)); aliased && !strings.Contains(version, "://") {
		return version
	}
	return name + "@" + version
}

// importer is a project of the workspace, or the only one.
func (p *pnpm) importer(n *lockyaml.Node) {
	for _, kind := range []string{"dependencies", "optionalDependencies", "devDependencies"} {
		for _, d := range n.Get(kind).Nodes {
			version := d.Value
			if len(d.Nodes) > 0 {
				version = d.Get("version").Value
			}
			key := p.key(d.Key, version)
			if kind == "devDependencies" {
				p.graph.dev = append(p.graph.dev, key)
			} else {
				p.graph.runtime = append(p.graph.runtime, key)
			}
		}
	}
}
