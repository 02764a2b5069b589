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
			Reads: "packages beside the snapshot; one from a repository or an archive is a gap. What the snapshot brings is not listed in it: a gap",
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
	(&stack{out: out}).read(text)
	return nil
}

// stack reads a lockfile line by line: every package that is completed is told,
// or is a gap.
type stack struct {
	out      *extract.Sink
	number   int
	packages bool   // within these, and not within the snapshots
	original bool   // as it was asked for; the completed one is what is used
	open     int    // line of one whose source has not been found yet
	from     string // its source, if that is not Hackage
}

var elsewhere = regexp.MustCompile(`^(?:git|hg|archive|url|local):\s*(.*)$`)

func (s *stack) read(text string) {
	for line := range strings.Lines(text) {
		s.number++
		s.line(strings.TrimRight(line, " \r\n"))
	}
	s.close()
}

func (s *stack) line(line string) {
	body := strings.TrimLeft(strings.TrimSpace(line), "- ")
	switch {
	case strings.HasPrefix(line, "packages:"):
		s.close()
		if s.packages = true; !strings.HasSuffix(line, ":") && !strings.Contains(line, "[]") {
			s.open = s.number
		}
	case strings.HasPrefix(line, "snapshots:"):
		s.close()
		if s.packages = false; !strings.Contains(line, "[]") {
			s.out.Gap(scanning.ReasonUnsupported, s.out.At(s.number), "the packages of the snapshot are not listed here; list them with: stack ls dependencies, or freeze them with cabal")
		}
	case strings.HasPrefix(body, "completed:"):
		s.close()
		if s.original = false; s.packages {
			s.open = s.number
		}
	case strings.HasPrefix(body, "original:"):
		s.original = true
	case s.original:
	case completed.MatchString(line):
		m := completed.FindStringSubmatch(line)
		s.out.Add(pkg(m[1], m[2]))
		s.open = 0
	case elsewhere.MatchString(body):
		s.from = elsewhere.FindStringSubmatch(body)[1]
	}
}

// close ends a package.
func (s *stack) close() {
	if s.open > 0 {
		why := "a package in a form that is not read"
		if s.from != "" {
			why = "a package comes from " + s.from + " and not from Hackage; its version need not be the published one"
		}
		s.out.Gap(scanning.ReasonUnsupported, s.out.At(s.open), why)
	}
	s.open, s.from = 0, ""
}
