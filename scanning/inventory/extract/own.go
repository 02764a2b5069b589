package extract

import (
	"path"
	"strings"
)

// Own tells that a package of the tree at root installed the file name of folder:
// that it is part of a distribution's package, which alone is told, and mended.
// That is believed of files of Python's or Java's only, and where distributions
// put them. What else packages bring may be anybody's, in a package or not: those
// who bundle jars in /opt or below a folder of their own are seldom the
// distribution, whose advisories do not name them, and a file told twice is
// better than one that no advisory is held against.
func (in *Input) Own(root, folder, name string) {
	if in.Owned == nil || !ownable(name) || len(folder)+len(name) > maxOwnedPath {
		return
	}
	if in.offered += len(folder) + len(name); in.offered > maxOffered {
		return
	}
	file := path.Join("/", folder, name)[1:] // what climbs stays in the root
	if distributions(file) {
		in.Owned(path.Join(root, file))
	}
}

// Bounds of what one database may claim: a folder's name is written once and
// counts for each of its files.
const (
	maxOwnedPath = 4096
	maxOffered   = 64 << 20
)

func ownable(name string) bool {
	return name == "METADATA" || name == "PKG-INFO" || strings.HasSuffix(name, ".egg-info") || strings.HasSuffix(name, ".jar")
}

// distributionFolders are where packages of distributions put modules of Python's
// and jars; * is the rest of a folder's name.
var distributionFolders = []string{
	"usr/lib/python*/", "usr/lib64/python*/", "usr/share/java/", "usr/lib/java/", "usr/lib64/java/",
	"usr/share/maven-repo/", "usr/lib/jvm/", "usr/lib64/jvm/", "etc/java/",
}

// distributions reports whether a file, given from the tree's root, is in one of
// them, also in Red Hat's software collections: opt/rh/rh-python38/root/usr.
func distributions(file string) bool {
	if rest, ok := strings.CutPrefix(file, "opt/rh/"); ok {
		_, rest, _ = strings.Cut(rest, "/")
		file, _ = strings.CutPrefix(rest, "root/")
	}
	for _, f := range distributionFolders {
		before, after, open := strings.Cut(f, "*")
		rest, ok := strings.CutPrefix(file, before)
		if ok && open {
			_, _, ok = strings.Cut(rest, after)
		}
		if ok {
			return true
		}
	}
	return false
}
