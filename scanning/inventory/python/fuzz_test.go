package python

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzRequirements(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "requirements.txt", nil) }

func FuzzPoetry(f *testing.F) { extracttest.Fuzz(f, Extractors()[2], "poetry.lock", nil) }

func FuzzUV(f *testing.F) { extracttest.Fuzz(f, Extractors()[3], "uv.lock", nil) }

func FuzzPDM(f *testing.F) { extracttest.Fuzz(f, Extractors()[4], "pdm.lock", nil) }

func FuzzPylock(f *testing.F) { extracttest.Fuzz(f, Extractors()[5], "pylock.toml", nil) }

func FuzzInstalled(f *testing.F) { extracttest.Fuzz(f, Extractors()[6], "x.dist-info/METADATA", nil) }

func FuzzManifest(f *testing.F) { extracttest.Fuzz(f, Extractors()[7], "pyproject.toml", nil) }

func FuzzSetup(f *testing.F) {
	extracttest.Seeds(f, "setup.cfg")
	extracttest.Fuzz(f, Extractors()[8], "setup.py", nil)
}
