package npm

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func by(name string) *extract.Extractor {
	for _, x := range Extractors() {
		if x.Name == name {
			return x
		}
	}
	return nil
}

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, by("npm/package-lock"), "package-lock.json", nil) }

func FuzzPnpm(f *testing.F) { extracttest.Fuzz(f, by("npm/pnpm-lock"), "pnpm-lock.yaml", nil) }

func FuzzYarn(f *testing.F) {
	extracttest.Fuzz(f, by("npm/yarn-lock"), "yarn.lock", map[string]string{"package.json": `{"dependencies": {"a": "^1"}, "devDependencies": {"b": "^1"}}`})
}

func FuzzBun(f *testing.F) { extracttest.Fuzz(f, by("npm/bun-lock"), "bun.lock", nil) }

func FuzzDeno(f *testing.F) { extracttest.Fuzz(f, by("npm/deno-lock"), "deno.lock", nil) }

func FuzzInstalled(f *testing.F) {
	extracttest.Fuzz(f, by("npm/installed"), "node_modules/x/package.json", nil)
}
