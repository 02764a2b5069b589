package apk

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzInstalled(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "lib/apk/db/installed", nil) }
