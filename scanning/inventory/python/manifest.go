package python

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// locks are the files beside or above a manifest that hold its versions.
var locks = []string{"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "requirements.txt"}

func readManifest(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var p pyproject
	if err := decode(in, &p); err != nil {
		return err
	}
	command, beside := "uv lock", locks
	if strings.HasSuffix(in.Path, "Pipfile") {
		command, beside = "pipenv lock", []string{"Pipfile.lock"}
	} else if p.Tool.Poetry.Needs != nil {
		command = "poetry lock"
	}
	if len(p.names()) == 0 || in.Above(beside...) {
		return nil
	}
	runtime, dev := p.wishes()
	for i, list := range [][]string{runtime, dev} {
		for _, w := range list {
			pinnedWish(w, i == 1, out)
		}
	}
	out.Gap(scanning.ReasonUnsupported, out.At(0), "no lockfile: versions unknown; make one with: "+command)
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

// readSetup reads what setuptools is told: in setup.cfg as text, in setup.py as
// far as it is written down and not computed.
func readSetup(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	switch {
	case strings.IndexByte(string(data), 0) >= 0:
		return extract.Malformed(0, "not a text")
	case len(data) > maxSetup:
		return extract.TooLarge(int64(len(data)), maxSetup)
	}
	if in.Above(locks...) {
		return nil
	}
	read := setupPy
	if strings.HasSuffix(in.Path, ".cfg") {
		read = setupCfg
	}
	var open []string
	seen := map[string]bool{}
	for _, n := range read(string(data), out) {
		name, ok := pinnedWish(n.text, n.dev, out)
		if !ok && name != "" && !seen[name] {
			seen[name], open = true, append(open, name)
		}
	}
	unresolved(open, out)
	return nil
}

// maxSetup bounds a file that is looked through for each of its lists.
const maxSetup = 1 << 20

// unresolved tells what has no version.
func unresolved(open []string, out *extract.Sink) {
	if len(open) > 0 {
		const shown = 20
		more := ""
		if len(open) > shown {
			open, more = open[:shown], fmt.Sprintf(" and %d more", len(open)-shown)
		}
		out.Gap(scanning.ReasonUnsupported, out.At(0), "declared, not resolved: "+strings.Join(open, ", ")+more+"; make a lockfile with: uv pip compile")
	}
}

type setupWish struct {
	text string
	dev  bool
}

var (
	setupKey = regexp.MustCompile(`\b(install_requires|extras_require|setup_requires|tests_require)["']?\s*[=:]\s*`)
	variable = regexp.MustCompile(`^[A-Za-z_]\w*`)
)

func setupPy(text string, out *extract.Sink) (all []setupWish) {
	for _, m := range setupKey.FindAllStringSubmatchIndex(text, maxIncludes) {
		key, at := text[m[2]:m[3]], m[1]
		if name := variable.FindString(text[at:]); name != "" {
			at = assigned(text, name)
		}
		list, ok := literals(text, at)
		if !ok {
			out.Gap(scanning.ReasonUnsupported, out.At(extract.Line([]byte(text), int64(m[0]))), key+" is computed, and so its versions are unknown; make a lockfile with: uv pip compile")
			continue
		}
		for _, l := range list {
			all = append(all, setupWish{l, key == "setup_requires" || key == "tests_require"})
		}
	}
	return all
}

// assigned is where a variable's list or table begins, -1 where it has none.
func assigned(text, name string) int {
	at := regexp.MustCompile(`(?m)^\s*` + name + `\s*=\s*`).FindStringIndex(text)
	if at == nil {
		return -1
	}
	return at[1]
}

// literals are the strings of a list or table, without the table's keys; ok is
// false where anything else stands in it.
func literals(text string, at int) (all []string, ok bool) {
	if at < 0 || at >= len(text) || text[at] != '[' && text[at] != '{' && text[at] != '(' {
		return nil, false
	}
	depth := 0
	for i := at; i < len(text); i++ {
		switch c := text[i]; {
		case c == '[' || c == '{' || c == '(':
			depth++
		case c == ']' || c == '}' || c == ')':
			if depth--; depth == 0 {
				return all, true
			}
		case c == '#':
			i = lineEnd(text, i)
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return nil, false
			}
			one := text[i+1:][:end]
			i += end + 1
			if !strings.HasPrefix(strings.TrimLeft(text[i+1:], " \t"), ":") {
				all = append(all, one)
			}
		case c != ',' && c != ':' && c != ' ' && c != '\t' && c != '\n' && c != '\r':
			return nil, false
		}
	}
	return nil, false
}

func lineEnd(text string, i int) int {
	if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

// setupCfg reads the lists of the sections options and options.extras_require.
func setupCfg(text string, _ *extract.Sink) (all []setupWish) {
	section, key := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		body := strings.TrimSpace(line)
		switch {
		case body == "" || body[0] == '#' || body[0] == ';':
			continue
		case body[0] == '[':
			section, key = strings.Trim(body, "[]"), ""
			continue
		case line[0] != ' ' && line[0] != '\t':
			var value string
			key, value, _ = strings.Cut(body, "=")
			key, body = strings.TrimSpace(key), strings.TrimSpace(value)
		}
		wanted := section == "options.extras_require" || section == "options" && setupKey.MatchString(key+"=")
		if wanted && body != "" {
			body, _, _ = strings.Cut(body, " #")
			all = append(all, setupWish{body, key == "setup_requires" || key == "tests_require"})
		}
	}
	return all
}
