package extract

import (
	"strings"

	"github.com/package-url/packageurl-go"
)

// PURL writes a package's url. The name may hold its namespace in front of the
// last slash. Qualifiers come as key, value, key, value; empty values are left out.
func PURL(typ, name, version string, qualifiers ...string) string {
	namespace := ""
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		namespace, name = name[:i], name[i+1:]
	}
	var q packageurl.Qualifiers
	for i := 0; i+1 < len(qualifiers); i += 2 {
		if qualifiers[i+1] != "" {
			q = append(q, packageurl.Qualifier{Key: qualifiers[i], Value: qualifiers[i+1]})
		}
	}
	p := packageurl.NewPackageURL(typ, namespace, name, version, q, "")
	if err := p.Normalize(); err != nil {
		return ""
	}
	return p.ToString()
}
