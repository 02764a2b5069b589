package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTheDescription is the golden file of the API: whoever changes an answer
// sees it there.
func TestTheDescription(t *testing.T) {
	got, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("..", "docs", "reference", "openapi.json")
	if *update {
		if err := atomicfile.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/reference/openapi.json is not what the API is; write it anew with -update and read the difference")
	}
	for _, foreign := range []string{"$schema", "ErrorModel", "cdn", "unpkg"} {
		if bytes.Contains(got, []byte(foreign)) {
			t.Errorf("the description holds %q", foreign)
		}
	}
}

// TestEveryRouteIsDescribed: the route table and the description are the same,
// and each operation's action is one that policies know.
func TestEveryRouteIsDescribed(t *testing.T) {
	b, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Action      string `json:"x-interlock-action"`
			Summary     string `json:"summary"`
			Parameters  []struct{ Name, Description string }
		}
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, methods := range spec.Paths {
		for method, op := range methods {
			described = append(described, strings.ToUpper(method)+" "+path+" "+op.Action)
			if op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s %s has no name or no summary", method, path)
			}
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s %s: parameter %s is not described", method, path, p.Name)
				}
			}
		}
	}
	var served []string
	for _, r := range api.New(api.Parts{}).Mux().Routes() {
		served = append(served, r.Pattern+" "+string(r.Action))
		if _, known := policy.ClassOf(r.Action); !known {
			t.Errorf("%s: no policy knows %s", r.Pattern, r.Action)
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %q\nserved    %q", described, served)
	}
}
