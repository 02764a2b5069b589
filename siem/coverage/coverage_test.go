package coverage_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/coverage"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

const rules = `title: query
id: 00000000-0000-0000-0000-000000000001
name: query
author: a
tags: [attack.t1071.004]
logsource: {product: windows, category: dns_query}
detection: {s: {QueryName|endswith: .onion}, condition: s}
---
title: process
id: 00000000-0000-0000-0000-000000000002
name: process
author: a
tags: [attack.t1059, attack.execution]
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x, ParentImage: y}, condition: s}
---
title: grandparent
id: 00000000-0000-0000-0000-000000000003
author: a
tags: [attack.t1059]
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x, GrandParentImage: y}, condition: s}
---
title: placeholder
id: 00000000-0000-0000-0000-000000000004
author: a
logsource: {product: windows, category: process_creation}
detection: {s: {Image|expand: '%admins%'}, condition: s}
---
title: off
id: 00000000-0000-0000-0000-000000000005
author: a
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x}, condition: s}
---
title: both
id: 00000000-0000-0000-0000-000000000006
author: a
correlation: {type: temporal, rules: [query, process], group-by: [Computer], timespan: 1m}
---
title: many
id: 00000000-0000-0000-0000-000000000007
name: many
author: a
correlation: {type: event_count, rules: [process], group-by: [Computer], timespan: 1m, condition: {gte: 2}}
---
title: chain
id: 00000000-0000-0000-0000-000000000008
author: a
correlation: {type: event_count, rules: [many], group-by: [Computer], timespan: 1m, condition: {gte: 2}}
`

func engine(t *testing.T, text string) *sigma.Engine {
	t.Helper()
	all, err := sigma.Parse("rules.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e, err := sigma.Compile(all, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func reader(t *testing.T) *coverage.Reader {
	t.Helper()
	r, err := coverage.NewReader(coverage.NewSeen())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// object gives a reader an event of which no collector knows anything.
func object(r *coverage.Reader, at time.Time, fields []byte) {
	r.Event(&core.Event{Source: "import", Received: at, Fields: fields})
}

func TestReport(t *testing.T) {
	r := reader(t)
	at := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	object(r, at, []byte(`{"Channel":"Security","EventID":4688,"NewProcessName":"a","ParentProcessName":"b","GrandParentImage":null}`))
	object(r, at.Add(time.Hour), []byte(`{"winlog":{"channel":"Security","event_id":4624,"event_data":{"TargetUserName":"x"}}}`))
	object(r, at, []byte(`{"strange":1}`))
	object(r, at, []byte(`not an event`))
	e := engine(t, rules)
	off := slices.DeleteFunc(slices.Clone(e.Rules()), func(r *sigma.Rule) bool { return r.Title != "off" })
	gone, err := sigma.Parse("gone.yml", []byte(strings.NewReplacer("query", "gone", "0001", "0009").Replace(strings.SplitN(rules, "---", 2)[0])))
	if err != nil {
		t.Fatal(err)
	}
	rep := coverage.New(e, r.Seen, coverage.Options{Off: append(off, gone...)})
	var got []string
	for _, x := range rep.Rules {
		got = append(got, fmt.Sprint(x.Title, "=", x.State, x.Lacks))
	}
	want := []string{
		"both=no rule[query]", "chain=can fire[]", "many=can fire[]", "gone=disabled[]", "query=no logsource[]", "grandparent=no field[GrandParentImage]",
		"off=disabled[]", "placeholder=no placeholder values[%admins%]", "process=can fire[]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if rep.Counts.Events != 3 || rep.Counts.Unrouted != 1 || rep.Counts.Unread != 1 || !rep.To.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v to %v", rep.Counts, rep.To)
	}
	if rep.Totals.All != 9 || rep.Totals.Of[coverage.CanFire] != 3 {
		t.Errorf("%+v", rep.Totals)
	}
	if len(rep.Sources) != 1 || rep.Sources[0].Rules != 1 || rep.Sources[0].How[0] != "Sysmon event 22" {
		t.Errorf("%+v", rep.Sources)
	}
	if len(rep.Fields) != 1 || rep.Fields[0].Field != "GrandParentImage" {
		t.Errorf("%+v", rep.Fields)
	}
}

// TestAllLogsourcesOfAnEventCount, as they do for detection: what the normaliser
// says and what the fields say.
func TestAllLogsourcesOfAnEventCount(t *testing.T) {
	r := reader(t)
	object(r, time.Time{}, []byte(`{"program":"x","message":"y","Channel":"Security","EventID":4688}`))
	var got []string
	for _, s := range r.Seen.Sources() {
		got = append(got, s.Logsource)
	}
	for _, want := range []string{"linux/-/x", "linux/-/syslog", "windows/-/security", "windows/process_creation/security"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
}

// TestNumbersOfEvents: within a logsource, a number that never came lights up
// nothing, whatever other fields its events had.
func TestNumbersOfEvents(t *testing.T) {
	r := reader(t)
	object(r, time.Time{}, []byte(`{"Event":{"System":{"Channel":"Security","EventID":{"#text":4688}},"EventData":{"ServiceName":"x"}}}`))
	rep := coverage.New(engine(t, `title: t
id: 00000000-0000-0000-0000-000000000001
author: a
logsource: {product: windows, service: security}
detection: {s: {EventID: 4769, ServiceName: x}, condition: s}
---
title: u
id: 00000000-0000-0000-0000-000000000002
author: a
logsource: {product: windows, service: security}
detection: {s: {EventID: [4769, 4688], ServiceName: x}, condition: s}
`), r.Seen, coverage.Options{})
	if a, b := rep.Rules[0], rep.Rules[1]; a.State != coverage.NoField || !slices.Equal(a.Lacks, []string{"EventID 4769"}) || b.State != coverage.CanFire {
		t.Errorf("%+v\n%+v", a, b)
	}
	if len(rep.Fields) != 1 || rep.Fields[0].Field != "EventID 4769" {
		t.Errorf("%+v", rep.Fields)
	}
}

// TestTooManyNamesProveNothing: where names were not remembered, none is said to
// be missing.
func TestTooManyNamesProveNothing(t *testing.T) {
	r := reader(t)
	for i := range 5000 {
		object(r, time.Time{}, fmt.Appendf(nil, `{"Channel":"Security","EventID":4688,"f%d":1}`, i))
	}
	for _, x := range coverage.New(engine(t, rules), r.Seen, coverage.Options{}).Rules {
		if x.State == coverage.NoField {
			t.Errorf("%s lacks %q", x.Title, x.Lacks)
		}
	}
}

// TestWhatTheNormaliserFindsIsSeen: fields that no event has by itself.
func TestWhatTheNormaliserFindsIsSeen(t *testing.T) {
	r := reader(t)
	r.Event(&core.Event{
		Source: "file/auth.log", Received: time.Now(),
		Fields: json.RawMessage(`{"program":"sshd","message":"Failed password for root from 192.0.2.1 port 22 ssh2"}`),
	})
	rep := coverage.New(engine(t, `title: t
id: 00000000-0000-0000-0000-000000000001
author: a
logsource: {product: linux, service: sshd}
detection: {s: {status: Failure, user.name: root, interlock.source: x}, condition: s}
`), r.Seen, coverage.Options{})
	if rep.Rules[0].State != coverage.CanFire {
		t.Errorf("%+v", rep.Rules[0])
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r := reader(t)
	for i := range 9000 {
		object(r, time.Time{}, fmt.Appendf(nil, `{"Channel":"Security","f%d":1,"g":{"h%d":[{"a":1},{"a":2}]}}`, i, i))
	}
	c := r.Seen.Counts()
	if c.Events != 9000 || c.Beyond == 0 {
		t.Errorf("%+v", c)
	}
	for _, s := range r.Seen.Sources() {
		if len(s.Fields) > 4096 {
			t.Errorf("%s: %d fields", s.Logsource, len(s.Fields))
		}
	}
}

func TestMergeIsTheSum(t *testing.T) {
	one, two, all := reader(t), reader(t), reader(t)
	at := time.Unix(1_700_000_000, 0)
	for i := range 100 {
		event := fmt.Appendf(nil, `{"Channel":"Security","EventID":%d,"f%d":1}`, i%3, i%7)
		object(all, at.Add(time.Duration(i)*time.Second), event)
		object([]*coverage.Reader{one, two}[i%2], at.Add(time.Duration(i)*time.Second), event)
	}
	one.Seen.Merge(two.Seen)
	a, _ := json.Marshal(one.Seen.Sources())
	b, _ := json.Marshal(all.Seen.Sources())
	if string(a) != string(b) || one.Seen.Counts() != all.Seen.Counts() {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestRepeatedShapesAllocateNothing(t *testing.T) {
	seen := coverage.NewSeen()
	sources := []sigma.Logsource{{Product: "windows", Service: "security"}}
	event := []byte(`{"Channel":"Security","EventID":4688,"a":{"b":[1,2,3]}}`)
	if n := testing.AllocsPerRun(100, func() { seen.Add(time.Time{}, sources, event, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSeen(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,null,{"c":"\""}]},"d":"x"}`))
	f.Add([]byte(`{"a":[[[`))
	f.Fuzz(func(t *testing.T, event []byte) {
		seen := coverage.NewSeen()
		seen.Add(time.Time{}, []sigma.Logsource{{Product: "x"}}, event, nil)
		if c := seen.Counts(); c.Events+c.Unread != 1 {
			t.Errorf("%+v", c)
		}
	})
}
