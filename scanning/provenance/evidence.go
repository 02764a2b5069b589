package provenance

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

var evidenceLimits = untrusted.Limits{Bytes: maxEvidenceSize, Depth: 60, Objects: 50_000, Parts: 500_000}

// check tells what a piece of evidence is by its content. A file may hold
// several documents, one a line, as build services hand attestations out.
func (v *verifier) check(e Evidence) []Check {
	data := bytes.TrimSpace(e.Data)
	if len(data) > 0 && data[0] != '{' {
		return []Check{v.minisign(e.Name, data)}
	}
	if err := untrusted.CheckJSON(data, evidenceLimits); err != nil {
		return []Check{{Kind: "unknown", Evidence: e.Name, Why: err.Error()}}
	}
	var out []Check
	dec := json.NewDecoder(bytes.NewReader(data))
	for dec.More() || len(out) == 0 {
		name := e.Name
		if len(out) > 0 {
			name = fmt.Sprintf("%s (%d)", e.Name, len(out)+1)
		}
		var doc json.RawMessage
		if err := dec.Decode(&doc); err != nil {
			return append(out, Check{Kind: "unknown", Evidence: name, Why: "it is neither a minisign signature nor JSON"})
		}
		if len(out) == maxStatements {
			return append(out, Check{Kind: "unknown", Evidence: name, Why: fmt.Sprintf("the file holds more than %d documents; the rest was not looked at", maxStatements)})
		}
		out = append(out, v.checkJSON(name, doc))
	}
	return out
}

func (v *verifier) checkJSON(name string, doc []byte) Check {
	var head struct {
		MediaType   string          `json:"mediaType"`
		PayloadType string          `json:"payloadType"`
		Rekor       json.RawMessage `json:"rekorBundle"`
		Type        string          `json:"_type"`
	}
	if err := json.Unmarshal(doc, &head); err != nil {
		return Check{Kind: "unknown", Evidence: name, Why: "it is JSON of nothing that is known"}
	}
	switch {
	case head.MediaType != "":
		return v.bundle(name, doc)
	case head.PayloadType != "":
		return v.dsse(name, doc)
	case len(head.Rekor) > 0:
		return Check{Kind: "unknown", Evidence: name, Why: "this is cosign's older bundle, which is not read: sign with --new-bundle-format"}
	case head.Type != "":
		return Check{Kind: "unknown", Evidence: name, Why: "this is a statement that nobody signed"}
	}
	return Check{Kind: "unknown", Evidence: name, Why: "it is JSON of nothing that is known: Sigstore bundles and DSSE envelopes are"}
}
