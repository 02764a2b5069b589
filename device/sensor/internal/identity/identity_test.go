package identity

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

func TestOf(t *testing.T) {
	rows := map[string][]string{
		`model=X200 serial=4711`:           {"model", "X200", "vendor", "", "serial", "4711"},
		`model="X serial=1" serial=2`:      {"model", "X serial=1", "serial", "2"},
		`model="\x1b[2J\u202e\"" serial=2`: {"model", "\x1b[2J\u202e\"", "serial", "2"},
		`model="\xff"`:                     {"model", "\xff"},
		``:                                 {"model", ""},
	}
	for want, pairs := range rows {
		if got := Of(pairs...); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestALongNameHidesNoDifference(t *testing.T) {
	long := strings.Repeat("A", 4000)
	a, b := Of("model", long, "serial", "1"), Of("model", long, "serial", "2")
	if a == b || len(a) > sensor.MaxText || sensor.Text(a) != a {
		t.Errorf("%q and %q", a, b)
	}
}

func FuzzOf(f *testing.F) {
	f.Add("\xff\u202e", "1")
	f.Fuzz(func(t *testing.T, model, serial string) {
		got := Of("model", model, "serial", serial)
		if len(got) > sensor.MaxText || sensor.Text(got) != got {
			t.Errorf("Of(%q, %q) = %q", model, serial, got)
		}
		if serial != "" && Of("model", model, "serial", serial+"x") == got {
			t.Errorf("two serials, one identity: %q", got)
		}
	})
}
