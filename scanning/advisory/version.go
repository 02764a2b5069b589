package advisory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// A version that can't be ordered. What it means is the caller's: a gap for a
// package, a fault for an advisory.
var (
	errNoVersion = errors.New("is no version")
	errNoOrder   = errors.New("belongs to an ecosystem whose order of versions is not known")
)

// version is parsed and can be compared with others of its family.
type version struct {
	family family
	text   string
	v      semantic.Version
	apk    []apkPart
	quick  quick
	fast   bool
}

// parseVersion reads a version as its family writes it. The library below
// accepts nearly anything and gives it some place; what is plainly none (a range,
// a path, a tag such as "latest") is refused here, since a wrong order says clean
// where nothing is known.
func parseVersion(f family, s string) (v version, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%.100q %w", s, errNoVersion)
		}
	}()
	if f == orderless || f == git {
		return version{}, fmt.Errorf("%.100q %w", s, errNoOrder)
	}
	plain := trimVersion(f, s)
	if !plausible(f, plain) {
		return version{}, fmt.Errorf("%.100q %w of %s", s, errNoVersion, semantics[f])
	}
	if f == apk {
		parts, ok := parseAPK(plain)
		if !ok {
			return version{}, fmt.Errorf("%.100q %w of %s", s, errNoVersion, semantics[f])
		}
		return version{family: f, apk: parts}, nil
	}
	v = version{family: f, text: plain}
	if f == semverOrder || f == golang {
		if v.quick, v.fast = parseQuick(plain); v.fast {
			return v, nil
		}
	}
	v.v, err = semantic.Parse(plain, semantics[f])
	if err != nil {
		return version{}, fmt.Errorf("%.100q %w of %s: %w", s, errNoVersion, semantics[f], err)
	}
	return v, nil
}

// compare is negative when v stands before w. A fault of the library counts as
// an error and never as an order.
func (v version) compare(w version) (order int, err error) {
	defer func() {
		if recover() != nil {
			err = errNoVersion
		}
	}()
	switch {
	case v.family == apk:
		return compareAPK(v.apk, w.apk), nil
	case v.fast && w.fast:
		return v.quick.compare(&w.quick), nil
	case v.fast || w.fast: // one of the two has an odd form
		return semantic.ParseSemverVersion(v.text).Compare(semantic.ParseSemverVersion(w.text))
	}
	return v.v.Compare(w.v)
}

// CompareVersions orders two versions of an ecosystem: negative when a is older.
func CompareVersions(ecosystem, a, b string) (int, error) {
	base, _ := split(ecosystem)
	f := families[base]
	if rebuilt(f, a) || rebuilt(f, b) {
		return compareRebuilt(a, b)
	}
	v, err := parseVersion(f, a)
	if err != nil {
		return 0, err
	}
	w, err := parseVersion(f, b)
	if err != nil {
		return 0, err
	}
	return v.compare(w)
}

// trimVersion takes off what surrounds a version in the wild.
func trimVersion(f family, s string) string {
	switch f {
	case golang:
		return goVersion(s)
	case semverOrder:
		return strings.TrimPrefix(s, "=")
	}
	return s
}

func digitByte(c byte) bool { return '0' <= c && c <= '9' }

// goVersion turns the toolchain's own spelling into the one that advisories use:
// go1.21rc2 is 1.21.0-rc.2, "go1.22.3 X:boringcrypto" and go1.21.3-vendor are the
// releases they were built from.
func goVersion(s string) string {
	s, _, _ = strings.Cut(s, " ")
	tool, ok := strings.CutPrefix(s, "go")
	if !ok {
		if i := strings.IndexAny(s, "rb"); i < 0 || strings.ContainsAny(s[:i], "-+v") {
			return s
		}
		tool = s
	}
	tool, _, _ = strings.Cut(tool, "-")
	i := strings.IndexAny(tool, "abcdefghijklmnopqrstuvwxyz")
	if i < 0 {
		return tool
	}
	word := strings.TrimRight(tool[i:], "0123456789")
	number := tool[i+len(word):]
	base := tool[:i]
	for strings.Count(base, ".") < 2 {
		base += ".0"
	}
	return base + "-" + word + "." + number
}

// plausible refuses what is no version whatever the rest of it says.
func plausible(f family, s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	digit := false
	for i := range len(s) {
		c := s[i]
		digit = digit || '0' <= c && c <= '9'
		if !versionByte(f, c) {
			return false
		}
	}
	if !digit {
		return false
	}
	switch f {
	case semverOrder, golang, pub, nuget:
		s = strings.TrimPrefix(s, "v")
		return s != "" && digitByte(s[0])
	}
	return true
}

func versionByte(f family, c byte) bool {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.IndexByte(".-+_~", c) >= 0:
		return true
	case c == ':' || c == '^':
		return f == debian || f == rpm || f == pypi && c == ':'
	case c == '!' || c == '*':
		return f == pypi && c == '!'
	case c == '/' || c == '#' || c == '@':
		return f == packagist && c != '@'
	case c == '(' || c == ')' || c == '&' || c == '%':
		return f == rpm
	}
	return false
}

// fold is the spelling under which an enumerated version is kept: two spellings
// of one version meet. It never joins versions that their ecosystem tells apart.
func fold(f family, s string) string {
	switch f {
	case golang, semverOrder, pub:
		return strings.TrimSuffix(strings.TrimPrefix(s, "v"), "+incompatible")
	case pypi:
		return foldZeros(foldPyPI(strings.TrimPrefix(strings.ToLower(s), "v")))
	case nuget, packagist:
		return foldZeros(strings.TrimPrefix(strings.ToLower(s), "v"))
	case gems:
		return foldZeros(s)
	case git:
		return strings.TrimPrefix(strings.ToLower(s), "v")
	case rpm, debian:
		return strings.TrimPrefix(s, "0:")
	}
	return s
}

// foldZeros cuts the zeros at the end of the release: 1.0.0 is 1, and 1.0rc1 is
// 1rc1.
func foldZeros(s string) string {
	end := 0
	for end < len(s) && (s[end] == '.' || '0' <= s[end] && s[end] <= '9') {
		end++
	}
	release := s[:end]
	for {
		short, ok := strings.CutSuffix(release, ".0")
		if !ok || short == "" {
			return release + s[end:]
		}
		release = short
	}
}

// foldPyPI spells pre-releases as PEP 440's normal form does.
var pypiWords = strings.NewReplacer("-alpha", "a", ".alpha", "a", "_alpha", "a", "alpha", "a",
	"-beta", "b", ".beta", "b", "_beta", "b", "beta", "b", "-preview", "rc", "preview", "rc",
	"-pre", "rc", ".pre", "rc", "pre", "rc", "-rc", "rc", ".rc", "rc", "_rc", "rc", "-post", ".post", "_post", ".post",
	"-dev", ".dev", "_dev", ".dev", "-a", "a", ".a", "a", "-b", "b", ".b", "b")

func foldPyPI(s string) string { return pypiWords.Replace(s) }
