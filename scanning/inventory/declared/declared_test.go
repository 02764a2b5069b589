package declared

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzManifests(f *testing.F) {
	extracttest.Seeds(f, "mix.exs", "Package.swift", "conanfile.txt", "vcpkg.json")
	extracttest.Fuzz(f, Extractors()[0], "pubspec.yaml", nil)
}
