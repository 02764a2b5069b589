package scan

// index classifies the bytes of b, whose length is a multiple of 64. It leaves
// mask.odd alone.
//
//go:noescape
func index(b []byte, masks []mask)
