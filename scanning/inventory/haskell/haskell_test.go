package haskell

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzFreeze(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "cabal.project.freeze", nil) }

func FuzzStack(f *testing.F) { extracttest.Fuzz(f, Extractors()[1], "stack.yaml.lock", nil) }
