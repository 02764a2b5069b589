package audit

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// Fold is the state of authority as the log says it: for each object the entry
// with the highest revision. Tables are its cache. An object whose revisions do
// not rise stays in stop-only until a person has looked: two entries claim to be
// the same change, and one of them is not.
type Fold struct{ objects map[string]Folded }

// Folded is what the log says of one object.
type Folded struct {
	Revision uint64
	At       core.Position
	// Conflict says why the object is in stop-only, "" if it is not.
	Conflict string
}

// NewFold returns an empty fold.
func NewFold() *Fold { return &Fold{map[string]Folded{}} }

// Add takes the next entry of the log; entries of other types are passed over.
// It returns the object's state after it.
func (f *Fold) Add(r Record) Folded {
	if r.Header.Type != TypeAuthority {
		return f.objects[r.Header.Object]
	}
	o := f.objects[r.Header.Object]
	switch {
	case r.Header.Revision > o.Revision:
		o.Revision, o.At = r.Header.Revision, r.Position
	case o.Conflict == "":
		o.Conflict = fmt.Sprintf("revision %d stands again at %s after revision %d at %s",
			r.Header.Revision, formatPosition(r.Position), o.Revision, formatPosition(o.At))
	}
	f.objects[r.Header.Object] = o
	return o
}

// Object returns the state of an object, named as in the header. The zero
// Folded means that the log says nothing of it.
func (f *Fold) Object(name string) Folded { return f.objects[name] }

// Conflicts returns the objects in stop-only and why.
func (f *Fold) Conflicts() map[string]string {
	found := map[string]string{}
	for name, o := range f.objects {
		if o.Conflict != "" {
			found[name] = o.Conflict
		}
	}
	return found
}
