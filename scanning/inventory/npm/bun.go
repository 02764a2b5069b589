package npm

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

type bunLock struct {
	Version    *int                         `json:"lockfileVersion"`
	Workspaces map[string]manifest          `json:"workspaces"`
	Packages   map[string][]json.RawMessage `json:"packages"`
}

func readBun(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if strings.HasSuffix(in.Path, "b") {
		if in.Exists("bun.lock") {
			return nil
		}
		return extract.Unsupported("bun's binary lockfile is not read; write the text form with: bun install --save-text-lockfile")
	}
	data, err := in.Text()
	if err != nil {
		return err
	}
	var lock bunLock
	if err := extract.JSON(in, plainJSON(data), &lock); err != nil {
		return err
	}
	if lock.Version == nil {
		return extract.Malformed(0, "no lockfileVersion: not a lockfile of bun")
	}
	if *lock.Version > 1 {
		return extract.Unsupported("lockfile version %d; versions 0 and 1 are read", *lock.Version)
	}
	bun(&lock, out)
	return nil
}

func bun(lock *bunLock, out *extract.Sink) {
	g := newGraph()
	for key, entry := range lock.Packages {
		if len(key) > maxPlace {
			out.Fail(extract.Malformed(0, "a package at %.80q…, %d bytes deep", key, len(key)))
			continue
		}
		bunEntry(g, lock, key, entry, out)
	}
	for _, w := range lock.Workspaces {
		for _, wanted := range []loose{w.Runtime, w.Optional, w.Peer} {
			for name := range wanted {
				g.runtime = append(g.runtime, name)
			}
		}
		for name := range w.Dev {
			g.dev = append(g.dev, name)
		}
	}
	g.tell(true, out)
}

// bunEntry reads ["name@1.2.3", "registry", {dependencies}, "sha512-…"].
func bunEntry(g *graph, lock *bunLock, key string, entry []json.RawMessage, out *extract.Sink) {
	var spec, integrity string
	if len(entry) == 0 || json.Unmarshal(entry[0], &spec) != nil {
		out.Fail(extract.Malformed(0, "package %.80q has no name with a version", key))
		return
	}
	var about manifest
	for _, part := range entry[1:] {
		if len(part) > 0 && part[0] == '{' {
			_ = json.Unmarshal(part, &about) // what it needs, where it says so
		}
	}
	_ = json.Unmarshal(entry[len(entry)-1], &integrity) // none where it is no string
	for _, wanted := range []loose{about.Runtime, about.Optional, about.Peer} {
		for name := range wanted {
			if to := bunFind(lock, key, name); to != "" {
				g.edges[key] = append(g.edges[key], to)
			}
		}
	}
	name, version, _ := cutVersion(spec)
	switch {
	case isLocal(version) || strings.HasPrefix(version, "root:"):
	case !exact.MatchString(version):
		out.Unknown(0, name, "comes from "+version+", which is no version")
	default:
		p := pkg(name, version)
		p.Hashes = extract.SRI(integrity)
		g.packages[key] = p
	}
}

// bunFind looks for what a package needs: nested below it, below what is above
// it, at the top.
func bunFind(lock *bunLock, key, name string) string {
	for at := key; at != ""; {
		if _, ok := lock.Packages[at+"/"+name]; ok {
			return at + "/" + name
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			break
		}
		at = at[:i]
	}
	if _, ok := lock.Packages[name]; ok {
		return name
	}
	return ""
}

// plainJSON blanks the commas before closing brackets and the remarks that bun's
// JSON may have, so that lines stay where they are.
func plainJSON(data []byte) []byte {
	out := append([]byte(nil), data...)
	comma := -1
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			comma = -1
			i = stringEnd(out, i)
		case c == '/' && i+1 < len(out) && out[i+1] == '/':
			for ; i < len(out) && out[i] != '\n'; i++ {
				out[i] = ' '
			}
		case c == ',':
			comma = i
		case (c == ']' || c == '}') && comma >= 0:
			out[comma] = ' '
			comma = -1
		case c != ' ' && c != '\n' && c != '\r' && c != '\t':
			comma = -1
		}
	}
	return out
}

func stringEnd(data []byte, i int) int {
	for i++; i < len(data) && data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i
}
