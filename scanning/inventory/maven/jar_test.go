package maven

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

type part struct {
	name, text string
	store      bool
}

func jar(t testing.TB, parts ...part) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		h := &zip.FileHeader{Name: p.name, Method: zip.Deflate}
		if p.store {
			h.Method = zip.Store
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(p.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func properties4(artifact string) part {
	return part{
		name: "META-INF/maven/org.apache.logging.log4j/" + artifact + "/pom.properties",
		text: "#Created\r\nversion=2.14.1\r\ngroupId=org.apache.logging.log4j\r\nartifactId=" + artifact + "\r\n",
	}
}

func ask(t testing.TB, files map[string]string) ([]scanning.Package, []scanning.Gap) {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return extracttest.Ask(t, tree, Extractors())
}

// Jenkins' own package puts its war where Debian's put their jars.
func TestWhatStandsAmongDebiansJars(t *testing.T) {
	log4j := jar(t, properties4("log4j-core"), part{name: "org/apache/Logger.class"})
	packages, gaps := ask(t, map[string]string{
		"var/lib/dpkg/status":         "Package: jenkins\nVersion: 2.440\n",
		"usr/share/java/log4j.jar":    log4j,
		"usr/share/java/jenkins.war":  jar(t, part{"WEB-INF/lib/log4j-core.jar", log4j, true}),
		"opt/usr/share/java/more.jar": log4j,
	})
	var files []string
	for _, p := range packages {
		files = append(files, p.File)
	}
	if got := strings.Join(files, " "); got != "opt/usr/share/java/more.jar usr/share/java/jenkins.war!/WEB-INF/lib/log4j-core.jar" || len(gaps) != 0 {
		t.Errorf("%s, %v", got, gaps)
	}
}

func TestJarsInJars(t *testing.T) {
	log4j := jar(t, properties4("log4j-core"), part{name: "org/apache/Logger.class"})
	for name, store := range map[string]bool{"deflated": false, "stored": true} {
		web := jar(t, part{"WEB-INF/lib/log4j-core-2.14.1.jar", log4j, store}, part{name: "WEB-INF/classes/A.class"}, properties4("shaded"))
		packages, gaps := ask(t, map[string]string{"app.ear": jar(t, part{"web.war", web, store})})
		want := `Maven org.apache.logging.log4j:shaded 2.14.1
  pkg:maven/org.apache.logging.log4j/shaded@2.14.1 in app.ear!/web.war
Maven org.apache.logging.log4j:log4j-core 2.14.1
  pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1 in app.ear!/web.war!/WEB-INF/lib/log4j-core-2.14.1.jar
`
		if got := extracttest.Show(packages, gaps); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestJarsThatSayLess(t *testing.T) {
	manifest := func(text string) part {
		return part{name: "META-INF/MANIFEST.MF", text: strings.ReplaceAll(text, "\n", "\r\n")}
	}
	class := part{name: "A.class"}
	packages, gaps := ask(t, map[string]string{
		"a/guava-31.1-jre.jar": jar(t, class, manifest("Manifest-Version: 1.0\nBundle-SymbolicName: com.google.gua\n va\nBundle-Version: 31.1.0\n\nName: x\nBundle-Version: 9\n")),
		"b/commons.jar":        jar(t, class, manifest("Implementation-Vendor-Id: org.apache.commons\nImplementation-Version: 1.9\n")),
		"c/unknown-1.0.jar":    jar(t, class),
		"d/sources.jar":        jar(t, part{name: "A.java"}),
		"e/not.jar":            "hello",
	})
	want := `Maven com.google:guava 31.1-jre
  pkg:maven/com.google/guava@31.1-jre in a/guava-31.1-jre.jar
Maven org.apache.commons:commons 1.9
  pkg:maven/org.apache.commons/commons@1.9 in b/commons.jar
gap unsupported c/unknown-1.0.jar: a jar that says neither in META-INF/maven nor in its manifest what it is
gap malformed e/not.jar: not an archive: zip: not a valid zip file
`
	if got := extracttest.Show(packages, gaps); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJarBombs(t *testing.T) {
	zeros := jar(t, part{name: "zeros.jar", text: strings.Repeat("\x00", 8<<20)})
	nested := jar(t, properties4("deep"))
	for range 10 {
		nested = jar(t, part{name: "n.jar", text: nested})
	}
	for name, c := range map[string]struct {
		data   string
		limits extract.Limits
		want   scanning.Reason
	}{
		"ratio": {zeros, extract.Limits{Ratio: 10}, scanning.ReasonTooLarge},
		"bytes": {zeros, extract.Limits{Expanded: 1 << 20}, scanning.ReasonTooLarge},
		"depth": {nested, extract.Limits{}, scanning.ReasonTooDeep},
		"size":  {zeros, extract.Limits{Binary: 100}, scanning.ReasonTooLarge},
	} {
		tree := fstest.MapFS{"x.jar": {Data: []byte(c.data)}}
		sink := extract.NewSink("x.jar", 100)
		in := &extract.Input{FS: tree, Path: "x.jar", Limits: c.limits.Or(extract.Defaults)}
		if err := readJar(t.Context(), in, sink); err != nil {
			sink.Fail(err)
		}
		if _, gaps := sink.Told(); len(gaps) != 1 || gaps[0].Reason != c.want {
			t.Errorf("%s: %v", name, gaps)
		}
	}
}

func FuzzJar(f *testing.F) {
	f.Add([]byte(jar(f, properties4("a"), part{"b.jar", jar(f, properties4("b")), true})))
	extracttest.Fuzz(f, Extractors()[5], "x.jar", nil)
}

func FuzzPom(f *testing.F) {
	extracttest.Fuzz(f, Extractors()[0], "a/pom.xml", map[string]string{"pom.xml": "<project><artifactId>root</artifactId><modules><module>a</module></modules></project>"})
}

func FuzzGradle(f *testing.F) { extracttest.Fuzz(f, Extractors()[1], "gradle.lockfile", nil) }

func FuzzCatalog(f *testing.F) {
	extracttest.Fuzz(f, Extractors()[4], "gradle/libs.versions.toml", nil)
}

func FuzzBuild(f *testing.F) { extracttest.Fuzz(f, Extractors()[3], "build.gradle", nil) }

func FuzzVerification(f *testing.F) {
	extracttest.Fuzz(f, Extractors()[2], "gradle/verification-metadata.xml", nil)
}
