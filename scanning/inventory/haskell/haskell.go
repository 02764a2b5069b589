// Package haskell reads what Haskell code is made of: the lockfiles of cabal and
// stack.
package haskell

import (
	"context"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "Hackage"

// Extractors are those of Haskell.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "haskell/cabal-freeze", Ecosystem: ecosystem, Names: []string{"cabal.project.freeze"}, Read: readFreeze,
			Reads: "every version that is frozen",
		},
		{
			Name: "haskell/stack-lock", Ecosystem: ecosystem, Names: []string{"stack.yaml.lock"}, Read: readStack,
			Reads: "packages beside the snapshot; what the snapshot brings is not listed in it: a gap",
		},
	}
}

var (
	frozen    = regexp.MustCompile(`(?:any\.)?([A-Za-z0-9][A-Za-z0-9-]*) *==([0-9][0-9.]*)`)
	completed = regexp.MustCompile(`^\s*(?:-\s+)?hackage:\s*([A-Za-z0-9][A-Za-z0-9-]*)-([0-9][0-9.]*)@`)
)

func pkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, PURL: extract.PURL("hackage", name, version)}
}

func readFreeze(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	_, constraints, ok := strings.Cut(string(data), "constraints:")
	if !ok {
		return extract.Malformed(0, "no constraints: not a frozen project of cabal")
	}
	for _, m := range frozen.FindAllStringSubmatch(constraints, -1) {
		out.Add(pkg(m[1], m[2]))
	}
	return nil
}

func readStack(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	text := string(data)
	if !strings.Contains(text, "packages:") && !strings.Contains(text, "snapshots:") {
		return extract.Malformed(0, "neither packages nor snapshots: not a lockfile of stack")
	}
	original, number := false, 0
	for line := range strings.Lines(text) {
		number++
		body := strings.TrimLeft(strings.TrimSpace(line), "- ")
		switch {
		case strings.HasPrefix(body, "completed:"):
			original = false
		case strings.HasPrefix(body, "original:"):
			original = true // as it was asked for; the completed one is what is used
		case !original && completed.MatchString(line):
			m := completed.FindStringSubmatch(line)
			out.Add(pkg(m[1], m[2]))
		case strings.HasPrefix(body, "snapshots:") && !strings.Contains(body, "[]"):
			out.Gap(scanning.ReasonUnsupported, out.At(number), "the packages of the snapshot are not listed here; list them with: stack ls dependencies, or freeze them with cabal")
		}
	}
	return nil
}
