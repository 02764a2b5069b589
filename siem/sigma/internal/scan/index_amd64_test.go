package scan

// ways are those that this processor knows.
func ways() []func([]byte, []mask) {
	all := []func([]byte, []mask){index, indexGo, index1}
	if wide {
		all = append(all, index2)
	}
	return all
}
