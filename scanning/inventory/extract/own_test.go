package extract

import (
	"strings"
	"testing"
)

// Elasticsearch's jars are not the distribution's because apk or rpm installed
// them, and no package owns what is outside of its tree.
func TestWhatAPackageOwns(t *testing.T) {
	for _, c := range []struct{ root, folder, name, want string }{
		{"", "usr/lib/python3.12/site-packages/requests-2.31.0.dist-info", "METADATA", "usr/lib/python3.12/site-packages/requests-2.31.0.dist-info/METADATA"},
		{"", "/usr/lib64/python2.7/site-packages/", "x.egg-info", "usr/lib64/python2.7/site-packages/x.egg-info"},
		{"a/b", "/usr/share/java/", "x.jar", "a/b/usr/share/java/x.jar"},
		{"", "/usr/lib/jvm/java-17/lib/", "jrt-fs.jar", "usr/lib/jvm/java-17/lib/jrt-fs.jar"},
		{"", "/opt/rh/rh-python38/root/usr/lib/python3.8/site-packages/x.dist-info/", "METADATA", "opt/rh/rh-python38/root/usr/lib/python3.8/site-packages/x.dist-info/METADATA"},
		{"", "/usr/share/java/", "readme", ""},
		{"", "/usr/share/elasticsearch/lib/", "log4j-core-2.14.1.jar", ""},
		{"", "/opt/app/usr/share/java/", "x.jar", ""},
		{"", "/usr/share/java/../elasticsearch/", "x.jar", ""},
		{"a", "/../usr/share/java/", "x.jar", "a/usr/share/java/x.jar"},
		{"", "/usr/lib/python3/", "../../../opt/x.jar", ""},
		{"", "/usr/lib64/az/lib/python3.9/site-packages/x.dist-info", "METADATA", ""},
		{"", "/usr/share/java/" + strings.Repeat("x", 5000), "x.jar", ""},
	} {
		got := ""
		in := &Input{Owned: func(file string) { got += file }}
		in.Own(c.root, c.folder, c.name)
		if got != c.want {
			t.Errorf("%q %q %q: %q, want %q", c.root, c.folder, c.name, got, c.want)
		}
	}
}

func TestWhatADatabaseMayClaim(t *testing.T) {
	bytes := 0
	in := &Input{Owned: func(file string) { bytes += len(file) }}
	for range 100_000 {
		in.Own("", "/usr/share/java/"+strings.Repeat("x", 4000), "x.jar")
	}
	if bytes == 0 || bytes > maxOffered {
		t.Errorf("%d bytes of paths", bytes)
	}
}
