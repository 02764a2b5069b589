package alert_test

import (
	"fmt"
	"testing"

	"github.com/interlock-security/interlock/siem/alert"
)

func TestTagsBecomeCategories(t *testing.T) {
	for _, c := range []struct {
		tags []string
		want string
	}{
		{nil, "[]"},
		{[]string{"attack.t1110.001", "attack.credential_access", "attack.credential-access"}, "[TA0006 Credential Access T1110.001 Brute Force]"},
		{[]string{"attack.T0857", "attack.ics.impair-process-control", "attack.evasion"}, "[TA0106 Impair Process Control TA0103 Evasion T0857 System Firmware]"},
		{[]string{"attack.ics.initial_access", "attack.initial_access"}, "[TA0108 Initial Access TA0001 Initial Access]"},
		{[]string{"attack.stealth", "attack.t9999"}, "[TA0005 Stealth T9999]"},
		{[]string{"attack.g0010", "attack.s0002", "cve.2021-44228", "attack.", "attack.t1", "attack.t1110.1", "detection.threat_hunting"}, "[]"},
	} {
		if got := fmt.Sprint(alert.Categories(c.tags)); got != c.want {
			t.Errorf("%v: %s, want %s", c.tags, got, c.want)
		}
	}
	for _, c := range alert.Categories([]string{"attack.t0857", "attack.ics.evasion"}) {
		if !c.ICS {
			t.Errorf("%s is of the industrial matrix", c)
		}
	}
}
