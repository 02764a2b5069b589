package inventory

import (
	"slices"

	"github.com/interlock-security/interlock/scanning/inventory/actions"
	"github.com/interlock-security/interlock/scanning/inventory/apk"
	"github.com/interlock-security/interlock/scanning/inventory/apple"
	"github.com/interlock-security/interlock/scanning/inventory/cargo"
	"github.com/interlock-security/interlock/scanning/inventory/composer"
	"github.com/interlock-security/interlock/scanning/inventory/conan"
	"github.com/interlock-security/interlock/scanning/inventory/conda"
	"github.com/interlock-security/interlock/scanning/inventory/cran"
	"github.com/interlock-security/interlock/scanning/inventory/declared"
	"github.com/interlock-security/interlock/scanning/inventory/dpkg"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/golang"
	"github.com/interlock-security/interlock/scanning/inventory/haskell"
	"github.com/interlock-security/interlock/scanning/inventory/hex"
	"github.com/interlock-security/interlock/scanning/inventory/julia"
	"github.com/interlock-security/interlock/scanning/inventory/maven"
	"github.com/interlock-security/interlock/scanning/inventory/npm"
	"github.com/interlock-security/interlock/scanning/inventory/nuget"
	"github.com/interlock-security/interlock/scanning/inventory/pub"
	"github.com/interlock-security/interlock/scanning/inventory/python"
	"github.com/interlock-security/interlock/scanning/inventory/rpm"
	"github.com/interlock-security/interlock/scanning/inventory/rubygems"
)

// Extractors lists all, in the order in which they are asked of one file.
func Extractors() []*extract.Extractor {
	return slices.Concat(
		golang.Extractors(), npm.Extractors(), python.Extractors(), maven.Extractors(),
		cargo.Extractors(), nuget.Extractors(), rubygems.Extractors(), composer.Extractors(),
		pub.Extractors(), hex.Extractors(), apple.Extractors(), conan.Extractors(), conda.Extractors(),
		cran.Extractors(), haskell.Extractors(), julia.Extractors(), actions.Extractors(), declared.Extractors(),
		dpkg.Extractors(), apk.Extractors(), rpm.Extractors(),
	)
}
