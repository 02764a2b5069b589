package sbom

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

const (
	op      = "sbom.Decode"
	maxGaps = 10_000
	known   = "CycloneDX 1.2 to 1.7 (JSON, XML) and SPDX 2.2, 2.3 (JSON, tag-value) and 3.0 (JSON-LD) are read"
)

// Decode reads a bill of any of the formats. What is none, malformed or over a
// limit as a whole is an error; what it lacks is in its Gaps.
func Decode(r io.Reader) (*Document, error) {
	b, err := untrusted.Read(r, untrusted.Limits{})
	if err != nil {
		return nil, err
	}
	return DecodeBytes(b)
}

// DecodeBytes is [Decode] of bytes that are at hand.
func DecodeBytes(b []byte) (*Document, error) {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
		return nil, malformed("the document is empty")
	case b[0] == '{':
		return decodeJSON(b)
	case b[0] == '<':
		return decodeXML(b)
	case tagValue.Match(b):
		return decodeTagValue(b)
	case bytes.Contains(b[:min(len(b), 4096)], []byte("spdxVersion:")):
		return nil, unsupported("this is SPDX as YAML")
	}
	return nil, malformed("the document is no bill of materials")
}

var tagValue = regexp.MustCompile(`(?m)\A(?:#.*\n|\s*\n)*SPDXVersion:`)

func malformed(msg string) error {
	return core.E(core.KindInvalid, op, untrusted.Clip(msg, 400)).WithHint(known)
}

func unsupported(what string) error {
	return core.E(core.KindInvalid, op, what+", which is not read").WithHint("have the tool write SPDX 2.3 or CycloneDX 1.6 as JSON; " + known)
}

// decodeJSON tells the format by its head alone: a member of the top level.
func decodeJSON(b []byte) (*Document, error) {
	if err := untrusted.CheckJSON(b, untrusted.Limits{}); err != nil {
		return nil, err
	}
	var head struct {
		BOMFormat   string          `json:"bomFormat"`
		SPDXVersion string          `json:"spdxVersion"`
		Context     json.RawMessage `json:"@context"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, malformed("the document is not JSON of a bill of materials: " + err.Error())
	}
	switch {
	case head.BOMFormat == cdx.BOMFormat:
		return decodeCycloneDX(b, cdx.BOMFileFormatJSON)
	case strings.HasPrefix(head.SPDXVersion, "SPDX-2."):
		return decodeSPDX(b)
	case strings.HasPrefix(head.SPDXVersion, "SPDX-3"):
		return nil, unsupported("this is a draft of SPDX 3")
	}
	if is, err := isSPDX3(head.Context); err != nil {
		return nil, err
	} else if is {
		return decodeSPDX3(b)
	}
	return nil, malformed("the JSON is no bill of materials: it has neither bomFormat nor spdxVersion")
}

// decodeXML walks the elements once before anything is made of them: no document
// type, no depth, no million elements.
func decodeXML(b []byte) (*Document, error) {
	if bytes.Contains(b[:min(len(b), 4096)], []byte("spdx.org/rdf/terms")) {
		return nil, unsupported("this is SPDX as RDF")
	}
	if err := checkXML(b); err != nil {
		return nil, err
	}
	if !bytes.Contains(b[:min(len(b), 4096)], []byte("cyclonedx.org/schema/bom/")) {
		return nil, malformed("the XML is not CycloneDX")
	}
	return decodeCycloneDX(b, cdx.BOMFileFormatXML)
}

func checkXML(b []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(b))
	depth, elements := 0, 0
	for {
		t, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed("the XML is malformed: " + err.Error())
		}
		switch t.(type) {
		case xml.Directive:
			return malformed("the XML declares a document type, which no bill of materials needs")
		case xml.StartElement:
			depth++
			elements++
		case xml.EndElement:
			depth--
		}
		if depth > untrusted.DefaultDepth || elements > 2*untrusted.DefaultObjects {
			return core.E(core.KindTooLarge, op, "the XML has too many elements or nests them too deep").WithHint("split it")
		}
	}
}

// finish fills in what the document says elsewhere and names what is missing.
func finish(d *Document, os []string) {
	for i := range d.Packages {
		p := &d.Packages[i]
		if len(os) == 1 && p.PURL != "" && !strings.Contains(p.PURL, "distro=") {
			withRelease(p, os[0])
		}
		p.Requires = union(p.Requires, nil)
	}
	d.Packages = merge(d.Packages)
	for i := range d.Packages {
		p := &d.Packages[i]
		if why := purl.Missing(p); why != "" {
			d.gap(strings.TrimSpace(p.Name+" "+p.Version), why, scanning.ReasonUnsupported)
		}
	}
	d.Gaps = distinct(d.Gaps)
}

// distinct keeps a bill that is read and written again from saying its gaps
// twice.
func distinct(gaps []scanning.Gap) []scanning.Gap {
	seen := make(map[scanning.Gap]bool, len(gaps))
	return slices.DeleteFunc(gaps, func(g scanning.Gap) bool {
		again := seen[g]
		seen[g] = true
		return again
	})
}

// withRelease takes the release from the operating system that the document
// lists once for all.
func withRelease(p *scanning.Package, os string) {
	sep := "?"
	if strings.Contains(p.PURL, "?") {
		sep = "&"
	}
	if full, err := purl.Package(p.PURL + sep + "distro=" + strings.ReplaceAll(os, " ", "-")); err == nil && strings.HasPrefix(full.Ecosystem, p.Ecosystem) {
		p.Ecosystem = full.Ecosystem
	}
}
