package journal

import (
	"bytes"
	"testing"

	"github.com/interlock-security/interlock/core"
)

// Stored bytes are ours, but a disk may change them: whatever a body holds,
// decoding ends, stays within its limits and gives records or says "damaged".
func FuzzDecode(f *testing.F) {
	good, err := encode(Frame{Kind: KindEvents, Records: [][]byte{[]byte("a"), nil, bytes.Repeat([]byte("b"), 300)}})
	if err != nil {
		f.Fatal(err)
	}
	enc, _ := coders()
	f.Add(good.body, good.size)
	f.Add([]byte{}, 0)
	f.Add(good.body, good.size-1)
	f.Add(good.body[:10], good.size)
	f.Add(enc.EncodeAll([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1}, nil), 11)
	f.Add(enc.EncodeAll([]byte{5, 1}, nil), 2)
	f.Add(enc.EncodeAll(make([]byte, MaxRecords+1), nil), MaxRecords+1)
	f.Add(enc.EncodeAll(make([]byte, 4*MaxFrameBytes), nil), 100)
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		frame, err := stored{body: body, size: size}.decode()
		if err != nil {
			if core.KindOf(err) != core.KindDamaged {
				t.Fatalf("kind %v: %v", core.KindOf(err), err)
			}
			return
		}
		again, err := encode(Frame{Kind: KindEvents, Records: frame.Records})
		if err != nil {
			t.Fatal(err)
		}
		back, err := again.decode()
		if err != nil || len(back.Records) != len(frame.Records) {
			t.Fatalf("%d records became %d: %v", len(frame.Records), len(back.Records), err)
		}
	})
}

func TestDecodeRefusesAFloodWithoutMakingRoomForIt(t *testing.T) {
	enc, _ := coders()
	bomb := enc.EncodeAll(make([]byte, 256<<20), nil)
	if _, err := (stored{body: bomb, size: 10}).decode(); core.KindOf(err) != core.KindDamaged {
		t.Errorf("a body of 256 MiB: %v", err)
	}
	if _, err := (stored{body: bomb, size: MaxFrameBytes + 1}).decode(); core.KindOf(err) != core.KindDamaged {
		t.Errorf("a size over the limit: %v", err)
	}
}
