package spool

// CheckRecord reads a frame as replay does.
func CheckRecord(frame []byte) error {
	_, err := decodeRecord(frame)
	return err
}
