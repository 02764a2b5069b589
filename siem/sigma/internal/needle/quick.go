package needle

// Of a few texts a value is asked 32 places at once, once for each eight of them:
// if more were asked together, too many places would look like one.
const (
	quickTexts = 24
	columns    = 8
)

// tables tell where the window of one of eight texts may begin. Each has a
// column, a bit; for each of a window's first three bytes, one row says by the lower half
// of a byte in which columns it may be, and one by the upper half. Rows stand
// twice, once for each half of a register.
type tables [6][32]byte

// enter puts a window into a column. Letters of either case are one.
func (t *tables) enter(window uint32, column int) {
	for k := range 3 {
		c := byte(window >> (8 * k))
		for _, v := range [2]byte{c, c &^ 0x20} {
			for _, half := range [2]byte{0, 16} {
				t[2*k][half+v&15] |= 1 << column
				t[2*k+1][half+v>>4] |= 1 << column
			}
		}
	}
}

// block is how many bytes a value has at least that is looked at where it stands.
const block = 34

// next is the first place from which on a window may be, -1 where there is none.
func (t *tables) next(value []byte, from int) int {
	if len(value) < block {
		var room [block]byte
		copy(room[:], value)
		from = scan3(room[:], from, t)
	} else {
		from = scan3(value, from, t)
	}
	if from+MinLen > len(value) {
		return -1
	}
	return from
}

// scanGo is scan3 a place at a time.
func scanGo(value []byte, from int, t *tables) int {
	for ; from+3 <= len(value); from++ {
		a, b, c := value[from], value[from+1], value[from+2]
		if t[0][a&15]&t[1][a>>4]&t[2][b&15]&t[3][b>>4]&t[4][c&15]&t[5][c>>4] != 0 {
			return from
		}
	}
	return -1
}
