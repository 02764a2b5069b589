package scan

// index classifies the bytes of b, whose length is a multiple of 64. It leaves
// mask.odd alone.
func index(b []byte, masks []mask) {
	if wide {
		index2(b, masks)
	} else {
		index1(b, masks)
	}
}

// wide is whether the processor knows AVX2.
var wide = hasAVX2()

//go:noescape
func index1(b []byte, masks []mask)

//go:noescape
func index2(b []byte, masks []mask)

func hasAVX2() bool
