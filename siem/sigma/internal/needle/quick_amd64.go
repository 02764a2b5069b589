package needle

func hasAVX2() bool

//go:noescape
func scan3(value []byte, from int, t *tables) int

var canScan = hasAVX2()
