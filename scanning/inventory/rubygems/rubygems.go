// Package rubygems reads what Ruby is made of: Gemfile.lock and the
// specifications of installed gems.
package rubygems

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "RubyGems"

// Extractors are those of Ruby.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "rubygems/lock", Ecosystem: ecosystem, Names: []string{"Gemfile.lock", "gems.locked"}, Read: readLock,
			Reads: "gems with edges, direct ones and checksums; those of this project are left out",
		},
		{
			Name: "rubygems/installed", Ecosystem: ecosystem, Suffixes: []string{".gemspec"}, Wants: isInstalled, Read: readSpec, Installed: true,
			Shown: []string{"specifications/*.gemspec"}, Reads: "name, version and licences of installed gems, default ones included",
		},
		{
			Name: "rubygems/manifest", Ecosystem: ecosystem, Names: []string{"Gemfile", "gems.rb"}, Read: readManifest,
			Reads: "nothing but that a lockfile is missing beside it: a gap",
		},
	}
}

func isInstalled(file string, _ fs.DirEntry) bool {
	dir := path.Dir(file)
	if path.Base(dir) == "default" {
		dir = path.Dir(dir)
	}
	return path.Base(dir) == "specifications"
}

func purl(name, version, platform string) string {
	return extract.PURL("gem", name, version, "platform", platform)
}

// gem is "name (version-platform)" with the names that it needs.
type gem struct {
	name, version, platform string
	needs                   []string
	line                    int
	section                 string
}

var specLine = regexp.MustCompile(`^    (\S+) \(([^)]+)\)$`)

func readLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	gems, direct, sums, err := sections(string(data))
	if err != nil {
		return err
	}
	byName := map[string]*gem{}
	for _, g := range gems {
		if byName[g.name] == nil {
			byName[g.name] = g
		}
	}
	for _, g := range gems {
		if g.section == "PATH" {
			continue // of this project
		}
		p := scanning.Package{
			Ecosystem: ecosystem, Name: g.name, Version: g.version, PURL: purl(g.name, g.version, g.platform),
			Direct: direct[g.name], Hashes: sums[g.name+" "+g.full()],
		}
		for _, n := range g.needs {
			if to := byName[n]; to != nil {
				p.Requires = append(p.Requires, purl(to.name, to.version, to.platform))
			}
		}
		out.Add(p)
	}
	return nil
}

func (g *gem) full() string {
	if g.platform == "" {
		return g.version
	}
	return g.version + "-" + g.platform
}

// sections reads the lockfile by its headings and indentation.
func sections(text string) (gems []*gem, direct map[string]bool, sums map[string]map[string]string, err error) {
	direct, sums = map[string]bool{}, map[string]map[string]string{}
	section, number, known := "", 0, false
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \r\n")
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "<<<<<<<"), strings.HasPrefix(line, ">>>>>>>"):
			return nil, nil, nil, extract.Malformed(number, "an unfinished merge")
		case line[0] != ' ':
			if !heading.MatchString(line) {
				return nil, nil, nil, extract.Malformed(number, "no heading of a lockfile of bundler: %.60q", line)
			}
			section, known = line, known || line == "GEM" || line == "PATH" || line == "GIT" || line == "DEPENDENCIES"
		case section == "DEPENDENCIES":
			name, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), "!"), " ")
			direct[strings.TrimSuffix(name, "!")] = true
		case section == "CHECKSUMS":
			checksum(sums, line)
		case section == "GEM", section == "GIT", section == "PATH", section == "PLUGIN SOURCE":
			gems = specs(gems, section, line, number)
		}
	}
	if !known || len(gems) == 0 && len(direct) > 0 {
		return nil, nil, nil, extract.Malformed(0, "no gems: not a lockfile of bundler")
	}
	return gems, direct, sums, nil
}

// heading is what begins a section: GEM, BUNDLED WITH.
var heading = regexp.MustCompile(`^[A-Z]+(?: [A-Z]+)*$`)

// specs reads "    name (version)" and, below it, "      need (~> 1)".
func specs(gems []*gem, section, line string, number int) []*gem {
	if m := specLine.FindStringSubmatch(line); m != nil {
		version, platform := splitPlatform(m[2])
		return append(gems, &gem{name: m[1], version: version, platform: platform, line: number, section: section})
	}
	if need, ok := strings.CutPrefix(line, "      "); ok && len(gems) > 0 {
		name, _, _ := strings.Cut(need, " ")
		last := gems[len(gems)-1]
		last.needs = append(last.needs, name)
	}
	return gems
}

// splitPlatform parts "1.2.3-x86_64-linux". A version has no dash of its own.
func splitPlatform(full string) (version, platform string) {
	version, platform, _ = strings.Cut(full, "-")
	return version, platform
}

// checksum reads "  name (version) sha256=…".
func checksum(sums map[string]map[string]string, line string) {
	head, digest, ok := strings.Cut(strings.TrimSpace(line), ") sha256=")
	name, version, ok2 := strings.Cut(head, " (")
	if ok && ok2 {
		sums[name+" "+version] = extract.Hex("sha256", digest)
	}
}

var (
	specField = regexp.MustCompile(`(?m)^\s*\w+\.(name|version|license|licenses|platform)\s*=\s*(.+?)\s*$`)
	quotedRub = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
)

// readSpec reads the assignments that rubygems writes when it installs: literals
// only, so that no Ruby needs to be understood.
func readSpec(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	fields := map[string][]string{}
	for _, m := range specField.FindAllSubmatch(data, -1) {
		key := strings.TrimSuffix(string(m[1]), "s")
		for _, q := range quotedRub.FindAllSubmatch(m[2], -1) {
			fields[key] = append(fields[key], string(q[1])+string(q[2]))
		}
	}
	if len(fields["name"]) == 0 || len(fields["version"]) == 0 {
		out.Unknown(0, path.Base(in.Path), "a specification without a literal name and version")
		return nil
	}
	platform := ""
	if len(fields["platform"]) > 0 && fields["platform"][0] != "ruby" {
		platform = fields["platform"][0]
	}
	name, version := fields["name"][0], fields["version"][0]
	out.Add(scanning.Package{
		Ecosystem: ecosystem, Name: name, Version: version,
		PURL: purl(name, version, platform), Licenses: fields["license"],
	})
	return nil
}

var gemCall = regexp.MustCompile(`(?m)^\s*gem[ (]\s*["']`)

func readManifest(_ context.Context, in *extract.Input, out *extract.Sink) error {
	lock := map[string]string{"Gemfile": "Gemfile.lock", "gems.rb": "gems.locked"}[path.Base(in.Path)]
	if in.Exists(lock) {
		return nil
	}
	data, err := in.Text()
	if err != nil {
		return err
	}
	if n := len(gemCall.FindAll(data, -1)); n > 0 {
		out.Gap(scanning.ReasonUnsupported, out.At(0), fmt.Sprintf("no lockfile: versions of %d gems unknown; make one with: bundle lock", n))
	}
	return nil
}
