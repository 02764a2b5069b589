// Package schematest holds documents against published JSON schemas in tests.
// The schemas are files in a testdata folder, compressed with gzip, so that tests
// need no network; a README beside them says where they come from.
package schematest

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Compile reads the schemas (file by address, gzipped if the name ends so) and
// compiles the one of the main address.
func Compile(t testing.TB, main string, files map[string]string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	for address, file := range files {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(load(t, file)))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := c.AddResource(address, doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	s, err := c.Compile(main)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Check fails the test if the document isn't valid.
func Check(t testing.TB, s *jsonschema.Schema, document []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatalf("not JSON: %v\n%.2000s", err, document)
	}
	if err := s.Validate(v); err != nil {
		t.Fatalf("%v\n%.4000s", err, document)
	}
}

// CycloneDX compiles CycloneDX 1.6, whose schemas come with the module that we
// write it with.
func CycloneDX(t testing.TB) *jsonschema.Schema {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir, base := filepath.Join(strings.TrimSpace(string(out)), "schema"), "http://cyclonedx.org/schema/"
	return Compile(t, base+"bom-1.6.schema.json", map[string]string{
		base + "bom-1.6.schema.json":   filepath.Join(dir, "bom-1.6.schema.json"),
		base + "spdx.schema.json":      filepath.Join(dir, "spdx.schema.json"),
		base + "jsf-0.82.schema.json":  filepath.Join(dir, "jsf-0.82.schemax.json"),
		base + "jsf-0.82.schemax.json": filepath.Join(dir, "jsf-0.82.schemax.json"),
	})
}

func load(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}
