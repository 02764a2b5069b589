package purl

import (
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/osrelease"
)

// needsRelease are the ecosystems whose advisories are by release.
var needsRelease = map[string]bool{
	"Debian": true, "Ubuntu": true, "Alpine": true, "Red Hat": true, "Rocky Linux": true, "AlmaLinux": true,
	"openSUSE": true, "SUSE": true, "Mageia": true, "Photon OS": true, "openEuler": true, "Azure Linux": true,
}

// codenames are what some tools qualify with instead of a number.
var codenames = map[string]string{
	"stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15",
	"xenial": "16.04", "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04", "oracular": "24.10",
	"plucky": "25.04", "questing": "25.10", "resolute": "26.04",
}

// otherIDs are what the makers of package urls call a distribution beside its own
// ID in os-release.
var otherIDs = map[string]string{"redhat": "rhel", "alma": "almalinux", "opensuse": "opensuse-leap"}

// distribution is OSV's word for a distribution's release, without the release
// where the qualifier doesn't say it.
func distribution(typ, namespace, distro string) string {
	id, release := splitDistro(distro)
	id = canonical(id, namespace, typ)
	if own, ok := otherIDs[id]; ok {
		id = own
	}
	return osrelease.Release{ID: id, VersionID: release, LTS: isLTS(release)}.Listed()
}

// splitDistro reads "debian-12", "debian-12.5", "bookworm", "ubuntu-22.04",
// "alpine-3.19.1", "opensuse-leap-15.5", "12".
func splitDistro(s string) (id, release string) {
	s = strings.ToLower(s)
	if r, ok := codenames[s]; ok {
		return "", r
	}
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		if s != "" && s[0] >= '0' && s[0] <= '9' {
			return "", s
		}
		return s, ""
	}
	tail := s[i+1:]
	if r, ok := codenames[tail]; ok {
		return s[:i], r
	}
	if tail != "" && tail[0] >= '0' && tail[0] <= '9' {
		return s[:i], tail
	}
	return s, ""
}

func canonical(id, namespace, typ string) string {
	namespace = strings.ToLower(namespace)
	switch {
	case id != "" && id != "leap" && id != "tumbleweed":
		return id
	case namespace == "opensuse" && id != "":
		return "opensuse-" + id
	case namespace != "":
		return namespace
	case typ == "apk":
		return "alpine"
	}
	return ""
}

// isLTS tells Ubuntu's long-supported releases by their number: April of an even
// year.
func isLTS(release string) bool {
	year, month, _ := strings.Cut(release, ".")
	return month == "04" && len(year) == 2 && (year[1]-'0')%2 == 0
}

// distroType is the way back: type, namespace and distro qualifier.
func distroType(ecosystem string) (typ, namespace, distro string) {
	base, release, _ := strings.Cut(ecosystem, ":")
	release, _, _ = strings.Cut(release, ":LTS")
	number := strings.TrimLeft(release, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ _:")
	for _, d := range []struct{ base, typ, namespace, id string }{
		{"Debian", "deb", "debian", "debian"},
		{"Ubuntu", "deb", "ubuntu", "ubuntu"},
		{"Alpine", "apk", "alpine", "alpine"},
		{"Wolfi", "apk", "wolfi", "wolfi"},
		{"Chainguard", "apk", "chainguard", "chainguard"},
		{"Red Hat", "rpm", "redhat", "rhel"},
		{"Rocky Linux", "rpm", "rocky", "rocky"},
		{"AlmaLinux", "rpm", "almalinux", "almalinux"},
		{"Mageia", "rpm", "mageia", "mageia"},
		{"Photon OS", "rpm", "photon", "photon"},
		{"openEuler", "rpm", "openeuler", "openeuler"},
		{"Azure Linux", "rpm", "azurelinux", "azurelinux"},
	} {
		if d.base == base {
			return d.typ, d.namespace, distroQualifier(d.id, number)
		}
	}
	return suseType(base, release, number)
}

func suseType(base, release, number string) (typ, namespace, distro string) {
	number = strings.Replace(number, " SP", ".", 1)
	switch {
	case base == "openSUSE" && release == "Tumbleweed":
		return "rpm", "opensuse", "opensuse-tumbleweed"
	case base == "openSUSE":
		return "rpm", "opensuse", distroQualifier("opensuse-leap", number)
	case base == "SUSE" && strings.Contains(release, "Desktop"):
		return "rpm", "suse", distroQualifier("sled", number)
	case base == "SUSE":
		return "rpm", "suse", distroQualifier("sles", number)
	}
	return "", "", ""
}

func distroQualifier(id, release string) string {
	if release == "" {
		return id
	}
	return id + "-" + release
}
