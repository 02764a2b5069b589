package sarif

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// locationURI returns the URI of a finding's place and the base it is relative
// to. Names are whatever bytes a scanned tree has: percent-encoding keeps them,
// and a path never points out of its root.
func locationURI(l *scanning.Location) (uri, base string) {
	switch {
	case l.File == "" && isAbsolute(l.URL):
		return l.URL, ""
	case l.File == "":
		return "", ""
	case strings.HasPrefix(l.File, "/"):
		return "file://" + encodePath(path.Clean(l.File)), ""
	}
	p := strings.TrimPrefix(path.Clean("/"+l.File), "/")
	return encodePath(p), sourceRoot
}

// encodePath encodes everything but what RFC 3986 leaves unreserved; a colon in
// a first segment would read as a scheme, so it is encoded too.
func encodePath(p string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(p) {
		c := p[i]
		if c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// isAbsolute reports whether s is a URI that can stand where one is demanded.
func isAbsolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "" || u.Path != "") && !strings.ContainsAny(s, " \"<>\\^`{|}\n\r\t") && clean(s) == s
}

func firstLink(links []string) string {
	for _, l := range links {
		if isAbsolute(l) && (strings.HasPrefix(l, "https://") || strings.HasPrefix(l, "http://")) {
			return l
		}
	}
	return ""
}

// scp is git's short form of an ssh address: git@host:path.
var scp = regexp.MustCompile(`^(?:[\w.-]+@)?([\w.-]+):([^/\\].*)$`)

// repositoryURI is the remote's address as a URI, without the credentials that
// remotes on build machines often hold.
func repositoryURI(remote string) (string, bool) {
	if !strings.Contains(remote, "://") {
		m := scp.FindStringSubmatch(remote)
		if m == nil {
			return "", false
		}
		remote = "ssh://" + m[1] + "/" + encodePath(m[2])
	}
	remote = withoutCredentials(remote)
	return remote, isAbsolute(remote)
}

func withoutCredentials(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.User == nil {
		return remote
	}
	u.User = nil
	return u.String()
}
