package nuget

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "packages.lock.json", nil) }

func FuzzAssets(f *testing.F) { extracttest.Fuzz(f, Extractors()[1], "project.assets.json", nil) }

func FuzzDeps(f *testing.F) { extracttest.Fuzz(f, Extractors()[2], "app.deps.json", nil) }

func FuzzConfig(f *testing.F) { extracttest.Fuzz(f, Extractors()[3], "packages.config", nil) }

func FuzzProject(f *testing.F) { extracttest.Fuzz(f, Extractors()[4], "app.csproj", nil) }
