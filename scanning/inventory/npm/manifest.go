package npm

import (
	"context"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

type manifest struct {
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	License    licence         `json:"license"`
	Licenses   licence         `json:"licenses"`
	Runtime    loose           `json:"dependencies"`
	Dev        loose           `json:"devDependencies"`
	Optional   loose           `json:"optionalDependencies"`
	Peer       loose           `json:"peerDependencies"`
	Workspaces json.RawMessage `json:"workspaces"`
}

// loose is a map of strings from which anything else is left out: package.json
// is written by hand.
type loose map[string]string

// UnmarshalJSON never fails.
func (l *loose) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	*l = loose{}
	for k, v := range raw {
		var s string
		if json.Unmarshal(v, &s) == nil {
			(*l)[k] = s
		}
	}
	return nil
}

// licence is what is written where a licence belongs: an expression, an object
// with a type, or a list of these.
type licence []string

// UnmarshalJSON never fails: a licence that is none is none.
func (l *licence) UnmarshalJSON(data []byte) error {
	var text string
	var object struct{ Type string }
	var list []licence
	switch {
	case json.Unmarshal(data, &text) == nil:
		*l = licence{text}
	case len(data) > 0 && data[0] == '{' && json.Unmarshal(data, &object) == nil:
		*l = licence{object.Type}
	case len(data) < 1<<16 && shallow(data) && json.Unmarshal(data, &list) == nil:
		*l = slices.Concat(list...)
	}
	return nil
}

// shallow keeps a list in a list in a list from being decoded anew at each level.
func shallow(data []byte) bool { return strings.Count(string(data), "[") < 8 }

func readManifestFile(in *extract.Input, name string) (manifest, error) {
	var m manifest
	data, err := in.Other(name)
	if err == nil {
		err = extract.JSON(in, data, &m)
	}
	return m, err
}

// manifestNames are what the package.json beside a lockfile asks for.
func manifestNames(in *extract.Input) map[string]bool {
	m, err := readManifestFile(in, "package.json")
	if err != nil {
		return nil // its own extractor says so
	}
	names := map[string]bool{}
	for _, wanted := range []loose{m.Runtime, m.Dev, m.Optional, m.Peer} {
		for name := range wanted {
			names[name] = true
		}
	}
	return names
}

func readInstalled(_ context.Context, in *extract.Input, out *extract.Sink) error {
	top := in.Path[:strings.Index("/"+in.Path, "/"+modules)]
	if in.Exists("/" + top + modules + ".package-lock.json") {
		return nil // which tells of all that is below
	}
	var m manifest
	if err := in.JSON(&m); err != nil {
		return err
	}
	if m.Name == "" || m.Version == "" {
		out.Unknown(0, in.Dir(), "an installed package without name or version")
		return nil
	}
	p := pkg(m.Name, m.Version)
	p.Licenses = slices.Concat(m.License, m.Licenses)
	out.Add(p)
	return nil
}

// isLocked reports whether a lockfile says what a package.json gets: one beside
// it, or one above it of a workspace. Any other above it is another project's.
func isLocked(in *extract.Input) bool {
	for dir := in.Dir(); ; dir = path.Dir(dir) {
		isLock := func(name string) bool { return in.Exists("/" + path.Join(dir, name)) }
		if slices.ContainsFunc(locks, isLock) && (dir == in.Dir() || isWorkspace(in, dir)) {
			return true
		}
		if dir == "." {
			return false
		}
	}
}

// isWorkspace asks for no more than the word: which folders are its members is a
// matter of patterns that each tool reads in its own way.
func isWorkspace(in *extract.Input, dir string) bool {
	for _, name := range []string{"pnpm-workspace.yaml", "lerna.json"} {
		if in.Exists("/" + path.Join(dir, name)) {
			return true
		}
	}
	small := *in
	small.Limits.Text = min(1<<20, in.Limits.Text)
	for _, name := range []string{"package.json", "deno.json", "deno.jsonc"} {
		data, err := small.Other("/" + path.Join(dir, name))
		if err == nil && strings.Contains(string(data), `"workspace`) {
			return true
		}
	}
	return false
}

func readManifest(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var m manifest
	if err := in.JSON(&m); err != nil {
		return err
	}
	if len(m.Runtime)+len(m.Dev)+len(m.Optional) == 0 || isLocked(in) {
		return nil
	}
	for _, wanted := range []loose{m.Runtime, m.Dev, m.Optional} {
		for _, name := range slices.Sorted(maps.Keys(wanted)) {
			if actual, version := alias(name, wanted[name]); exact.MatchString(version) {
				p := pkg(actual, strings.TrimPrefix(version, "v"))
				p.Direct, p.Dev = true, m.Dev[name] != "" && m.Runtime[name] == ""
				out.Add(p)
			}
		}
	}
	out.Gap(scanning.ReasonUnsupported, out.At(0), "no lockfile: versions unknown; make one with: npm install --package-lock-only")
	return nil
}
