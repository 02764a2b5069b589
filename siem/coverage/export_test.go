package coverage_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/coverage"
)

func report(t *testing.T) *coverage.Coverage {
	t.Helper()
	r := reader(t)
	object(r, time.Unix(1_700_000_000, 0), []byte(`{"Channel":"Security","EventID":4688,"NewProcessName":"a","ParentProcessName":"b"}`))
	return coverage.New(engine(t, rules+`---
title: "=cmd|x"
id: 00000000-0000-0000-0000-000000000009
author: a
tags: [attack.t0855]
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x}, condition: s}
`), r.Seen, coverage.Options{})
}

func TestCSVIsForSpreadsheets(t *testing.T) {
	var b bytes.Buffer
	if err := report(t).WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if strings.HasPrefix(row[1], "=") {
			t.Errorf("a formula: %q", row)
		}
	}
}

func TestMarkdownNamesWhatIsMissing(t *testing.T) {
	var b bytes.Buffer
	if err := report(t).WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| windows/dns_query/- | 1 | Sysmon event 22 |", "| windows/process_creation/- | GrandParentImage | 1 |", "| can fire |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestNavigatorScoresTechniques(t *testing.T) {
	for domain, want := range map[coverage.Domain]map[string]int{
		coverage.Enterprise: {"T1059": 1, "T1071.004": 0}, coverage.ICS: {"T0855": 1},
	} {
		var b bytes.Buffer
		if err := report(t).WriteNavigator(&b, domain); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Domain     string
			Versions   map[string]string
			Techniques []struct {
				TechniqueID string
				Score       int
			}
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Domain != string(domain) || got.Versions["layer"] != "4.5" || len(got.Techniques) != len(want) {
			t.Errorf("%s", &b)
		}
		for _, x := range got.Techniques {
			if score, ok := want[x.TechniqueID]; !ok || score != x.Score {
				t.Errorf("%s: %+v", domain, x)
			}
		}
	}
}
