package cran

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "renv.lock", nil) }
