package maven

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

func readGradleLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "empty=") {
			continue
		}
		coordinates, configurations, _ := strings.Cut(line, "=")
		part := strings.Split(coordinates, ":")
		if len(part) != 3 {
			out.Fail(extract.Malformed(number, "no coordinates: %.80q", line))
			continue
		}
		p := pkg(part[0], part[1], part[2])
		p.Dev = onlyTests(configurations)
		out.Add(p)
	}
	return nil
}

func onlyTests(configurations string) bool {
	if configurations == "" {
		return false
	}
	for _, c := range strings.Split(configurations, ",") {
		if !strings.HasPrefix(strings.ToLower(c), "test") && !strings.Contains(c, "Test") {
			return false
		}
	}
	return true
}

func readVerification(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if in.Exists("../gradle.lockfile") {
		return nil
	}
	var list struct {
		Components []struct {
			Group     string `xml:"group,attr"`
			Name      string `xml:"name,attr"`
			Version   string `xml:"version,attr"`
			Artifacts []struct {
				Name   string `xml:"name,attr"`
				SHA256 struct {
					Value string `xml:"value,attr"`
				} `xml:"sha256"`
			} `xml:"artifact"`
		} `xml:"components>component"`
	}
	if err := in.XML(&list); err != nil {
		return err
	}
	for _, c := range list.Components {
		p := pkg(c.Group, c.Name, c.Version)
		for _, a := range c.Artifacts {
			if a.Name == c.Name+"-"+c.Version+".jar" {
				p.Hashes = extract.Hex("sha256", a.SHA256.Value)
			}
		}
		if len(c.Artifacts) == 1 && strings.HasSuffix(c.Artifacts[0].Name, ".pom") {
			continue // only a parent's or a BOM's description
		}
		out.Add(p)
	}
	return nil
}

var coordinates = regexp.MustCompile(`["']([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+):([^"':@\s]+)(?:[:@][^"']*)?["']`)

// readBuild looks for literal coordinates. A build script is a program: what it
// asks for is known only where it wrote a lockfile.
func readBuild(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if in.Exists("gradle.lockfile") || in.Exists("gradle/dependency-locks") || in.Above("gradle/verification-metadata.xml") {
		return nil
	}
	data, err := in.Text()
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		code, _, _ := strings.Cut(strings.TrimSpace(line), " //")
		if strings.HasPrefix(code, "//") || strings.HasPrefix(code, "*") {
			continue
		}
		for _, m := range coordinates.FindAllStringSubmatch(code, -1) {
			literal(m, code, number, out)
		}
	}
	if strings.Contains(string(data), "dependencies") {
		out.Gap(scanning.ReasonUnsupported, out.At(0), fmt.Sprintf("no lockfile: what %s resolves to is unknown; make one with: gradle dependencies --write-locks", path.Base(in.Path)))
	}
	return nil
}

func literal(m []string, code string, number int, out *extract.Sink) {
	version, ok := exactly(m[3])
	if !ok {
		out.Unknown(number, m[1]+":"+m[2], "its version is "+m[3]+", which only a build resolves")
		return
	}
	p := pkg(m[1], m[2], version)
	p.Direct, p.Dev = true, strings.HasPrefix(code, "test") || strings.HasPrefix(code, "androidTest")
	out.Add(p)
}
