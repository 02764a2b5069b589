//go:build !amd64

package needle

const canScan = false

func scan3(value []byte, from int, t *tables) int { return scanGo(value, from, t) }
