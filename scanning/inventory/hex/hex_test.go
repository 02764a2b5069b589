package hex

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzMix(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "mix.lock", nil) }

func FuzzRebar(f *testing.F) { extracttest.Fuzz(f, Extractors()[1], "rebar.lock", nil) }
