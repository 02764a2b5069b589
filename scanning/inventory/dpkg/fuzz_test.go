package dpkg

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzStatus(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "var/lib/dpkg/status", nil) }
