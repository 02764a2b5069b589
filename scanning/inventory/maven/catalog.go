package maven

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// catalog is Gradle's list of names for coordinates. A version is a text, or a
// table that says which of several is wanted.
type catalog struct {
	Versions  map[string]any `toml:"versions"`
	Libraries map[string]any `toml:"libraries"`
}

func readCatalog(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if in.Above("gradle.lockfile", "gradle/verification-metadata.xml") || in.Exists("verification-metadata.xml") {
		return nil
	}
	var c catalog
	if err := in.TOML(&c); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Libraries)) {
		module, version := c.library(c.Libraries[name])
		group, artifact, ok := strings.Cut(module, ":")
		if !ok {
			out.Fail(extract.Malformed(0, "library %.80q has no coordinates", name))
			continue
		}
		exact, ok := exactly(version)
		if !ok {
			out.Unknown(0, module, "its version ("+version+") is none that means itself; a build resolves it")
			continue
		}
		p := pkg(group, artifact, exact)
		p.Direct = true
		out.Add(p)
	}
	return nil
}

// library reads "group:artifact:version", or a table of module or group and name,
// with a version or the name of one.
func (c *catalog) library(v any) (module, version string) {
	if text, ok := v.(string); ok {
		i := strings.LastIndexByte(text, ':')
		if i < 0 {
			return text, ""
		}
		return text[:i], text[i+1:]
	}
	table, _ := v.(map[string]any)
	module = word(table["module"])
	if group, name := word(table["group"]), word(table["name"]); module == "" && group != "" {
		module = group + ":" + name
	}
	if ref, ok := table["version"].(map[string]any); ok && word(ref["ref"]) != "" {
		return module, chosen(c.Versions[word(ref["ref"])])
	}
	return module, chosen(table["version"])
}

func chosen(v any) string {
	table, ok := v.(map[string]any)
	if !ok {
		return word(v)
	}
	return cmp.Or(word(table["strictly"]), word(table["require"]), word(table["prefer"]))
}

func word(v any) string {
	s, _ := v.(string)
	return s
}
