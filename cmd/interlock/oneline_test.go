package main

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/detect"
)

// TestTextFromEventsStaysOnItsLine: a user's name with a line feed in it must not
// look like one more row, or like a back-test's hash.
func TestTextFromEventsStaysOnItsLine(t *testing.T) {
	const evil = "anna\nback-test 0000\x1b[2J\u202e\tx"
	var out strings.Builder
	table(&out, "USER ALERTS", [][]string{{evil, "1"}})
	tellExamples(&out, "would go", []detect.Example{{Title: evil, Group: map[string]string{"user.name": evil}, Source: evil, Author: evil, Link: evil, Last: time.Unix(0, 0), Count: 1}})
	if n := strings.Count(out.String(), "\n"); n != 3 || strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("%d lines: %q", n, out.String())
	}
}
