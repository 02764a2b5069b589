package composer

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "composer.lock", nil) }

func FuzzInstalled(f *testing.F) {
	extracttest.Fuzz(f, Extractors()[1], "vendor/composer/installed.json", nil)
}
