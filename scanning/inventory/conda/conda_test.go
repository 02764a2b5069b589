package conda

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func TestCases(t *testing.T) { extracttest.Run(t, Extractors()) }

func FuzzMeta(f *testing.F) {
	extracttest.Seeds(f, "openssl-3.0.7-h0b41bf4_1.json")
	extracttest.Fuzz(f, Extractors()[0], "conda-meta/x.json", nil)
}

func FuzzEnvironment(f *testing.F) {
	extracttest.Fuzz(f, Extractors()[1], "environment.yml", nil)
}

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[2], "conda-lock.yml", nil) }
