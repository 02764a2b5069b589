package vex

// The parts of CSAF 2.0 that we read or write.

type csafFile struct {
	Document        csafDocument        `json:"document"`
	ProductTree     *csafTree           `json:"product_tree,omitempty"`
	Vulnerabilities []csafVulnerability `json:"vulnerabilities,omitempty"`
}

type csafDocument struct {
	Category     string            `json:"category"`
	Version      string            `json:"csaf_version"`
	Distribution *csafDistribution `json:"distribution,omitempty"`
	Notes        []csafNote        `json:"notes,omitempty"`
	Publisher    csafPublisher     `json:"publisher"`
	References   []csafReference   `json:"references,omitempty"`
	Title        string            `json:"title"`
	Tracking     csafTracking      `json:"tracking"`
}

type csafDistribution struct {
	Text string   `json:"text,omitempty"`
	TLP  *csafTLP `json:"tlp,omitempty"`
}

type csafTLP struct {
	Label string `json:"label"`
}

type csafNote struct {
	Category string `json:"category"`
	Text     string `json:"text"`
}

type csafPublisher struct {
	Category  string `json:"category"`
	Contact   string `json:"contact_details,omitempty"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type csafReference struct {
	Category string `json:"category,omitempty"`
	Summary  string `json:"summary"`
	URL      string `json:"url"`
}

type csafTracking struct {
	Aliases   []string       `json:"aliases,omitempty"`
	Current   string         `json:"current_release_date"`
	ID        string         `json:"id"`
	Initial   string         `json:"initial_release_date"`
	History   []csafRevision `json:"revision_history"`
	Status    string         `json:"status"`
	Version   string         `json:"version"`
	Generator *csafGenerator `json:"generator,omitempty"`
}

type csafGenerator struct {
	Engine csafEngine `json:"engine"`
}

type csafEngine struct {
	Name string `json:"name"`
}

type csafRevision struct {
	Date    string `json:"date"`
	Number  string `json:"number"`
	Summary string `json:"summary"`
}

type csafTree struct {
	Branches      []csafBranch       `json:"branches,omitempty"`
	Names         []csafProduct      `json:"full_product_names,omitempty"`
	Groups        []csafGroup        `json:"product_groups,omitempty"`
	Relationships []csafRelationship `json:"relationships,omitempty"`
}

type csafBranch struct {
	Category string       `json:"category"`
	Name     string       `json:"name"`
	Branches []csafBranch `json:"branches,omitempty"`
	Product  *csafProduct `json:"product,omitempty"`
}

type csafProduct struct {
	Name   string      `json:"name"`
	ID     string      `json:"product_id"`
	Helper *csafHelper `json:"product_identification_helper,omitempty"`
}

type csafHelper struct {
	CPE  string `json:"cpe,omitempty"`
	PURL string `json:"purl,omitempty"`
}

type csafGroup struct {
	ID       string   `json:"group_id"`
	Products []string `json:"product_ids"`
}

type csafRelationship struct {
	Category  string      `json:"category"`
	Product   csafProduct `json:"full_product_name"`
	Reference string      `json:"product_reference"`
	RelatesTo string      `json:"relates_to_product_reference"`
}

type csafVulnerability struct {
	Acknowledgments []csafCredit        `json:"acknowledgments,omitempty"`
	CVE             string              `json:"cve,omitempty"`
	Discovery       string              `json:"discovery_date,omitempty"`
	Flags           []csafFlag          `json:"flags,omitempty"`
	IDs             []csafID            `json:"ids,omitempty"`
	Involvements    []csafInvolvement   `json:"involvements,omitempty"`
	Notes           []csafNote          `json:"notes,omitempty"`
	ProductStatus   map[string][]string `json:"product_status,omitempty"`
	Release         string              `json:"release_date,omitempty"`
	Remediations    []csafRemediation   `json:"remediations,omitempty"`
	Scores          []csafScore         `json:"scores,omitempty"`
	Threats         []csafThreat        `json:"threats,omitempty"`
	Title           string              `json:"title,omitempty"`
}

type csafCredit struct {
	Summary string   `json:"summary,omitempty"`
	Names   []string `json:"names,omitempty"`
	Org     string   `json:"organization,omitempty"`
}

type csafFlag struct {
	Label    string   `json:"label"`
	Date     string   `json:"date,omitempty"`
	Products []string `json:"product_ids,omitempty"`
	Groups   []string `json:"group_ids,omitempty"`
}

type csafID struct {
	System string `json:"system_name"`
	Text   string `json:"text"`
}

type csafInvolvement struct {
	Date    string `json:"date,omitempty"`
	Party   string `json:"party"`
	Status  string `json:"status"`
	Summary string `json:"summary,omitempty"`
}

type csafRemediation struct {
	Category string   `json:"category"`
	Details  string   `json:"details"`
	Products []string `json:"product_ids,omitempty"`
	Groups   []string `json:"group_ids,omitempty"`
	URL      string   `json:"url,omitempty"`
}

type csafScore struct {
	Products []string  `json:"products"`
	CVSS3    *csafCVSS `json:"cvss_v3,omitempty"`
}

type csafCVSS struct {
	Version  string  `json:"version"`
	Vector   string  `json:"vectorString"`
	Score    float64 `json:"baseScore"`
	Severity string  `json:"baseSeverity"`
}

type csafThreat struct {
	Category string   `json:"category"`
	Details  string   `json:"details"`
	Products []string `json:"product_ids,omitempty"`
	Groups   []string `json:"group_ids,omitempty"`
}
