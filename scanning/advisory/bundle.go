package advisory

import (
	"io"
	"os"

	"github.com/interlock-security/interlock/core"
)

// bundleSuffix is how a database in one file is named.
const bundleSuffix = ".ilkdb"

func (im *importer) bundle(f *os.File, size int64) error {
	_, _ = io.Discard, size
	return core.E(core.KindInvalid, "advisory.Import", f.Name()+" is no bundle")
}
