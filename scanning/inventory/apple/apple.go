// Package apple reads what apps for Apple's systems are made of: the lockfiles of
// the Swift Package Manager and of CocoaPods.
package apple

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/lockyaml"
)

const (
	swift = "SwiftURL"
	pods  = "CocoaPods"
)

// Extractors are those of Swift and CocoaPods.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "apple/package-resolved", Ecosystem: swift, Names: []string{"Package.resolved"}, Read: readResolved,
			Reads: "versions 1, 2 and 3, by the repository's address; pins on a branch or a commit are a gap",
		},
		{
			Name: "apple/podfile-lock", Ecosystem: pods, Names: []string{"Podfile.lock"}, Read: readPods,
			Reads: "pods with edges and direct ones, subspecs as their pod. OSV publishes no advisories of CocoaPods: a gap",
		},
	}
}

type pin struct {
	URL      string `json:"repositoryURL"`
	Location string `json:"location"`
	Kind     string `json:"kind"`
	Identity string `json:"identity"`
	Name     string `json:"package"`
	State    struct {
		Version  string `json:"version"`
		Branch   string `json:"branch"`
		Revision string `json:"revision"`
	} `json:"state"`
}

func readResolved(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock struct {
		Version int   `json:"version"`
		Pins    []pin `json:"pins"`
		Object  struct {
			Pins []pin `json:"pins"`
		} `json:"object"`
	}
	if err := in.JSON(&lock); err != nil {
		return err
	}
	switch lock.Version {
	case 0:
		return extract.Malformed(0, "no version: not a lockfile of Swift")
	case 1, 2, 3:
	default:
		return extract.Unsupported("version %d; versions 1, 2 and 3 are read", lock.Version)
	}
	for _, p := range slices.Concat(lock.Object.Pins, lock.Pins) {
		p.tell(out)
	}
	return nil
}

func (p *pin) tell(out *extract.Sink) {
	shown := p.Identity + p.Name
	switch {
	case p.Kind == "localSourceControl" || p.Kind == "fileSystem":
		return // of this project
	case p.Kind == "registry":
		out.Unknown(0, shown, "comes from a registry; advisories of Swift name repositories")
		return
	case p.State.Version == "":
		out.Unknown(0, shown, "is pinned to "+p.State.Branch+" "+p.State.Revision+" and not to a version")
		return
	}
	name := repository(p.URL + p.Location)
	if name == "" {
		out.Fail(extract.Malformed(0, "%.80q has no repository", shown))
		return
	}
	out.Add(scanning.Package{
		Ecosystem: swift, Name: name, Version: p.State.Version,
		PURL: extract.PURL("swift", name, p.State.Version),
	})
}

var scheme = regexp.MustCompile(`^[a-z+]+://(?:[^/@]*@)?`)

// repository is an address as advisories write it: without scheme, user and .git.
func repository(url string) string {
	plain := scheme.ReplaceAllString(url, "")
	if plain == url { // git@github.com:apple/swift-nio.git
		_, plain, _ = strings.Cut(url, "@")
		plain = strings.Replace(plain, ":", "/", 1)
	}
	return strings.TrimSuffix(strings.TrimSuffix(plain, "/"), ".git")
}

// podLine is "Firebase/Core (8.0.0)".
var podLine = regexp.MustCompile(`^([^ /()]+)(?:/[^()]*)? \(([^()]+)\)$`)

func readPods(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	docs, err := lockyaml.Parse(string(data))
	var at *lockyaml.Error
	if errors.As(err, &at) {
		return extract.Malformed(at.Line, "not the YAML of a lockfile: %s", at.Msg)
	}
	if err != nil {
		return err
	}
	if len(docs) == 0 || docs[0].Get("COCOAPODS").Line == 0 {
		return extract.Malformed(0, "no COCOAPODS: not a lockfile of CocoaPods")
	}
	readSpecs(docs[0], out)
	return nil
}

func readSpecs(doc *lockyaml.Node, out *extract.Sink) {
	direct := map[string]bool{}
	for _, n := range doc.Get("DEPENDENCIES").Nodes {
		direct[podName(entry(n))] = true
	}
	versions, elsewhere := map[string]string{}, doc.Get("EXTERNAL SOURCES")
	for _, n := range doc.Get("PODS").Nodes {
		if m := podLine.FindStringSubmatch(entry(n)); m != nil {
			versions[m[1]] = m[2]
		}
	}
	for _, n := range doc.Get("PODS").Nodes {
		m := podLine.FindStringSubmatch(entry(n))
		if m == nil {
			out.Fail(extract.Malformed(n.Line, "no pod: %.80q", entry(n)))
			continue
		}
		if elsewhere.Get(m[1]).Get(":path").Line > 0 {
			continue // of this project
		}
		p := pod(m[1], m[2])
		p.Direct = direct[m[1]]
		for _, needs := range n.Nodes {
			for _, need := range needs.Nodes {
				if name := podName(need.Value); name != m[1] && versions[name] != "" {
					p.Requires = append(p.Requires, extract.PURL("cocoapods", name, versions[name]))
				}
			}
		}
		out.Add(p)
	}
}

// entry is the text of a list's member, which is a key where a list follows.
func entry(n *lockyaml.Node) string {
	if n.Value == "" && len(n.Nodes) > 0 {
		return n.Nodes[0].Key
	}
	return n.Value
}

func podName(s string) string {
	s, _, _ = strings.Cut(s, " ")
	s, _, _ = strings.Cut(s, "/")
	return s
}

func pod(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: pods, Name: name, Version: version, PURL: extract.PURL("cocoapods", name, version)}
}
