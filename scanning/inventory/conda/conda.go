// Package conda reads conda's environments: what is installed, what is locked and
// what is asked for. What pip brings into them is of PyPI.
package conda

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/lockyaml"
)

const ecosystem = "conda"

// Extractors are those of conda.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "conda/installed", Ecosystem: ecosystem, Suffixes: []string{".json"}, Wants: inMeta, Read: readMeta, Installed: true,
			Shown: []string{"conda-meta/*.json"},
			Reads: "installed packages with licence, checksums and channel. OSV publishes no advisories of conda: a gap",
		},
		{
			Name: "conda/environment", Ecosystem: ecosystem, Names: []string{"environment.yml", "environment.yaml"}, Read: readEnvironment,
			Reads: "exact versions of conda and, below pip, of PyPI; each other is a gap",
		},
		{
			Name: "conda/lock", Ecosystem: ecosystem, Names: []string{"conda-lock.yml", "pixi.lock"}, Read: readLock,
			Reads: "packages of conda and of PyPI with checksums, of every platform",
		},
	}
}

func inMeta(file string, _ fs.DirEntry) bool { return path.Base(path.Dir(file)) == "conda-meta" }

func pkg(name, version string, qualifiers ...string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, PURL: extract.PURL("conda", name, version, qualifiers...)}
}

func pypi(name, version string) scanning.Package {
	name = strings.ToLower(separators.ReplaceAllString(name, "-"))
	return scanning.Package{Ecosystem: "PyPI", Name: name, Version: version, PURL: extract.PURL("pypi", name, version)}
}

var separators = regexp.MustCompile(`[-_.]+`)

func readMeta(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var meta struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Build   string `json:"build"`
		Subdir  string `json:"subdir"`
		License string `json:"license"`
		SHA256  string `json:"sha256"`
		MD5     string `json:"md5"`
	}
	if err := in.JSON(&meta); err != nil {
		return err
	}
	if meta.Name == "" || meta.Version == "" {
		return extract.Malformed(0, "no name and version: not a package's record of conda")
	}
	p := pkg(meta.Name, meta.Version, "build", meta.Build, "subdir", meta.Subdir)
	if meta.License != "" {
		p.Licenses = []string{meta.License}
	}
	if p.Hashes = extract.Hex("sha256", meta.SHA256); p.Hashes == nil {
		p.Hashes = extract.Hex("md5", meta.MD5)
	}
	out.Add(p)
	return nil
}

func document(in *extract.Input) (*lockyaml.Node, error) {
	data, err := in.Text()
	if err != nil {
		return nil, err
	}
	docs, err := lockyaml.Parse(string(data))
	var at *lockyaml.Error
	if errors.As(err, &at) {
		return nil, extract.Malformed(at.Line, "not the YAML of conda: %s", at.Msg)
	}
	if err != nil || len(docs) == 0 {
		return &lockyaml.Node{}, err
	}
	return docs[0], nil
}

func readEnvironment(_ context.Context, in *extract.Input, out *extract.Sink) error {
	doc, err := document(in)
	if err != nil || doc.Get("dependencies").Line == 0 {
		return err // another tool's environment
	}
	for _, n := range doc.Get("dependencies").Nodes {
		if list := n.Get("pip"); list.Line > 0 {
			for _, wish := range list.Nodes {
				if !piped(wish, in, out) {
					asked(wish, pipPin, pypi, out)
				}
			}
			continue
		}
		asked(n, condaPin, func(name, version string) scanning.Package { return pkg(name, version) }, out)
	}
	return nil
}

var (
	// condaPin is name==1.2.3, or name=1.2.3=build; name=1.2 is any 1.2.
	condaPin = regexp.MustCompile(`^(?:[\w./-]+::)?([A-Za-z0-9_][\w.-]*) *(?:== *([0-9][\w.!+]*)|= *([0-9][\w.!+]*)=[\w.*]+)$`)
	pipPin   = regexp.MustCompile(`^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])? *={2,3} *([0-9][\w.!+]*)()$`)
	wishName = regexp.MustCompile(`^(?:[\w./-]+::)?([A-Za-z0-9_][\w.-]*)`)
)

// pipOption is an option of pip that brings packages.
var pipOption = regexp.MustCompile(`^(-r|--requirement|-e|--editable)[ =]*(.*)$`)

// piped takes the options of pip. Requirements that stand in the tree under the
// name by which they are known are read by themselves.
func piped(n *lockyaml.Node, in *extract.Input, out *extract.Sink) bool {
	m := pipOption.FindStringSubmatch(n.Value)
	if m == nil {
		return false
	}
	isFile := m[1] == "-r" || m[1] == "--requirement"
	isFolder := strings.HasPrefix(m[2], ".") || strings.HasPrefix(m[2], "/")
	known := strings.Contains(path.Base(m[2]), "requirements") && strings.HasSuffix(m[2], ".txt") && in.Exists(m[2])
	if isFile && !known || !isFile && !isFolder {
		out.Gap(scanning.ReasonUnsupported, out.At(n.Line), "what pip brings with "+n.Value+" is not known; list what is installed with: conda env export")
	}
	return true
}

func asked(n *lockyaml.Node, pin *regexp.Regexp, make func(name, version string) scanning.Package, out *extract.Sink) {
	wish, _, _ := strings.Cut(n.Value, ";")
	wish = strings.TrimSpace(wish)
	if wish == "" && len(n.Nodes) > 0 {
		out.Gap(scanning.ReasonUnsupported, out.At(n.Line), "no version: "+n.Nodes[0].Key)
		return
	}
	if strings.HasPrefix(wish, "-") || strings.HasPrefix(wish, ".") || wish == "" {
		return // an option of pip, a folder of this project
	}
	if m := pin.FindStringSubmatch(wish); m != nil {
		p := make(m[1], m[2]+m[3])
		p.Direct = true
		out.Add(p)
		return
	}
	name := wishName.FindStringSubmatch(wish)
	if name == nil || strings.Contains(wish, "://") {
		out.Gap(scanning.ReasonUnsupported, out.At(n.Line), "no version: "+wish)
		return
	}
	out.Gap(scanning.ReasonUnsupported, out.At(n.Line), name[1]+": declared, not resolved; list what is installed with: conda env export")
}

// readLock reads conda-lock's packages (name, version, manager) and pixi's
// (conda: ADDRESS, pypi: ADDRESS).
func readLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	doc, err := document(in)
	if err != nil {
		return err
	}
	list := doc.Get("package")
	if list.Line == 0 {
		list = doc.Get("packages")
	}
	if list.Line == 0 {
		return extract.Malformed(0, "no packages: not a lockfile of conda-lock or pixi")
	}
	for _, n := range list.Nodes {
		locked(n, out)
	}
	return nil
}

func locked(n *lockyaml.Node, out *extract.Sink) {
	manager, name, version := n.Get("manager").Value+n.Get("kind").Value, n.Get("name").Value, n.Get("version").Value
	if address := n.Get("conda").Value; address != "" {
		manager = "conda"
		if name == "" || version == "" {
			name, version = ofFile(path.Base(address))
		}
	} else if address := n.Get("pypi").Value; address != "" {
		manager = "pip"
		if strings.HasPrefix(address, ".") {
			return // a folder of this project
		}
	}
	if name == "" || version == "" {
		out.Fail(extract.Malformed(n.Line, "a package without name or version"))
		return
	}
	p := pkg(name, version)
	if manager == "pip" || manager == "pypi" {
		p = pypi(name, version)
	}
	hashes := n
	if n.Get("hash").Line > 0 {
		hashes = n.Get("hash")
	}
	if p.Hashes = extract.Hex("sha256", hashes.Get("sha256").Value); p.Hashes == nil {
		p.Hashes = extract.Hex("md5", hashes.Get("md5").Value)
	}
	p.Dev = n.Get("category").Value == "dev"
	out.Add(p)
}

// ofFile parts numpy-1.26.4-py312_0.conda.
func ofFile(base string) (name, version string) {
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".conda"), ".tar.bz2")
	build := strings.LastIndexByte(base, '-')
	if build <= 0 {
		return "", ""
	}
	v := strings.LastIndexByte(base[:build], '-')
	if v <= 0 {
		return "", ""
	}
	return base[:v], base[v+1 : build]
}
