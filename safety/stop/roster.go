package stop

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/interlock-security/interlock/platform/atomicfile"
)

// roster keeps who may stop what, and which devices there are, in a file of its
// own, so that a server that starts while its database is down knows them. The
// file is written behind; nobody waits for it.
type roster struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	next    *rosterFile // what is to be written, the newest only
	writing bool
}

type rosterFile struct {
	V       int      `json:"v"` // 1
	Persons []Person `json:"persons"`
	Targets []Target `json:"targets"`
}

func newRoster(path string, log *slog.Logger) *roster { return &roster{path: path, log: log} }

// load reads the file. A file that can't be read gives nobody, and is told: the
// buttons work, and the next SetPersons mends it.
func (r *roster) load() ([]Person, []Target) {
	if r.path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var f rosterFile
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil || f.V != 1 {
		r.log.Error("the list of who may stop could not be read", slog.Any("file", r.path), slog.Any("error", err))
		return nil, nil
	}
	return f.Persons, f.Targets
}

func (r *roster) save(persons []Person, targets []Target) {
	if r.path == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = &rosterFile{1, persons, targets}
	if !r.writing {
		r.writing = true
		go r.write()
	}
}

func (r *roster) write() {
	for {
		r.mu.Lock()
		f := r.next
		r.next = nil
		r.writing = f != nil
		r.mu.Unlock()
		if f == nil {
			return
		}
		b, err := json.Marshal(f)
		if err == nil {
			err = atomicfile.WriteFile(r.path, b, 0o600)
		}
		if err != nil {
			r.log.Error("the list of who may stop could not be written", slog.Any("file", r.path), slog.Any("error", err))
		}
	}
}
