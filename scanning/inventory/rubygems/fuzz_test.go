package rubygems

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "Gemfile.lock", nil) }

func FuzzSpec(f *testing.F) { extracttest.Fuzz(f, Extractors()[1], "specifications/x.gemspec", nil) }
