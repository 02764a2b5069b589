package rubygems

import (
	"testing"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

func FuzzLock(f *testing.F) { extracttest.Fuzz(f, Extractors()[0], "Gemfile.lock", nil) }

func FuzzSpec(f *testing.F) {
	f.Add([]byte("Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = '2.2.7'\n  s.licenses = [\"MIT\".freeze]\nend\n"))
	extracttest.Fuzz(f, Extractors()[1], "specifications/x.gemspec", nil)
}
