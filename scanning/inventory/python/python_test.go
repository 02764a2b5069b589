package python

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }
