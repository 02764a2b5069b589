// Package osrelease tells which distribution and release a tree is, in OSV's
// words. Without it a package database is a list of names: the same version is
// fixed in one release and not in the next.
package osrelease

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// Release is what os-release says.
type Release struct {
	ID, VersionID, Name, Codename string
	// Version is the release for people, with what VersionID leaves out.
	Version string
	Like    []string
	// CPE is the name that some distributions give themselves.
	CPE string
	// LTS is Ubuntu's word for a release with long support.
	LTS bool
}

// Of reads the release of the tree whose root is the folder root of the scope.
// A tree without one is an fs.ErrNotExist.
func Of(in *extract.Input, root string) (Release, error) {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		data, err := in.Other("/" + path.Join(root, name))
		if err == nil {
			return Parse(data), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Release{}, err
		}
	}
	return Release{}, fs.ErrNotExist
}

// For is the release of a tree in which a package database stands, and its
// ecosystem. What is unknown about it is told as a gap, and family stands for it:
// the packages are still worth a list.
func For(in *extract.Input, root, family string, out *extract.Sink) (Release, string) {
	r, err := Of(in, root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		out.Gap(extract.AsFault(err).Reason, in.Path, "etc/os-release cannot be read: "+extract.AsFault(err).Msg)
	}
	if r.ID == "" {
		out.Gap(scanning.ReasonUnsupported, in.Path, "no etc/os-release: which release of "+family+" it is is unknown, and with it which versions are fixed")
		return r, family
	}
	eco, ok := r.Ecosystem()
	if !ok {
		out.Gap(scanning.ReasonUnsupported, in.Path, "os-release says "+eco+": there is no release by which advisories are published")
	}
	return r, eco
}

// Parse reads an os-release file: shell assignments, one a line.
func Parse(data []byte) Release {
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if ok && !strings.HasPrefix(key, "#") {
			values[key] = unquote(value)
		}
	}
	return Release{
		ID: strings.ToLower(values["ID"]), VersionID: values["VERSION_ID"],
		Name: values["NAME"], Codename: values["VERSION_CODENAME"],
		Version: values["VERSION"],
		Like:    strings.Fields(strings.ToLower(values["ID_LIKE"])), CPE: values["CPE_NAME"],
		LTS: strings.Contains(values["VERSION"]+values["PRETTY_NAME"], "LTS"),
	}
}

func unquote(s string) string {
	if len(s) < 2 || (s[0] != '"' && s[0] != '\'') || s[len(s)-1] != s[0] {
		return s
	}
	s = s[1 : len(s)-1]
	return strings.NewReplacer(`\"`, `"`, `\$`, `$`, `\\`, `\`, "\\`", "`").Replace(s)
}

// Distro is the release's short name as package urls qualify with it:
// "debian-12".
func (r Release) Distro() string {
	if r.VersionID == "" {
		return r.ID
	}
	return r.ID + "-" + r.VersionID
}

// Ecosystem is the release in OSV's words. ok is false where the release is not
// said or where no advisories are published in OSV's form: the name is then the
// best there is, and a gap.
func (r Release) Ecosystem() (name string, ok bool) {
	switch name = r.Listed(); name {
	case "":
		return r.unlisted(), false
	case "Wolfi", "Chainguard", "MinimOS", "Echo":
		return name, true
	case edge:
		return name, false
	}
	return name, strings.Contains(name, ":")
}

// edge is Alpine's branch of what comes next, of which no advisories are published.
const edge = "Alpine:edge"

// Listed is OSV's word for the release, without its number where r does not say
// it, and empty for a distribution that OSV does not list.
func (r Release) Listed() string {
	major, rest, _ := strings.Cut(r.VersionID, ".")
	switch r.ID {
	case "debian":
		return with("Debian", major)
	case "ubuntu":
		return r.ubuntu()
	case "alpine":
		return alpine(major, rest)
	case "wolfi":
		return "Wolfi"
	case "chainguard":
		return "Chainguard"
	case "minimos":
		return "MinimOS"
	case "echo":
		return "Echo"
	case "alpaquita":
		return with("Alpaquita", major)
	case "rhel":
		return with("Red Hat", prefixed("enterprise_linux:", major))
	case "centos":
		return r.centos(major)
	case "rocky":
		return with("Rocky Linux", major)
	case "almalinux":
		return with("AlmaLinux", major)
	case "opensuse-leap":
		return with("openSUSE", prefixed("Leap ", r.VersionID))
	case "opensuse-tumbleweed":
		return "openSUSE:Tumbleweed"
	case "opensuse-leap-micro":
		return with("openSUSE", prefixed("Leap Micro ", r.VersionID))
	case "sles", "sled", "sle_hpc", "sles_sap":
		return with("SUSE", suse(r.ID, major, rest))
	case "sle-micro", "sle-micro-rancher", "suse-microos":
		return with("SUSE", prefixed("Linux Enterprise Micro ", r.VersionID))
	case "sl-micro":
		return with("SUSE", prefixed("Linux Micro ", r.VersionID))
	case "mageia":
		return with("Mageia", major)
	case "photon":
		return with("Photon OS", r.VersionID)
	case "openeuler":
		return with("openEuler", r.openEuler())
	case "azurelinux", "mariner":
		return with("Azure Linux", major)
	}
	return ""
}

// centos is what it was built from: the packages of CentOS Linux are those of Red
// Hat Enterprise Linux, and have no advisories of their own. Stream is not, and
// since 9 there is only Stream.
func (r Release) centos(major string) string {
	if strings.Contains(r.Name, "Stream") || len(major) > 1 || major > "8" {
		return ""
	}
	return with("Red Hat", prefixed("enterprise_linux:", major))
}

// openEuler names its service packs only in the text for people: 22.03 (LTS-SP3).
func (r Release) openEuler() string {
	_, pack, ok := strings.Cut(r.Version, " (")
	if pack = strings.TrimSuffix(pack, ")"); !ok || !strings.HasPrefix(pack, "LTS") {
		return r.VersionID
	}
	return r.VersionID + "-" + pack
}

func with(name, release string) string {
	if release == "" {
		return name
	}
	return name + ":" + release
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (r Release) ubuntu() string {
	name := with("Ubuntu", r.VersionID)
	if r.LTS && r.VersionID != "" {
		name += ":LTS"
	}
	return name
}

// alpine's advisories are by branch; edge says so with a date in its version.
func alpine(major, rest string) string {
	minor, _, _ := strings.Cut(rest, ".")
	switch {
	case major == "":
		return "Alpine"
	case minor == "" || strings.Contains(rest, "_"):
		return edge
	}
	return "Alpine:v" + major + "." + minor
}

// suse names the release with its service pack; since 16 there are none, and every
// minor release has its number, the first one too.
func suse(id, major, minor string) string {
	if major == "" {
		return ""
	}
	product := map[string]string{"sled": "Desktop", "sle_hpc": "High Performance Computing", "sles_sap": "Server for SAP Applications"}[id]
	if product == "" {
		product = "Server"
	}
	name := "Linux Enterprise " + product + " " + major
	switch {
	case minor == "":
	case len(major) > 1 && major >= "16":
		name += "." + minor
	case minor != "0":
		name += " SP" + minor
	}
	return name
}

func (r Release) unlisted() string {
	name := r.Name
	if name == "" {
		name = r.ID
	}
	if name == "" {
		return "Linux"
	}
	return with(name, r.VersionID)
}
