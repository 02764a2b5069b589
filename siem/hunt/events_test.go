package hunt_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/hunt"
)

// TestTimes: each of these is the same moment.
func TestTimes(t *testing.T) {
	want := time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC)
	for _, stamp := range []string{
		`"@timestamp":"2026-03-01T12:34:56Z"`, `"@timestamp":"2026-03-01T13:34:56+01:00"`, `"timestamp":"2026-03-01T13:34:56.000+0100"`,
		`"UtcTime":"2026-03-01 12:34:56.000"`, `"EventTime":"2026-03-01 12:34:56"`, `"time":1772368496`, `"time":"1772368496"`, `"ts":1772368496.000`,
		`"timestamp":1772368496000`, `"time":"1772368496000000"`, `"time":1772368496000000000`, `"TimeCreated":"/Date(1772368496000)/"`,
		`"Event":{"System":{"TimeCreated":{"#attributes":{"SystemTime":"2026-03-01T12:34:56Z"}}}}`,
		`"eventTime":"2026-03-01T12:34:56Z"`, `"event":{"created":"2026-03-01T12:34:56Z"}`,
		// The machine's own stamp goes before a collector's; what is no time is none.
		`"@timestamp":"2026-03-01T12:34:59Z","UtcTime":"2026-03-01 12:34:56"`, `"UtcTime":"2026-03-01 12:34:56","@timestamp":"2026-03-01T12:34:59Z"`,
		`"UtcTime":"-","time":"tomorrow","timestamp":12,"EventTime":"2026-03-01 12:34:56"`,
	} {
		res := run(t, []byte(`{"what":"evil",`+stamp+`}`))
		if len(res.Matches) != 1 || !res.Matches[0].Time.Equal(want) || res.Untimed != 0 {
			t.Errorf("%s: %+v", stamp, res.Matches)
		}
	}
	for _, none := range []string{`"x":1`, `"time":"-5"`, `"time":"99999999999999999999999"`, `"time":true`, `"ts":1e30`, `"date":"0001-01-01 00:00:00"`} {
		if res := run(t, []byte(`{"what":"evil",`+none+`}`)); res.Untimed != 1 || !res.Matches[0].Time.IsZero() {
			t.Errorf("%s: %+v", none, res.Matches)
		}
	}
}

const loginRule = `
title: Login
id: 00000000-0000-4000-8000-000000000001
author: Test
logsource: {product: linux, service: sshd}
detection:
  selection: {status: Failure, user.name: root}
  condition: selection
`

// TestLines: each of these is the same line of sshd.
func TestLines(t *testing.T) {
	const message = "Failed password for root from 203.0.113.9 port 4242 ssh2"
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 2, 1, 11, 0, 0, 0, time.UTC)
	for _, line := range []string{
		"Feb  1 12:00:00 web-1 sshd[7]: " + message,
		"<38>Feb  1 12:00:00 web-1 sshd[7]: " + message,
		"2026-02-01T12:00:00+01:00 web-1 sshd[7]: " + message,
		"2026-02-01T11:00:00.000000Z web-1 sshd[7]: " + message,
		"<38>1 2026-02-01T11:00:00Z web-1 sshd 7 - - " + message,
		`<38>1 2026-02-01T11:00:00Z web-1 sshd 7 - [a@1 x="]\"y"][b z="1"] ` + "\ufeff" + message,
		`{"__REALTIME_TIMESTAMP":"1769943600000000","SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_UID":"0","_HOSTNAME":"web-1","MESSAGE":"` + message + `"}`,
	} {
		res := runConfig(t, hunt.Config{Engine: engine(t, loginRule), Paths: []string{"-"}, Stdin: strings.NewReader("\n" + line + "\r\n"), Zone: berlin})
		if len(res.Matches) != 1 || !res.Matches[0].Time.Equal(want) || res.Matches[0].Host != "web-1" || res.Unrouted != 0 {
			t.Errorf("%s: %+v, %d unrouted", line, res.Matches, res.Unrouted)
		}
	}
	// What only looks like one is text that nobody knows.
	for _, line := range []string{"<38>1 yesterday web-1 sshd 7 - - " + message, "<38>1 2026-02-01T11:00:00Z", "<999999>x", "<>", "plain words"} {
		res := runConfig(t, hunt.Config{Engine: engine(t, loginRule), Paths: []string{"-"}, Stdin: strings.NewReader(line)})
		if len(res.Matches) != 0 || res.Events != 1 || res.FaultCount != 0 || res.Unrouted != 1 {
			t.Errorf("%s: %+v", line, res)
		}
	}
}

// TestEventLogs: an event log is read from a file, from a stream and out of
// gzip, whole and damaged, and its numbers stay.
func TestEventLogs(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "www.velocidex.com/golang/evtx").Output()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "Security.evtx"))
	if err != nil {
		t.Fatal(err)
	}
	const cleared, chunk = "title: C\nid: 00000000-0000-4000-8000-000000000001\nauthor: T\nlogsource: {product: windows, service: security}\n" +
		"detection:\n  s: {EventID: [1102, 5038, 4616]}\n  condition: s\n", 4096
	e := engine(t, cleared)
	hunting := func(content []byte) *hunt.Result {
		return runConfig(t, hunt.Config{Engine: e, Paths: []string{"-"}, Stdin: bytes.NewReader(content)})
	}
	whole := hunting(log)
	if whole.Events != 739 || len(whole.Matches) < 3 || whole.FaultCount != 0 || whole.Matches[0].Event != 0 || whole.Matches[0].Host != "TestComputer" {
		t.Fatalf("%d events, %d matches, %s", whole.Events, len(whole.Matches), faults(whole))
	}
	if res := hunting(zipped(log)); !slices.Equal(found(res), found(whole)) {
		t.Errorf("out of gzip: %v", found(res))
	}
	damaged := bytes.Clone(log)
	damaged[chunk+512] = 0 // the first record
	res := hunting(damaged)
	if !slices.Equal(found(res), found(whole)[1:]) || res.Events != 739 || !strings.Contains(faults(res), "at byte 4608: ") {
		t.Errorf("a damaged record: %v of %v, %s", found(res), found(whole), faults(res))
	}
	copy(damaged, "XXXXXXXX") // the file's header: the chunks speak for themselves
	copy(damaged[chunk:], "YYYY")
	if res = hunting(damaged); res.FaultCount == 0 {
		t.Error("a file of which nothing can be read is silent")
	}
	for _, n := range []int{8, 4095, 4096, chunk + 100, chunk + 512 + 4000, len(log) - 1} {
		res := hunting(log[:n])
		if n != 4096 && n != len(log)-1 && res.FaultCount == 0 { // nothing was ever written into its last chunk
			t.Errorf("%d bytes of a log: nobody says that it is cut", n)
		}
		if got := found(res); len(got) > len(whole.Matches) || !slices.Equal(got, found(whole)[:len(got)]) {
			t.Errorf("%d bytes of a log: %v", n, got)
		}
	}
}

// TestSpan: matches outside of what was asked for are counted, and those that
// have no time with them.
func TestSpan(t *testing.T) {
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, "{\"what\":\"evil\",\"time\":\"2026-03-01T00:00:%02dZ\"}\n", i)
	}
	b.WriteString(evil)
	at := func(s int) time.Time { return time.Date(2026, 3, 1, 0, 0, s, 0, time.UTC) }
	for _, c := range []struct {
		from, to time.Time
		want     []int
	}{
		{at(3), at(5), []int{3, 4, 5}}, {at(8), time.Time{}, []int{8, 9}}, {time.Time{}, at(1), []int{0, 1}}, {time.Time{}, time.Time{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
	} {
		res := runConfig(t, hunt.Config{Engine: engine(t, evilRule), Paths: []string{"-"}, Stdin: strings.NewReader(b.String()), From: c.from, To: c.to})
		if !slices.Equal(found(res), c.want) || res.Outside != 11-len(c.want) {
			t.Errorf("%v to %v: %v, %d outside", c.from, c.to, found(res), res.Outside)
		}
	}
}

// TestEnvelopes: an event that an export has put into a member is what rules are
// asked about; a member of events that has such a name is none.
func TestEnvelopes(t *testing.T) {
	const event = `{"EventID":1,"what":"evil","deep":{"a":[{"b":"}"}]}}`
	for content, want := range map[string][]int{
		`{"rule":"x","event":` + event + "}\n" + `{"rule":"y", "event" : {"EventID":2}}` + "\n" + `{"event":` + event + `,"n":1}`: {0, 2},
		`{"_index":"logs","_id":"1","_source":{"what":"evil"}}` + "\n" + `{"_index":"logs","_source":{"what":"good"}}`:            {0},
		`{"preview":false,"result":{"what":"evil"}}`:                  {0},
		"[\n" + `{"event":` + event + "},\n" + `{"event":{}}` + "\n]": {0},
		// A record without the envelope is asked as it is, and ECS stays ECS.
		`{"event":` + event + "}\n" + evil:                                                {0, 1},
		`{"@timestamp":"2026-03-01T00:00:00Z","event":{"type":"x"},"what":"evil"}` + "\n": {0},
		`{"event":"words","what":"evil"}`:                                                 {0},
		`{"event":{"what":"evil"}}`:                                                       {},
	} {
		if res := run(t, []byte(content)); !slices.Equal(found(res), want) || res.FaultCount != 0 {
			t.Errorf("%s: %v, want %v; %s", content, found(res), want, faults(res))
		}
	}
}
