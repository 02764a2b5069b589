package sshdtest

import (
	"os"
	"strings"
	"testing"
)

func TestTheAttackStandsInTheLog(t *testing.T) {
	s := Start(t)
	s.FailLogin(t, "mallory")
	s.FailLogin(t, "trudy")
	text, err := os.ReadFile(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Failed password for invalid user mallory from 127.0.0.1 port ", "invalid user trudy"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
}
