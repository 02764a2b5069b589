package sigmatest_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma/sigmatest"
)

const rule = `title: T
id: 11111111-1111-4111-8111-111111111111
name: r
author: A
logsource: {product: linux}
detection:
  s: {x: 1}
  condition: s
`

func run(t *testing.T, test string) (sigmatest.Result, error) {
	t.Helper()
	return sigmatest.Run(context.Background(), fstest.MapFS{"d/r.yml": {Data: []byte(rule)}, "d/bad.yml": {Data: []byte("a: 1")}, "d/x.test": {Data: []byte(test)}}, "d/x.test")
}

// TestWhatIsNotThereFails: a harness that can't fail proves nothing.
func TestWhatIsNotThereFails(t *testing.T) {
	const load = "rules r.yml\nload 1s\n  file prog hello *2\n  json http/x {\"program\":\"p\",\"x\":1} *2\n"
	for _, row := range []struct{ eval, want string }{
		{"eval at 1m\n  events 4\n  r count=2 author=A source=http/x", ""},
		{"eval at 1m", "d/x.test:5: alerts that were not expected: r count=2 "},
		{"eval at 1m\n  r count=2\n  r count=2", "d/x.test:7: no such alert; there are none"},
		{"eval at 1m\n  r count=3", "d/x.test:6: no such alert; there are r count=2 "},
		{"eval at 1m\n  r nonsense=3", "d/x.test:6: no such alert"},
		{"eval at 1m\n  other", "d/x.test:6: no such alert"},
		{"eval at 1m\n  events 5\n  r", "d/x.test:5: 4 events were received until then, expected 5"},
		{"eval at 2s\n  events 3\n  r count=1", ""},
		{"clear\neval at 1m\n  events 0", ""},
		{"eval at 1m\n  r count=2 title=\"T\"\n  matched r 2", ""},
		{"eval at 1m\n  r\n  matched other 0", "d/x.test:7: no rule that judges events is called other"},
		{"eval at 1m\n  r\n  matched r 3", "d/x.test:7: r held for 2 events, expected 3"},
		{"clear\nstart 2026-06-01T00:00:00Z\nload 1s\n  json x {\"program\":\"p\",\"x\":1}\neval at 1m\n  r first=2026-06-01T00:00:00Z", ""},
	} {
		result, err := run(t, load+row.eval+"\n")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range result.Failures {
			got = append(got, f.String())
		}
		if all := strings.Join(got, "\n"); !strings.HasPrefix(all, row.want) || row.want == "" && all != "" {
			t.Errorf("%s\n got  %s\n want %s", row.eval, all, row.want)
		}
	}
}

func TestTestsThatCantBeRead(t *testing.T) {
	for _, row := range []struct{ test, want string }{
		{"", "the test evaluates nothing: d/x.test:1"},
		{"  load 1s", "an indented line belongs to a statement before it: d/x.test:1"},
		{"foo", `"foo" is not a statement; there are rules, start, load, eval and clear: d/x.test:1`},
		{"load", "write `load 5s [from 1m] [late 4m]`: d/x.test:1"},
		{"load x", `"x" is not a length of time such as 5s or 1h30m: d/x.test:1`},
		{"load 1s to 5s", `"to" is not known here; there are from and late: d/x.test:1`},
		{"load 1s\n  nonsense x", `"nonsense" is not a kind of event; there are sshd, file, journald, syslog, device, fleet and json: d/x.test:2`},
		{"load 1s\n  sshd x *200000", "one block loads at most 100000 events: d/x.test:2"},
		{"load 1s\n  device ../x {}", `identifier "../x": byte 0 is '.'`},
		{"eval at 1m", "no rules are loaded: d/x.test:1"},
		{"rules r.yml\neval at 1m\n  r count", `"count" should be a condition such as count=10: d/x.test:3`},
		{"rules r.yml\neval at 1m\n  r title=\"x", "a double quote is not closed: d/x.test:3"},
		{"rules r.yml\neval at 1m\n  matched r", "write `matched RULE 3`: d/x.test:3"},
		{"start noon", `"noon" is not a time such as 2026-03-02T08:00:00Z: d/x.test:1`},
		{"rules r.yml\nload 1s\n  sshd x\nstart 2026-03-02T08:00:00Z", "`start` stands before the first `load`, or after `clear`: d/x.test:4"},
		{"rules none*.yml", `no file matches "none*.yml": d/x.test:1`},
		{"rules bad.yml", "a rule needs `title`; write `title: what the rule finds` first: d/bad.yml:1:1"},
		{"clear\n  x", "nothing can be indented below this statement: d/x.test:2"},
	} {
		_, err := run(t, row.test)
		if err == nil || !strings.Contains(err.Error(), row.want) || core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q\n got  %v\n want %s", row.test, err, row.want)
		}
	}
}

func FuzzTestFile(f *testing.F) {
	f.Add("rules r.yml\nload 1s from 2s late 3s\n  sshd x *3\neval at 1m\n  events 3\n  r count=1\nclear\n")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 1000 && !strings.Contains(s, "000") {
			_, _ = run(t, s)
		}
	})
}
