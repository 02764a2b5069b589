package npm

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// denoPackages are packages by "name@version", in version 2 beside their
// specifiers.
type denoPackages map[string]json.RawMessage

type denoLock struct {
	Version  json.RawMessage            `json:"version"`
	NPM      denoPackages               `json:"npm"`
	JSR      denoPackages               `json:"jsr"`
	Remote   map[string]json.RawMessage `json:"remote"`
	Asked    map[string]string          `json:"specifiers"`
	Packages struct {                   // version 3
		Asked map[string]string `json:"specifiers"`
		NPM   denoPackages      `json:"npm"`
		JSR   denoPackages      `json:"jsr"`
	} `json:"packages"`
}

type denoEntry struct {
	Integrity string          `json:"integrity"`
	Needs     json.RawMessage `json:"dependencies"`
}

func readDeno(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock denoLock
	if err := in.JSON(&lock); err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.Trim(string(lock.Version), `"`))
	switch {
	case err != nil:
		return extract.Malformed(0, "no version: not a lockfile of deno")
	case version < 2 || version > 5:
		return extract.Unsupported("lockfile version %d; versions 2 to 5 are read", version)
	case version == 2:
		inner := lock.NPM["packages"]
		if lock.NPM = nil; inner != nil && json.Unmarshal(inner, &lock.NPM) != nil {
			return extract.Malformed(0, "its packages are no object")
		}
	case version == 3:
		lock.NPM, lock.JSR, lock.Asked = lock.Packages.NPM, lock.Packages.JSR, lock.Packages.Asked
	}
	lock.tell(out)
	return nil
}

func (l *denoLock) tell(out *extract.Sink) {
	direct := l.direct()
	byName := map[string]string{} // the first of each name, which a list of needs may mean
	for _, key := range slices.Sorted(maps.Keys(l.NPM)) {
		if n, v, ok := cutVersion(denoVersion(key)); ok && byName[n] == "" {
			byName[n] = purl(n, v)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.NPM)) {
		denoPackage(key, l.NPM[key], byName, direct["npm:"+denoVersion(key)], out)
	}
	for _, key := range slices.Sorted(maps.Keys(l.JSR)) {
		name, version, ok := cutVersion(key)
		if !ok {
			out.Fail(extract.Malformed(0, "package %.80q has no version", key))
			continue
		}
		out.Add(scanning.Package{Ecosystem: "JSR", Name: name, Version: version, PURL: extract.PURL("jsr", name, version), Direct: direct["jsr:"+key]})
	}
	if len(l.Remote) > 0 {
		out.Gap(scanning.ReasonUnsupported, out.At(0), strconv.Itoa(len(l.Remote))+" modules are imported by address; no advisories speak of these")
	}
}

// direct are the packages that the project asks for, as "npm:name@version". The
// specifier "npm:chalk@5" leads to "npm:chalk@5.3.0", since version 4 to "5.3.0".
func (l *denoLock) direct() map[string]bool {
	all := map[string]bool{}
	for wish, to := range l.Asked {
		kind, rest, _ := strings.Cut(wish, ":")
		if key, ok := strings.CutPrefix(to, kind+":"); ok {
			all[kind+":"+denoVersion(key)] = true
			continue
		}
		name, _, _ := cutVersion(rest)
		all[kind+":"+denoVersion(name+"@"+to)] = true
	}
	return all
}

func denoPackage(key string, raw json.RawMessage, byName map[string]string, direct bool, out *extract.Sink) {
	name, version, ok := cutVersion(denoVersion(key))
	var e denoEntry
	if !ok || json.Unmarshal(raw, &e) != nil {
		out.Fail(extract.Malformed(0, "package %.80q has no version, or is no object", key))
		return
	}
	p := pkg(name, version)
	p.Direct, p.Hashes = direct, extract.SRI(e.Integrity)
	for _, need := range denoNeeds(e.Needs) {
		if n, v, ok := cutVersion(denoVersion(need)); ok {
			p.Requires = append(p.Requires, purl(n, v))
		} else if byName[need] != "" {
			p.Requires = append(p.Requires, byName[need])
		}
	}
	out.Add(p)
}

// denoVersion cuts off with which peers a package was installed: a@1.0.0_b@2.0.0.
func denoVersion(key string) string {
	if key == "" {
		return ""
	}
	if at := strings.IndexByte(key[1:], '@'); at >= 0 {
		if i := strings.IndexByte(key[at+1:], '_'); i >= 0 {
			return key[:at+1+i]
		}
	}
	return key
}

// denoNeeds are a map of names to keys, or a list of names or keys.
func denoNeeds(raw json.RawMessage) []string {
	var list []string
	var byName map[string]string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	_ = json.Unmarshal(raw, &byName) // none where it is neither
	return slices.Sorted(maps.Values(byName))
}
