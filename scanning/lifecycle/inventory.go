package lifecycle

import (
	"github.com/interlock-security/interlock/scanning"
)

// firstHeld is when a subject first had a package in this version, as far as its
// inventories say.
func (b *batch) firstHeld(_ string, _ scanning.Package) (Introduction, error) {
	return Introduction{}, nil
}
