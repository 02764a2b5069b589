package grammar_test

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
)

// TestDecodedIsValid: what decodes with a published key is that, and no opinion;
// one wrong character makes it nothing.
func TestDecodedIsValid(t *testing.T) {
	for _, row := range []string{
		"sw.cfg\t password 7 ⟦{type7}⟧",
		"j.conf\tsecret \"⟦{nine}⟧\"; ## SECRET-DATA",
		"Groups.xml\t<Properties cpassword=\"⟦{gpp}⟧\"/>",
		"unattend.xml\t<AdministratorPassword><Value>⟦{unattend}⟧</Value></Administrator",
	} {
		path, text, _ := strings.Cut(row, "\t")
		for seed := range uint64(20) {
			body := newMaker(seed).fill(text)
			from := strings.Index(body, "⟦")
			body = strings.NewReplacer("⟦", "", "⟧", "").Replace(body)
			if !anyValid(hits(detect.Text{Path: path, Body: []byte(body + "\n")}), from) {
				t.Errorf("not valid: %s", body)
			}
		}
	}
}

func anyValid(got []detect.Hit, from int) bool {
	for _, h := range got {
		if h.Start == from && h.Verdict == detect.Valid {
			return true
		}
	}
	return false
}

func TestSpoiledEncodingsAreRefused(t *testing.T) {
	for _, line := range []string{
		" password 7 99" + strings.Repeat("0A", 6),
		" password 7 02" + strings.Repeat("0", 5),
		" key 7 0" + strings.Repeat("F", 9),
	} {
		if got := hits(detect.Text{Path: "sw.cfg", Body: []byte(line + "\n")}); len(got) != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}
