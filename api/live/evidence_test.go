package live

import (
	"slices"
	"testing"

	"github.com/interlock-security/interlock/platform/journal"
)

// A batch as its device signed it is evidence: people watch the events in it. An
// event that a device calls so is none.
func TestEvidenceIsNotWatched(t *testing.T) {
	m := newMemory()
	h := running(t, m, nil)
	w := h.Watch(ours, Cursor{})
	defer w.Close()
	begin(t, h, w, m, ours)
	signed := frame(ours, `{"type":"device_batch"}`, `{"type":"device_batch","n":1}`, `{"type":"case_intrusion"}`)
	signed.Key = &journal.Key{Tenant: ours}
	m.add(signed, frame(ours, `{"type":"device_batch","n":2}`))
	want := []string{`{"type":"device_batch","n":1}`, `{"type":"case_intrusion"}`, `{"type":"device_batch","n":2}`}
	got, _, _, err := gather(within(t), w, len(want))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("watched: %v, %v", got, err)
	}
	items, _, err := h.Last(within(t), ours, len(want))
	var last []string
	for _, item := range items {
		last = append(last, string(item.Data))
	}
	if err != nil || !slices.Equal(last, want) {
		t.Errorf("the last: %v, %v", last, err)
	}
}
