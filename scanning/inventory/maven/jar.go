package maven

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// Bounds within one archive, besides those of the input.
const (
	maxDirectory = 64 << 20  // of the list of members
	maxInner     = 256 << 20 // of an archive within it that has to be expanded
	maxNote      = 1 << 20   // of pom.properties and MANIFEST.MF
	maxArchives  = 20_000
)

// jars reads one outermost archive; its budget is for all that is in it.
type jars struct {
	in   *extract.Input
	out  *extract.Sink
	left int64
	// count is how many archives were opened: members may overlap, so that a small
	// archive can hold very many large ones.
	count int
}

func readJar(_ context.Context, in *extract.Input, out *extract.Sink) error {
	// Applications of others put their wars there, which none of Debian's packages has.
	if path.Ext(in.Path) == ".jar" && in.OfDebian("usr/share/java/", "usr/share/maven-repo/") {
		return nil
	}
	r, size, done, err := in.ReaderAt()
	if err != nil {
		return err
	}
	defer done()
	j := &jars{in: in, out: out, left: in.Limits.Expanded}
	return j.archive(r, size, in.Path, 0)
}

func (j *jars) archive(r io.ReaderAt, size int64, name string, depth int) error {
	if n := directorySize(r, size); n > maxDirectory {
		return &extract.Fault{Reason: scanning.ReasonTooMany, Msg: fmt.Sprintf("its list of members has %d bytes", n)}
	}
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return extract.Malformed(0, "not an archive: %v", err)
	}
	n := notes{}
	for _, f := range z.File {
		switch base := path.Base(f.Name); {
		case f.FileInfo().IsDir():
		case isArchive(base):
			j.inner(r, f, name+"!/"+f.Name, depth+1)
		case base == "pom.properties" && strings.Contains(f.Name, "META-INF/maven/"):
			if data := j.note(f, name); data != nil {
				n.poms = append(n.poms, fields(data, "="))
			}
		case f.Name == "META-INF/MANIFEST.MF":
			n.manifest = manifest(j.note(f, name))
		case strings.HasSuffix(base, ".class"):
			n.code = true
		}
	}
	n.tell(name, j.out)
	return nil
}

func isArchive(base string) bool {
	switch strings.ToLower(path.Ext(base)) {
	case ".jar", ".war", ".ear", ".par", ".sar", ".hpi", ".jpi", ".kar", ".lpkg":
		return true
	}
	return false
}

// directorySize is what the archive's end says of its list of members, which the
// decoder would otherwise read whole before anybody can stop it.
func directorySize(r io.ReaderAt, size int64) (largest uint64) {
	tail := make([]byte, min(size, 66<<10))
	n, _ := r.ReadAt(tail, size-int64(len(tail)))
	tail = tail[:n]
	for i := 0; i+22 <= len(tail); i++ {
		switch {
		case bytes.HasPrefix(tail[i:], []byte("PK\x05\x06")):
			largest = max(largest, little(tail[i+12:i+16]))
		case bytes.HasPrefix(tail[i:], []byte("PK\x06\x06")) && i+56 <= len(tail):
			largest = max(largest, little(tail[i+40:i+48]))
		}
	}
	if largest == 0xffffffff { // the true size stands in the larger record, or is none
		return uint64(size)
	}
	return largest
}

func little(b []byte) (n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

func (j *jars) gap(reason scanning.Reason, name, why string) { j.out.Gap(reason, name, why) }

// inner reads an archive in an archive. One that is stored as it is is read in
// place.
func (j *jars) inner(r io.ReaderAt, f *zip.File, name string, depth int) {
	if depth > j.in.Limits.Nested {
		j.gap(scanning.ReasonTooDeep, name, fmt.Sprintf("more than %d archives inside each other", j.in.Limits.Nested))
		return
	}
	if j.count++; j.count > maxArchives {
		if j.count == maxArchives+1 {
			j.gap(scanning.ReasonTooMany, name, fmt.Sprintf("more than %d archives in one", maxArchives))
		}
		return
	}
	if f.Method == zip.Store {
		if at, err := f.DataOffset(); err == nil {
			size := int64(min(f.CompressedSize64, 1<<62))
			if j.left -= size; j.left < 0 {
				j.failed(name, extract.TooLarge(size, max(0, j.left+size)))
				return
			}
			j.failed(name, j.archive(io.NewSectionReader(r, at, size), size, name, depth))
			return
		}
	}
	data, err := j.expand(f, maxInner)
	if err == nil {
		err = j.archive(bytes.NewReader(data), int64(len(data)), name, depth)
	}
	j.failed(name, err)
}

func (j *jars) failed(name string, err error) {
	if err != nil {
		f := extract.AsFault(err)
		j.gap(f.Reason, name, f.Error())
	}
}

// expand inflates a member within the bounds of bytes, of ratio and of the
// outermost archive's budget. It does not believe the sizes it is told.
func (j *jars) expand(f *zip.File, limit int64) ([]byte, error) {
	limit = min(limit, j.left, j.in.Limits.Ratio*int64(min(f.CompressedSize64, 1<<40))+maxNote)
	if limit <= 0 {
		return nil, extract.TooLarge(int64(min(f.UncompressedSize64, 1<<62)), limit)
	}
	r, err := f.Open()
	if err != nil {
		return nil, extract.Malformed(0, "a member that cannot be read: %v", err)
	}
	defer r.Close()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	j.left -= n
	switch {
	case n > limit:
		return nil, extract.TooLarge(n, limit)
	case err != nil:
		return nil, extract.Malformed(0, "a member that cannot be read: %v", err)
	}
	return b.Bytes(), nil
}

func (j *jars) note(f *zip.File, name string) []byte {
	data, err := j.expand(f, maxNote)
	j.failed(name+"!/"+f.Name, err)
	return data
}

// notes are what a jar says of itself.
type notes struct {
	poms     []map[string]string
	manifest map[string]string
	code     bool
}

func (n *notes) tell(name string, out *extract.Sink) {
	for _, p := range n.poms {
		if p["groupId"] != "" && p["artifactId"] != "" && p["version"] != "" {
			made := pkg(p["groupId"], p["artifactId"], p["version"])
			made.File = name
			out.Add(made)
		}
	}
	if len(n.poms) > 0 || !n.code {
		return
	}
	group, artifact, version := n.guess(path.Base(name))
	if group == "" || artifact == "" || version == "" {
		out.Gap(scanning.ReasonUnsupported, name, "a jar that says neither in META-INF/maven nor in its manifest what it is")
		return
	}
	made := pkg(group, artifact, version)
	made.File = name
	out.Add(made)
}

var jarName = regexp.MustCompile(`^(.+?)-(\d[0-9A-Za-z._+-]*)\.[a-z]+$`)

// guess takes the artifact and version from the file's name, else from the
// manifest, and the group from the manifest.
func (n *notes) guess(base string) (group, artifact, version string) {
	if m := jarName.FindStringSubmatch(base); m != nil {
		artifact, version = m[1], m[2]
	}
	symbolic, _, _ := strings.Cut(n.manifest["Bundle-SymbolicName"], ";")
	if symbolic == "" {
		symbolic = n.manifest["Automatic-Module-Name"]
	}
	if version == "" {
		version = cmp.Or(n.manifest["Implementation-Version"], n.manifest["Bundle-Version"])
	}
	if artifact == "" {
		artifact = strings.TrimSuffix(base, path.Ext(base))
	}
	group = n.manifest["Implementation-Vendor-Id"]
	if group == "" && strings.Contains(symbolic, ".") {
		group = strings.TrimSuffix(symbolic, "."+artifact)
	}
	return group, artifact, version
}

// fields reads "key=value" lines.
func fields(data []byte, between string) map[string]string {
	all := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxNote+1)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), between); ok && !strings.HasPrefix(key, "#") {
			all[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return all
}

// manifest reads the main section; a line that begins with a space goes on from
// the one before.
func manifest(data []byte) map[string]string {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\n ", "")
	section, _, _ := strings.Cut(text, "\n\n")
	return fields([]byte(section), ":")
}
