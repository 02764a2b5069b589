package vex

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

const known = "OpenVEX, CSAF 2.0 and CycloneDX with vulnerabilities are read, as JSON"

// Decode reads a document of any of the formats, told apart by content.
func Decode(r io.Reader) (*Document, error) {
	b, err := untrusted.JSON(r, untrusted.Limits{})
	if err != nil {
		return nil, err
	}
	return DecodeBytes(b)
}

type head struct {
	Context   json.RawMessage `json:"@context"`
	BOMFormat string          `json:"bomFormat"`
	Document  json.RawMessage `json:"document"`
	ID        string          `json:"id"`
	Affected  json.RawMessage `json:"affected"`
	Modified  string          `json:"modified"`
}

func decodeHead(b []byte) (head, error) {
	var h head
	if err := untrusted.CheckJSON(b, untrusted.Limits{}); err != nil {
		return h, err
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, malformed("the document is not JSON of VEX: " + err.Error())
	}
	return h, nil
}

// DecodeBytes is [Decode] of bytes that are at hand.
func DecodeBytes(b []byte) (*Document, error) {
	h, err := decodeHead(b)
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(string(h.Context), "openvex"):
		return decodeOpenVEX(b)
	case h.BOMFormat == "CycloneDX":
		return decodeCycloneDX(b)
	case len(h.Document) > 0:
		a, err := decodeCSAF(b)
		if err != nil {
			return nil, err
		}
		return a.Document(), nil
	}
	return nil, malformed("the document is no VEX")
}

func malformed(msg string) error {
	return core.E(core.KindInvalid, op, untrusted.Clip(msg, 400)).WithHint(known)
}
