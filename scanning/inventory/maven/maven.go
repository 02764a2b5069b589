// Package maven reads what Java is made of: pom.xml, Gradle's lockfiles, and jars
// with the jars inside them.
package maven

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "Maven"

// Extractors are those of the JVM.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "maven/pom", Ecosystem: ecosystem, Names: []string{"pom.xml"}, Read: readPom,
			Reads: "dependencies with properties, parents, dependencyManagement and BOMs of the same tree; what these need in turn is not said: a gap",
		},
		{
			Name: "maven/gradle-lock", Ecosystem: ecosystem, Suffixes: []string{".lockfile"}, Wants: isGradle, Read: readGradleLock,
			Shown: []string{"gradle.lockfile", "buildscript-gradle.lockfile", "gradle/dependency-locks/*.lockfile"},
			Reads: "resolved versions; dev where only tests use it",
		},
		{
			Name: "maven/gradle-verification", Ecosystem: ecosystem, Names: []string{"verification-metadata.xml"}, Wants: inGradle, Read: readVerification,
			Shown: []string{"gradle/verification-metadata.xml"}, Reads: "components with checksums, where no gradle.lockfile stands above",
		},
		{
			Name: "maven/gradle-build", Ecosystem: ecosystem, Names: []string{"build.gradle", "build.gradle.kts"}, Read: readBuild,
			Reads: "literal coordinates only where there is no lockfile: that is a gap",
		},
		{
			Name: "maven/gradle-catalog", Ecosystem: ecosystem, Suffixes: []string{".versions.toml"}, Read: readCatalog,
			Reads: "Gradle's version catalogs, where no lockfile stands above",
		},
		{
			Name: "maven/jar", Ecosystem: ecosystem, Suffixes: []string{".jar", ".war", ".ear", ".par", ".sar", ".hpi", ".jpi", ".kar", ".lpkg"}, Wants: isPackage, Read: readJar, Installed: true,
			Reads: "`META-INF/maven/**/pom.properties`, else `MANIFEST.MF`; jars in jars, bounded in depth, bytes and ratio. A jar that does not say what it is is a gap. Not those that every JDK and Gradle project has (`jrt-fs.jar`, `gradle-wrapper.jar`); what a distribution's packages put into its own folders is told by dpkg, apk or rpm alone",
		},
	}
}

func pkg(group, artifact, version string) scanning.Package {
	return scanning.Package{
		Ecosystem: ecosystem, Name: group + ":" + artifact, Version: version,
		PURL: extract.PURL("maven", group+"/"+artifact, version),
	}
}

func isGradle(file string, _ fs.DirEntry) bool {
	base := path.Base(file)
	return base == "gradle.lockfile" || base == "buildscript-gradle.lockfile" || path.Base(path.Dir(file)) == "dependency-locks"
}

func isPackage(file string, _ fs.DirEntry) bool {
	base := path.Base(file)
	return base != "jrt-fs.jar" && base != "gradle-wrapper.jar"
}

func inGradle(file string, _ fs.DirEntry) bool { return path.Base(path.Dir(file)) == "gradle" }

// fixed is a version that means itself: no range, property or moving word.
var fixed = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+-]*$`)

// exactly reads a version as a pom writes it; ok is false for one that is not
// known before somebody resolves it.
func exactly(version string) (string, bool) {
	if inner, ok := strings.CutPrefix(version, "["); ok && strings.HasSuffix(inner, "]") && !strings.Contains(inner, ",") {
		version = strings.TrimSuffix(inner, "]")
	}
	ok := fixed.MatchString(version) && version != "LATEST" && version != "RELEASE" && !strings.HasSuffix(version, "+")
	return version, ok
}
