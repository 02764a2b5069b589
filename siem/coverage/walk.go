package coverage

import (
	"bytes"

	"github.com/interlock-security/interlock/siem/internal/jsonwalk"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// maxNames bounds one event, as the engine does.
const maxNames = 4096

// walker reads the names of an event's fields: nested ones joined with dots, as
// rules write them, those that hold nothing (null) left out. It keeps its
// buffers.
type walker struct {
	json    jsonwalk.Walker // visits leaf
	names   []byte
	ends    []int
	numbers []byte // the values of what is an event's number, each after a zero
}

// numberNames are the names of an event's number, by which whole groups of rules
// are told apart within a logsource.
var numberNames = func() map[string]bool {
	out := map[string]bool{numberField: true}
	for _, name := range taxonomy.Aliases(sigma.Logsource{}, numberField) {
		out[name] = true
	}
	return out
}()

// numberField is what rules call it.
const numberField = "EventID"

// maxNumber bounds the length of one.
const maxNumber = 32

func (w *walker) at(i int) []byte {
	from := 0
	if i > 0 {
		from = w.ends[i-1]
	}
	return w.names[from:w.ends[i]]
}

func (w *walker) name(name string) {
	w.names = append(w.names, name...)
	w.ends = append(w.ends, len(w.names))
}

// read takes a JSON object and reports whether it is one.
func (w *walker) read(object []byte) bool {
	w.names, w.ends, w.numbers = w.names[:0], w.ends[:0], w.numbers[:0]
	return w.json.Object(object)
}

func (w *walker) leaf(path, val []byte) {
	if string(val) == "null" {
		return
	}
	val = bytes.TrimSuffix(bytes.TrimPrefix(val, quote), quote)
	if numberNames[string(path)] && len(val) <= maxNumber {
		w.numbers = append(append(w.numbers, 0), val...)
	}
	if len(w.ends) < maxNames && !reserved(path) && !w.again(path) {
		w.names = append(w.names, path...)
		w.ends = append(w.ends, len(w.names))
	}
}

var quote = []byte{'"'}

// again reports whether a name is the one before: an array notes its own once,
// however many elements it has.
func (w *walker) again(path []byte) bool {
	n := len(w.ends)
	return n > 0 && bytes.Equal(w.at(n-1), path)
}

// reserved names are the receiver's; an event that has one claims nothing.
func reserved(name []byte) bool {
	return len(name) >= len(sigma.Reserved) && string(name[:len(sigma.Reserved)]) == sigma.Reserved
}
