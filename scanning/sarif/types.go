package sarif

import "encoding/json"

// The parts of a log that we read or write; names are the standard's (OASIS
// SARIF 2.1.0). Everything else in a foreign log is passed over.

const (
	version   = "2.1.0"
	schemaURI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

type sarifLog struct {
	Schema  string `json:"$schema,omitempty"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool                           tool                        `json:"tool"`
	Invocations                    []invocation                `json:"invocations,omitempty"`
	AutomationDetails              *automationDetails          `json:"automationDetails,omitempty"`
	VersionControlProvenance       []versionControl            `json:"versionControlProvenance,omitempty"`
	OriginalURIBaseIDs             map[string]artifactLocation `json:"originalUriBaseIds,omitempty"`
	Artifacts                      []artifact                  `json:"artifacts,omitempty"`
	LogicalLocations               []logicalLocation           `json:"logicalLocations,omitempty"`
	Results                        []json.RawMessage           `json:"results"`
	ExternalPropertyFileReferences *externalReferences         `json:"externalPropertyFileReferences,omitempty"`
	Properties                     bag                         `json:"properties,omitempty"`
}

// bag is a property bag; its values are read one by one.
type bag map[string]json.RawMessage

type externalReferences struct {
	Results []json.RawMessage `json:"results,omitempty"`
}

type tool struct {
	Driver     component   `json:"driver"`
	Extensions []component `json:"extensions,omitempty"`
}

type component struct {
	Name            string `json:"name"`
	GUID            string `json:"guid,omitempty"`
	FullName        string `json:"fullName,omitempty"`
	Version         string `json:"version,omitempty"`
	SemanticVersion string `json:"semanticVersion,omitempty"`
	InformationURI  string `json:"informationUri,omitempty"`
	Rules           []rule `json:"rules,omitempty"`
	Properties      bag    `json:"properties,omitempty"`
}

type rule struct {
	ID                   string                 `json:"id"`
	GUID                 string                 `json:"guid,omitempty"`
	Name                 string                 `json:"name,omitempty"`
	ShortDescription     *multiformat           `json:"shortDescription,omitempty"`
	FullDescription      *multiformat           `json:"fullDescription,omitempty"`
	MessageStrings       map[string]multiformat `json:"messageStrings,omitempty"`
	Help                 *multiformat           `json:"help,omitempty"`
	HelpURI              string                 `json:"helpUri,omitempty"`
	DefaultConfiguration *configuration         `json:"defaultConfiguration,omitempty"`
	Properties           bag                    `json:"properties,omitempty"`
}

type multiformat struct {
	Text string `json:"text"`
}

type configuration struct {
	Level string `json:"level,omitempty"`
}

type invocation struct {
	ExecutionSuccessful            bool              `json:"executionSuccessful"`
	StartTimeUTC                   string            `json:"startTimeUtc,omitempty"`
	EndTimeUTC                     string            `json:"endTimeUtc,omitempty"`
	ExitCodeDescription            string            `json:"exitCodeDescription,omitempty"`
	WorkingDirectory               *artifactLocation `json:"workingDirectory,omitempty"`
	ToolExecutionNotifications     []notification    `json:"toolExecutionNotifications,omitempty"`
	ToolConfigurationNotifications []notification    `json:"toolConfigurationNotifications,omitempty"`
}

type notification struct {
	Descriptor *ruleReference `json:"descriptor,omitempty"`
	Level      string         `json:"level,omitempty"`
	Message    message        `json:"message"`
	Locations  []location     `json:"locations,omitempty"`
	Properties bag            `json:"properties,omitempty"`
}

type automationDetails struct {
	ID string `json:"id,omitempty"`
}

type versionControl struct {
	RepositoryURI string `json:"repositoryUri"`
	RevisionID    string `json:"revisionId,omitempty"`
	Branch        string `json:"branch,omitempty"`
}

type artifact struct {
	Location *artifactLocation `json:"location,omitempty"`
}

type artifactLocation struct {
	URI         string   `json:"uri,omitempty"`
	URIBaseID   string   `json:"uriBaseId,omitempty"`
	Index       *int     `json:"index,omitempty"`
	Description *message `json:"description,omitempty"`
}

type message struct {
	Text      string   `json:"text,omitempty"`
	Markdown  string   `json:"markdown,omitempty"`
	ID        string   `json:"id,omitempty"`
	Arguments []string `json:"arguments,omitempty"`
}

type ruleReference struct {
	ID            string              `json:"id,omitempty"`
	Index         *int                `json:"index,omitempty"`
	GUID          string              `json:"guid,omitempty"`
	ToolComponent *componentReference `json:"toolComponent,omitempty"`
}

type componentReference struct {
	Name  string `json:"name,omitempty"`
	Index *int   `json:"index,omitempty"`
	GUID  string `json:"guid,omitempty"`
}

type result struct {
	RuleID              string            `json:"ruleId,omitempty"`
	RuleIndex           *int              `json:"ruleIndex,omitempty"`
	Rule                *ruleReference    `json:"rule,omitempty"`
	Kind                string            `json:"kind,omitempty"`
	Level               string            `json:"level,omitempty"`
	Message             message           `json:"message"`
	Locations           []location        `json:"locations,omitempty"`
	Fingerprints        map[string]string `json:"fingerprints,omitempty"`
	PartialFingerprints map[string]string `json:"partialFingerprints,omitempty"`
	Suppressions        []suppression     `json:"suppressions,omitempty"`
	BaselineState       string            `json:"baselineState,omitempty"`
	WebRequest          *webRequest       `json:"webRequest,omitempty"`
	HostedViewerURI     string            `json:"hostedViewerUri,omitempty"`
	Properties          bag               `json:"properties,omitempty"`
}

type webRequest struct {
	Target string `json:"target,omitempty"`
	Method string `json:"method,omitempty"`
}

type suppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status,omitempty"`
	Justification string `json:"justification,omitempty"`
}

type location struct {
	PhysicalLocation *physicalLocation `json:"physicalLocation,omitempty"`
	LogicalLocations []logicalLocation `json:"logicalLocations,omitempty"`
	Message          *message          `json:"message,omitempty"`
}

type physicalLocation struct {
	ArtifactLocation *artifactLocation `json:"artifactLocation,omitempty"`
	Region           *region           `json:"region,omitempty"`
	ContextRegion    *region           `json:"contextRegion,omitempty"`
}

type region struct {
	StartLine   int      `json:"startLine,omitempty"`
	StartColumn int      `json:"startColumn,omitempty"`
	EndLine     int      `json:"endLine,omitempty"`
	Snippet     *snippet `json:"snippet,omitempty"`
}

type snippet struct {
	Text string `json:"text,omitempty"`
}

type logicalLocation struct {
	Name               string `json:"name,omitempty"`
	FullyQualifiedName string `json:"fullyQualifiedName,omitempty"`
	Kind               string `json:"kind,omitempty"`
	Index              *int   `json:"index,omitempty"`
}
