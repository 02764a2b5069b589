package sbom

import (
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

// decodeTagValue reads SPDX's line format into the same structs as its JSON.
// Sections of files, snippets and licence texts are passed over.
func decodeTagValue(b []byte) (*Document, error) {
	t := tagReader{section: sectionDocument}
	rest := string(b)
	for line := 1; rest != ""; line++ {
		var tag, value string
		var ok bool
		tag, value, rest, ok = nextTag(rest)
		if !ok {
			return nil, malformed(fmt.Sprintf("tag %d has a <text> without its end", line))
		}
		if err := t.take(tag, value); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(t.doc.SPDXVersion, "SPDX-2.") {
		return nil, malformed(fmt.Sprintf("the document says %.20q and not SPDX-2.2 or SPDX-2.3", t.doc.SPDXVersion))
	}
	return fromSPDX(&t.doc, "tag-value"), nil
}

// nextTag cuts one "Tag: value" off; the value may span lines within <text>.
// Comments and empty lines have no tag.
func nextTag(s string) (tag, value, rest string, ok bool) {
	line, rest, _ := strings.Cut(s, "\n")
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", rest, true
	}
	tag, value, _ = strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	text, isText := strings.CutPrefix(value, "<text>")
	if !isText {
		return tag, value, rest, true
	}
	if text, ended := strings.CutSuffix(text, "</text>"); ended {
		return tag, text, rest, true
	}
	more, after, ended := strings.Cut(rest, "</text>")
	if !ended {
		return "", "", "", false
	}
	return tag, text + "\n" + more, after, true
}

type section uint8

const (
	sectionDocument section = iota
	sectionPackage
	sectionOther
)

type tagReader struct {
	doc     spdxDocument
	section section
	pack    *spdxPackage
	entries int
}

func (t *tagReader) take(tag, value string) error {
	switch tag {
	case "PackageName":
		if t.entries++; t.entries > untrusted.DefaultObjects {
			return core.E(core.KindTooLarge, op, "the document has too many packages and relationships").WithHint("split it")
		}
		t.doc.Packages = append(t.doc.Packages, spdxPackage{Name: value})
		t.pack, t.section = &t.doc.Packages[len(t.doc.Packages)-1], sectionPackage
		return nil
	case "FileName", "SnippetSPDXID", "LicenseID":
		t.section = sectionOther
		return nil
	case "Relationship":
		return t.relationship(value)
	}
	switch t.section {
	case sectionDocument:
		t.document(tag, value)
	case sectionPackage:
		return t.packageTag(tag, value)
	}
	return nil
}

func (t *tagReader) document(tag, value string) {
	switch tag {
	case "SPDXVersion":
		t.doc.SPDXVersion = value
	case "DocumentName":
		t.doc.Name = value
	case "DocumentNamespace":
		t.doc.DocumentNamespace = value
	case "Created":
		t.doc.CreationInfo.Created = value
	case "Creator":
		t.doc.CreationInfo.Creators = append(t.doc.CreationInfo.Creators, value)
	case "AnnotationComment":
		t.doc.Annotations = append(t.doc.Annotations, spdxAnnotation{Comment: value})
	}
}

func (t *tagReader) packageTag(tag, value string) error {
	p := t.pack
	if t.entries++; t.entries > untrusted.DefaultParts {
		return core.E(core.KindTooLarge, op, "the document has too many tags").WithHint("split it")
	}
	switch tag {
	case "SPDXID":
		p.SPDXID = value
	case "PackageVersion":
		p.VersionInfo = value
	case "PackageLicenseDeclared":
		p.LicenseDeclared = value
	case "PackageLicenseConcluded":
		p.LicenseConcluded = value
	case "PrimaryPackagePurpose":
		p.Purpose = value
	case "PackageSourceInfo":
		p.SourceInfo = value
	case "PackageChecksum":
		alg, sum, _ := strings.Cut(value, ":")
		p.Checksums = append(p.Checksums, spdxChecksum{alg, strings.TrimSpace(sum)})
	case "ExternalRef":
		if f := strings.Fields(value); len(f) == 3 {
			p.ExternalRefs = append(p.ExternalRefs, spdxExternalRef{f[0], f[1], f[2]})
		}
	}
	return nil
}

func (t *tagReader) relationship(value string) error {
	f := strings.Fields(value)
	if len(f) != 3 {
		return nil
	}
	if t.entries++; t.entries > untrusted.DefaultObjects {
		return core.E(core.KindTooLarge, op, "the document has too many packages and relationships").WithHint("split it")
	}
	t.doc.Relationships = append(t.doc.Relationships, spdxRelationship{f[0], f[1], f[2]})
	return nil
}
