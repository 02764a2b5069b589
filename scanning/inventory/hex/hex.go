// Package hex reads what Elixir and Erlang code is made of: mix.lock and
// rebar.lock.
package hex

import (
	"context"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "Hex"

// Extractors are those of Hex.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "hex/mix-lock", Ecosystem: ecosystem, Names: []string{"mix.lock"}, Read: readMix,
			Reads: "packages of Hex with checksums; those from git are a gap",
		},
		{
			Name: "hex/rebar-lock", Ecosystem: ecosystem, Names: []string{"rebar.lock"}, Read: readRebar,
			Reads: "packages of Hex; those from git are a gap",
		},
	}
}

var (
	mixHex   = regexp.MustCompile(`^\s*"([^"]+)": *\{:hex, *:"?([a-zA-Z0-9_]+)"?, *"([^"]+)"`)
	mixOuter = regexp.MustCompile(`"([0-9a-f]{64})"\},?\s*$`) // of the package as it is published
	mixGit   = regexp.MustCompile(`^\s*"([^"]+)": *\{:git,`)
	rebarHex = regexp.MustCompile(`<<"([^"]+)">>, *\{pkg, *<<"([^"]+)">>, *<<"([^"]+)">>`)
	rebarGit = regexp.MustCompile(`<<"([^"]+)">>, *\{git,`)
)

func pkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, PURL: extract.PURL("hex", name, version)}
}

// readMix reads a line per package, as mix writes it.
func readMix(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		body := strings.TrimSpace(line)
		switch m := mixHex.FindStringSubmatch(line); {
		case m != nil:
			p := pkg(m[2], m[3])
			if outer := mixOuter.FindStringSubmatch(line); outer != nil {
				p.Hashes = extract.Hex("sha256", outer[1])
			}
			out.Add(p)
		case mixGit.MatchString(line):
			out.Unknown(number, mixGit.FindStringSubmatch(line)[1], "comes from a git repository, which says no version")
		case body != "" && body != "%{" && body != "}" && body != "%{}" && !strings.HasPrefix(body, "#"):
			out.Fail(extract.Malformed(number, "no package: %.80q", body))
		}
	}
	if !strings.Contains(string(data), "%{") {
		return extract.Malformed(0, "not a lockfile of mix")
	}
	return nil
}

func readRebar(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	number, seen := 0, false
	for line := range strings.Lines(string(data)) {
		number++
		for _, m := range rebarHex.FindAllStringSubmatch(line, -1) {
			out.Add(pkg(m[2], m[3]))
			seen = true
		}
		for _, m := range rebarGit.FindAllStringSubmatch(line, -1) {
			out.Unknown(number, m[1], "comes from a git repository, which says no version")
			seen = true
		}
	}
	if !seen && strings.TrimSpace(string(data)) != "[]." {
		return extract.Malformed(0, "no packages: not a lockfile of rebar")
	}
	return nil
}
