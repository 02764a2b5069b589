package actions

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzWorkflow(f *testing.F) {
	extracttest.Fuzz(f, Extractors()[0], ".github/workflows/ci.yml", nil)
}
