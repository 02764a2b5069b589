// Package schematest holds documents against published JSON schemas in tests.
// The schemas are files in a testdata folder, compressed with gzip, so that tests
// need no network; a README beside them says where they come from.
package schematest

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
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
