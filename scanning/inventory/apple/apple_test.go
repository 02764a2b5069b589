package apple

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzResolved(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "Package.resolved", nil) }

func FuzzPods(f *testing.F) { extracttest.Fuzz(f, Extractors()[1], "Podfile.lock", nil) }
