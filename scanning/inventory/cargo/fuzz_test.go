package cargo

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "Cargo.lock", nil) }
