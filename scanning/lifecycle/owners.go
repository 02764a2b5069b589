package lifecycle

import (
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// maxOwners is the longest text of owners, in bytes.
const maxOwners = 256 << 10

// OwnerRule is one line of a text of owners.
type OwnerRule struct {
	Subject, Path, Package string // patterns; "" for any
	Owner                  string
}

// ParseOwners reads a text of owners. A line is patterns and an owner; the last
// line that fits a finding decides. "#" begins a remark.
//
//   - security
//     subject:repo/shop        shop-team
//     subject:repo/shop path:/web/**  frontend
//     package:npm/lodash*      frontend
//     subject:device/press-*   operations
//
// A pattern without a word before it is a path. "*" stands for anything but a
// slash, "**" for anything.
func ParseOwners(text string) ([]OwnerRule, error) {
	const op = "lifecycle.ParseOwners"
	if len(text) > maxOwners {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("a text of owners has at most %d bytes", maxOwners))
	}
	var rules []OwnerRule
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("line %d names no owner", i+1)).WithHint("a line is patterns and an owner, such as: subject:repo/shop shop-team")
		}
		r := OwnerRule{Owner: strings.TrimPrefix(fields[len(fields)-1], "@")}
		if !name(r.Owner) {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("line %d: the owner is no short name", i+1))
		}
		for _, f := range fields[:len(fields)-1] {
			word, pattern, said := strings.Cut(f, ":")
			switch {
			case said && word == "subject":
				r.Subject = pattern
			case said && word == "package":
				r.Package = pattern
			case said && word == "path":
				r.Path = pattern
			default:
				r.Path = f
			}
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// ownerOf is the owner of a finding, "" for nobody.
func ownerOf(rules []OwnerRule, f *Finding) (owner string) {
	pkg := ""
	if f.What.Package != nil {
		pkg = family(f.What.Package.Ecosystem) + "/" + f.What.Package.Name
	}
	for _, r := range rules {
		if fits(r.Subject, f.Subject) && fits(r.Package, pkg) && fitsPath(r.Path, f.What.Location.File) {
			owner = r.Owner
		}
	}
	return owner
}

func fits(pattern, s string) bool { return pattern == "" || glob(pattern, s) }

// fitsPath is fits for a path: a pattern that names a folder has all below it, and
// one without a slash fits at any depth.
func fitsPath(pattern, file string) bool {
	if pattern == "" || pattern == "*" || pattern == "**" {
		return true
	}
	rooted := strings.HasPrefix(pattern, "/") || strings.Contains(strings.TrimSuffix(pattern, "/"), "/")
	pattern = strings.Trim(pattern, "/")
	if glob(pattern, file) || glob(pattern+"/**", file) {
		return true
	}
	return !rooted && (glob("**/"+pattern, file) || glob("**/"+pattern+"/**", file))
}

// glob reports whether a pattern fits the whole of s: "*" is anything but a
// slash, "**" anything. It takes time in proportion to both lengths.
func glob(pattern, s string) bool {
	type state struct{ p, s int }
	var back, deep state
	back.p, deep.p = -1, -1
	p, i := 0, 0
	for i < len(s) || p < len(pattern) {
		switch {
		case strings.HasPrefix(pattern[p:], "**"):
			p += 2
			deep, back = state{p, i}, state{-1, 0}
			continue
		case p < len(pattern) && pattern[p] == '*':
			p++
			back = state{p, i}
			continue
		case p < len(pattern) && i < len(s) && pattern[p] == s[i]:
			p, i = p+1, i+1
			continue
		case back.p >= 0 && back.s < len(s) && s[back.s] != '/':
			back.s++
			p, i = back.p, back.s
			continue
		case deep.p >= 0 && deep.s < len(s):
			deep.s++
			back = state{-1, 0}
			p, i = deep.p, deep.s
			continue
		}
		return false
	}
	return true
}
