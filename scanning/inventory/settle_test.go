package inventory

import (
	"strings"
	"testing"
)

// Databases of many roots may each claim as much as one may.
func TestOwnedFilesAreBoundedInBytes(t *testing.T) {
	w := &walk{owned: map[string]bool{}}
	long := strings.Repeat("usr/share/java/", 8_000)
	kept := 0
	for i := range 100_000 {
		w.own(long[:20_000+i])
	}
	for file := range w.owned {
		kept += len(file)
	}
	if kept == 0 || kept > maxOwned {
		t.Errorf("%d files of %d bytes", len(w.owned), kept)
	}
}
