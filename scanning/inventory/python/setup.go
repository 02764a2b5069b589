package python

import (
	"context"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// readSetup reads what setuptools is told: in setup.cfg as text, in setup.py as
// far as it is written down and not computed.
func (r *resolved) readSetup(_ context.Context, in *extract.Input, out *extract.Sink) error {
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
	beside, above := r.above(in, locks...)
	read := setupPy
	if strings.HasSuffix(in.Path, ".cfg") {
		read = setupCfg
	}
	var open []string
	seen := map[string]bool{}
	for _, n := range read(string(data), len(beside) > 0, out) {
		name, ok := pinnedWish(n.text, n.dev, out)
		if !ok && name != "" && !seen[name] && !above.has(name) {
			seen[name], open = true, append(open, name)
		}
	}
	unresolved(open, out)
	return nil
}

// maxSetup bounds a file that is looked through for each of its lists.
const maxSetup = 1 << 20

// What a hostile one could say again and again.
const (
	maxAssigned = 10
	maxWishes   = 100_000
)

type setupWish struct {
	text string
	dev  bool
}

var (
	setupKey  = regexp.MustCompile(`\b(install_requires|extras_require|setup_requires|tests_require)["']?\s*\]?\s*\+?[=:]\s*`)
	setupCall = regexp.MustCompile(`(?m)(?:^|[^\w.]|setuptools\.|core\.)setup\s*(\()`)
	variable  = regexp.MustCompile(`^[A-Za-z_]\w*`)
)

const computed = " computed, and so versions are unknown; make a lockfile with: uv pip compile"

// setupPy reads lists that are written down. What code adds is a gap, unless a
// lockfile beside it says what came of it.
func setupPy(text string, locked bool, out *extract.Sink) (all []setupWish) {
	gap := func(at int, why string) {
		if !locked {
			out.Gap(scanning.ReasonUnsupported, out.At(extract.Line([]byte(text), int64(at))), why+computed)
		}
	}
	for _, m := range setupKey.FindAllStringSubmatchIndex(text, maxIncludes) {
		key, places, whole := text[m[2]:m[3]], []int{m[1]}, true
		if name := variable.FindString(text[m[1]:]); name != "" {
			places, whole = assigned(text, name)
		}
		for _, at := range places {
			list, ok := literals(text, at)
			whole = whole && ok
			for _, l := range list {
				all = append(all, setupWish{l, key == "setup_requires" || key == "tests_require"})
			}
		}
		if !whole {
			gap(m[0], key+" is")
		}
		if len(all) > maxWishes {
			out.Gap(scanning.ReasonTooMany, out.At(0), "more packages than anybody asks for")
			return all
		}
	}
	for _, m := range setupCall.FindAllStringSubmatchIndex(text, maxIncludes) {
		if !strings.HasSuffix(text[:m[2]], "def setup") && unpacks(text[m[2]:]) {
			gap(m[2], "the arguments of setup are")
		}
	}
	return all
}

// assigned is where a variable's lists or tables begin; whole is false where it
// has none, or code changes it.
func assigned(text, name string) (places []int, whole bool) {
	for _, at := range regexp.MustCompile(`(?m)^\s*`+name+`\s*=\s*`).FindAllStringIndex(text, maxAssigned) {
		places = append(places, at[1])
	}
	changed := regexp.MustCompile(`\b` + name + `\s*(?:\[[^\]\n]*\]\s*\+?=|\+=|\.\s*(?:append|extend|insert|update|setdefault)\b)`)
	return places, len(places) > 0 && !changed.MatchString(text)
}

// unpacks reports whether a call is given arguments that do not stand in it:
// setup(**more).
func unpacks(call string) bool {
	depth, begins := 0, false
	for i := 0; i < len(call); i++ {
		switch c := call[i]; {
		case c == '(' || c == '[' || c == '{':
			depth++
			begins = depth == 1
		case c == ')' || c == ']' || c == '}':
			if depth--; depth == 0 {
				return false
			}
		case c == ',':
			begins = depth == 1
		case c == '*' && begins:
			return true
		case c == '#':
			i = lineEnd(call, i)
		case c == '"' || c == '\'':
			end := strings.IndexByte(call[i+1:], c)
			if end < 0 {
				return true
			}
			i += end + 1
			begins = false
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			begins = false
		}
	}
	return false
}

// literals are the strings of a list or table, without the table's keys; ok is
// false where anything else stands in it, or is added to it.
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
				return all, !strings.HasPrefix(strings.TrimLeft(text[i+1:], " \t"), "+")
			}
		case c == '#':
			i = lineEnd(text, i)
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return all, false
			}
			one := text[i+1:][:end]
			i += end + 1
			if !strings.HasPrefix(strings.TrimLeft(text[i+1:], " \t"), ":") {
				all = append(all, one)
			}
		case c != ',' && c != ':' && c != ' ' && c != '\t' && c != '\n' && c != '\r':
			return all, false
		}
	}
	return all, false
}

func lineEnd(text string, i int) int {
	if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

// setupCfg reads the lists of the sections options and options.extras_require.
func setupCfg(text string, _ bool, _ *extract.Sink) (all []setupWish) {
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
