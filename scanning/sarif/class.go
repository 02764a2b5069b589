package sarif

import (
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

// advisoryID finds the name of an advisory at the beginning of a rule's id;
// Grype and others write the package behind it.
var advisoryID = regexp.MustCompile(`^(CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3}|GO-\d{4}-\d{4,}|RUSTSEC-\d{4}-\d{4}|PYSEC-\d{4}-\d+|MAL-\d{4}-\d+|OSV-\d{4}-\d+|DSA-\d+(?:-\d+)?|DLA-\d+(?:-\d+)?|USN-\d+(?:-\d+)?|RHSA-\d{4}:\d+|ALAS[\w-]*-\d{4}-\d+|ELSA-\d{4}-\d+|SNYK-[A-Z0-9-]+)`)

var (
	secretTools = []string{"gitleaks", "trufflehog", "betterleaks", "detect-secrets", "kingfisher", "titus", "noseyparker", "credsweeper", "ggshield"}
	webTools    = []string{"zap", "nuclei", "burp", "nikto", "wapiti", "dastardly", "schemathesis"}
	hostTools   = []string{"lynis", "openscap", "oscap", "nessus", "openvas", "kube-bench", "osquery"}
)

// class says what sort of thing a foreign result is, by its rule, its tags and
// its place, and by the tool's name last.
func class(f *scanning.Finding, toolName string, ru *rule) scanning.Class {
	words := strings.ToLower(ru.Name + " " + strings.Join(f.Tags, " "))
	name := strings.ToLower(toolName)
	switch {
	case advisoryID.MatchString(f.Rule), strings.Contains(ru.Name, "PackageVulnerability"):
		return scanning.ClassVulnerability
	case hasWord(words, "secret", "secrets", "credential", "credentials") && f.Location.URL == "", contains(name, secretTools):
		return scanning.ClassSecret
	case f.Location.URL != "" && f.Location.File == "", contains(name, webTools):
		return scanning.ClassWeb
	case contains(name, hostTools):
		return scanning.ClassHost
	}
	return scanning.ClassCode
}

func hasWord(words string, wanted ...string) bool {
	for _, w := range strings.FieldsFunc(words, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }) {
		for _, a := range wanted {
			if w == a {
				return true
			}
		}
	}
	return false
}

func contains(name string, tools []string) bool {
	for _, t := range tools {
		if strings.Contains(name, t) {
			return true
		}
	}
	return false
}

// vulnerability finds package, versions and advisory, as far as the tool's SARIF
// has them: Grype's purls, Trivy's lines of the message, a purl as logical place.
func vulnerability(f *scanning.Finding, res *result, ru *rule) {
	if id := advisoryID.FindString(f.Rule); id != "" {
		f.Rule = id
	}
	f.Package = packageOf(res, ru)
	fields := messageFields(res.Message.Text)
	if f.Package == nil && fields["package"] != "" {
		f.Package = &scanning.Package{Name: clip(fields["package"])}
	}
	if f.Package != nil && f.Package.Version == "" {
		f.Package.Version = clip(fields["installed version"])
	}
	if f.Package != nil {
		f.Package.File = f.Location.File
	}
	for _, v := range strings.Split(fields["fixed version"], ",") {
		if v = strings.TrimSpace(v); v != "" {
			f.Fixed = append(f.Fixed, clip(v))
		}
	}
	if len(f.Fixed) > 0 && f.Package != nil {
		f.Advice = "Update " + f.Package.Name + " to " + f.Fixed[0]
	}
}

func packageOf(res *result, ru *rule) *scanning.Package {
	var candidates []string
	_ = decodeProperty(ru.Properties, "purls", &candidates)
	for _, l := range res.Locations {
		for _, ll := range l.LogicalLocations {
			candidates = append(candidates, ll.FullyQualifiedName, ll.Name)
		}
	}
	for _, c := range candidates {
		if p, err := purl.Package(c); err == nil {
			return &p
		}
	}
	return nil
}

// messageFields reads "Package: x" lines.
func messageFields(s string) map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(clip(s), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && len(k) < 30 {
			m[strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
		}
	}
	return m
}
