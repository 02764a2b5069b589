package standard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// TestLinesOfKeywordsAreLinear reads single lines of nothing but what rules and
// grammars wake up at: twice the length must cost about twice as much.
func TestLinesOfKeywordsAreLinear(t *testing.T) {
	d, err := detect.New(standard.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`password=`, `pass'pass'`, `password='`, `{"token":[`, `key=(`, `secret `, `pass"key'`, `'password':`, `--password `,
		`://u:pass@`, `pwd=;key:`, `authkeypasstoken`, `<password>`, `key\"`, `token = "a" + `,
	} {
		const n = 12 << 10
		d.Scan(detect.Text{Path: "x.txt", Body: []byte(part)}, func(*detect.Leak) {})
		once, twice := cost(t, d, strings.Repeat(part, n/len(part))), cost(t, d, strings.Repeat(part, 2*n/len(part)))
		if twice > 3*once+15*time.Millisecond {
			t.Errorf("%q: %v for %d bytes, %v for twice that", part, once, n, twice)
		}
	}
}

// cost is the processor's time for one text.
func cost(t *testing.T, d *detect.Detector, body string) time.Duration {
	t.Helper()
	return clocktest.Cost(t, func() { d.Scan(detect.Text{Path: "x.txt", Body: []byte(body)}, func(*detect.Leak) {}) })
}
