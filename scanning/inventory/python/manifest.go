package python

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// locks are the files beside or above a manifest that hold its versions.
var locks = []string{"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "requirements.txt"}

func (r *resolved) readManifest(ctx context.Context, in *extract.Input, out *extract.Sink) error {
	var p pyproject
	if err := decode(in, &p); err != nil {
		return err
	}
	command, files := "uv lock", locks
	if strings.HasSuffix(in.Path, "Pipfile") {
		command, files = "pipenv lock", []string{"Pipfile.lock"}
	} else if p.Tool.Poetry.Needs != nil {
		command = "poetry lock"
	}
	beside, above := r.above(in, files...)
	p.dynamic(ctx, in, len(beside) > 0, out)
	if len(p.names()) == 0 {
		return nil
	}
	var open []string
	runtime, dev := p.wishes()
	for i, list := range [][]string{runtime, dev} {
		for _, w := range list {
			name, _ := pinnedWish(w, i == 1, out)
			if name != "" && name != normal(p.Project.Name) && !above.has(name) {
				open = append(open, name)
			}
		}
	}
	switch {
	case len(above) == 0:
		out.Gap(scanning.ReasonUnsupported, out.At(0), "no lockfile: versions unknown; make one with: "+command)
	case len(open) > 0:
		out.Gap(scanning.ReasonUnsupported, out.At(0), "in no lockfile beside or above it: "+shortened(open)+"; make one with: "+command)
	}
	return nil
}

// wishes are what a project asks for, each as "name==version" where it is pinned.
func (p *pyproject) wishes() (runtime, dev []string) {
	runtime = slices.Clone(p.Project.Needs)
	for _, extra := range slices.Sorted(maps.Keys(p.Project.Optional)) {
		runtime = append(runtime, p.Project.Optional[extra]...)
	}
	for _, group := range slices.Sorted(maps.Keys(p.Groups)) {
		for _, n := range p.Groups[group] {
			if text, ok := n.(string); ok {
				dev = append(dev, text)
			}
		}
	}
	runtime = append(append(runtime, tableWishes(p.Tool.Poetry.Needs)...), tableWishes(p.Packages)...)
	dev = append(append(dev, tableWishes(p.Tool.Poetry.Dev)...), tableWishes(p.Dev)...)
	for _, group := range slices.Sorted(maps.Keys(p.Tool.Poetry.Groups)) {
		dev = append(dev, tableWishes(p.Tool.Poetry.Groups[group].Needs)...)
	}
	return runtime, dev
}

// tableWishes reads name = "==1.2.3", which poetry also writes as "1.2.3".
func tableWishes(table map[string]any) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		version, _ := table[name].(string)
		if more, ok := table[name].(map[string]any); ok {
			version, _ = more["version"].(string)
		}
		if version != "" && version[0] >= '0' && version[0] <= '9' {
			version = "==" + version
		}
		if name != "python" {
			all = append(all, name+version)
		}
	}
	return all
}

// pinnedWish tells a requirement that names one version; ok is false for others.
func pinnedWish(wish string, dev bool, out *extract.Sink) (name string, ok bool) {
	spec, _, _ := strings.Cut(wish, ";")
	if name = nameOf(spec); name == "" || strings.Contains(spec, "://") {
		return name, false
	}
	m := pinned.FindStringSubmatch(spec)
	if m == nil {
		return name, false
	}
	p := pkg(name, m[1])
	p.Direct, p.Dev = true, dev
	out.Add(p)
	return name, true
}

// unresolved tells what has no version.
func unresolved(open []string, out *extract.Sink) {
	if len(open) > 0 {
		out.Gap(scanning.ReasonUnsupported, out.At(0), "declared, not resolved: "+shortened(open)+"; make a lockfile with: uv pip compile")
	}
}

func shortened(names []string) string {
	const shown = 20
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// dynamic reads the files from which a build takes what it asks for. Where they
// are not named, setup.py says it, or nobody that is read.
func (p *pyproject) dynamic(ctx context.Context, in *extract.Input, locked bool, out *extract.Sink) {
	for _, key := range p.Project.Dynamic {
		if key != "dependencies" && key != "optional-dependencies" {
			continue
		}
		files := filesIn(p.Tool.Setuptools.Dynamic[key], 0)
		for _, file := range files[:min(len(files), maxIncludes)] {
			other := *in
			other.Path = path.Join(in.Dir(), file)
			if isRequirements(other.Path, nil) && in.Exists("/"+other.Path) {
				continue // that is read by itself
			}
			if err := readRequirements(ctx, &other, out); err != nil {
				f := extract.AsFault(err)
				out.Gap(f.Reason, out.At(0), key+" stand in "+file+": "+f.Msg)
			}
		}
		if len(files) > maxIncludes || len(files) == 0 && !locked && !in.Exists("setup.py") {
			out.Gap(scanning.ReasonUnsupported, out.At(0), key+" are"+computed)
		}
	}
}

// filesIn are the files of {file = "a"}, {file = ["a", "b"]} and, of groups, of
// each of them.
func filesIn(table any, depth int) (all []string) {
	more, ok := table.(map[string]any)
	if !ok || depth > 1 {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(more)) {
		switch value := more[key].(type) {
		case string:
			all = append(all, value)
		case []any:
			for _, one := range value {
				if text, ok := one.(string); ok {
					all = append(all, text)
				}
			}
		default:
			all = append(all, filesIn(value, depth+1)...)
		}
	}
	return all
}
