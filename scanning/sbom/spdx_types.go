package sbom

// The parts of SPDX 2.3 that we read or write.

type spdxDocument struct {
	SPDXVersion       string             `json:"spdxVersion"`
	DataLicense       string             `json:"dataLicense"`
	SPDXID            string             `json:"SPDXID"`
	Name              string             `json:"name"`
	DocumentNamespace string             `json:"documentNamespace"`
	Comment           string             `json:"comment,omitempty"`
	CreationInfo      spdxCreation       `json:"creationInfo"`
	DocumentDescribes []string           `json:"documentDescribes,omitempty"`
	Packages          []spdxPackage      `json:"packages"`
	Relationships     []spdxRelationship `json:"relationships,omitempty"`
	Annotations       []spdxAnnotation   `json:"annotations,omitempty"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string            `json:"SPDXID"`
	Name             string            `json:"name"`
	VersionInfo      string            `json:"versionInfo,omitempty"`
	DownloadLocation string            `json:"downloadLocation"`
	FilesAnalyzed    bool              `json:"filesAnalyzed"`
	Supplier         string            `json:"supplier,omitempty"`
	LicenseConcluded string            `json:"licenseConcluded,omitempty"`
	LicenseDeclared  string            `json:"licenseDeclared,omitempty"`
	LicenseComments  string            `json:"licenseComments,omitempty"`
	CopyrightText    string            `json:"copyrightText,omitempty"`
	Purpose          string            `json:"primaryPackagePurpose,omitempty"`
	SourceInfo       string            `json:"sourceInfo,omitempty"`
	Checksums        []spdxChecksum    `json:"checksums,omitempty"`
	ExternalRefs     []spdxExternalRef `json:"externalRefs,omitempty"`
	Annotations      []spdxAnnotation  `json:"annotations,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxExternalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

type spdxAnnotation struct {
	Date      string `json:"annotationDate"`
	Type      string `json:"annotationType"`
	Annotator string `json:"annotator"`
	Comment   string `json:"comment"`
}

const (
	spdxDocumentID  = "SPDXRef-DOCUMENT"
	spdxSubjectID   = "SPDXRef-Subject"
	noAssertion     = "NOASSERTION"
	spdxAnnotator   = "Tool: interlock"
	spdxNotePrefix  = "interlock: "
	spdxGapPrefix   = "interlock gap: "
	spdxPurlType    = "purl"
	spdxPurlManager = "PACKAGE-MANAGER"
)

// spdxNote is what the format has no field for, as JSON in an annotation.
type spdxNote struct {
	Ecosystem     string `json:"ecosystem,omitempty"`
	Source        string `json:"source,omitempty"`
	SourceVersion string `json:"source_version,omitempty"`
	File          string `json:"file,omitempty"`
	Layer         string `json:"layer,omitempty"`
	Direct        bool   `json:"direct,omitempty"`
	Dev           bool   `json:"dev,omitempty"`
}
