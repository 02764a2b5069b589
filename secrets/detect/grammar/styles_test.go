package grammar_test

import (
	"os"
	"strings"
	"testing"
)

// styles are the ways in which people choose passwords.
var styles = map[string][]string{
	"small letters and digits": {"ydxw5sug1zb3", "k3m9qz7w"},
	"letters at random":        {"qwmzxtpkrl", "zxkvbqpwmn"},
	"word and digits":          {"falcon7", "meadow88"},
	"symbols":                  {"x#9L!qe7^z", "v@K2!m%P8w"},
	"capitals and digits":      {"ZK39QPL2MX", "QW7ER9TY2U"},
	"digits":                   {"73920184", "481516"},
	"known to every guesser":   {"hunter2", "letmein", "Summer2024!", "admin123", "qwerty"},
	"figures for letters":      {"P@55w0rd!23", "S3cur3!ty"},
	"beyond ASCII":             {"Grün3rBaum!", "пар0льСекр3т"},
	"points and dashes":        {"blue.harbor.42", "red-maple-9"},
	"a noun within":            {"MyPass2024!", "Passw0rd!", "Secret#123", "Admin@1234", "Welcome1"},
	"mixed case":               {"LVwtrfWldijot", "aBcXyZqRtW"},
}

// TestStylesOfPasswords: in every notation of testdata, whoever chose the value.
func TestStylesOfPasswords(t *testing.T) {
	rows := passwordRows(t)
	for style, values := range styles {
		missed, asked := 0, 0
		for _, v := range values {
			for _, row := range rows {
				path, text, _ := strings.Cut(row, "\t")
				if breaks(v, path, text) {
					continue
				}
				asked++
				if checkRow(path, strings.NewReplacer("{pw}", v, "{pw2}", v).Replace(text), newMaker(1)) != "" {
					missed++
				}
			}
		}
		if asked < 300 || missed*20 > asked {
			t.Errorf("%s: missed %d of %d", style, missed, asked)
		}
	}
}

func passwordRows(t *testing.T) []string {
	t.Helper()
	var rows []string
	for _, f := range []string{"assignments", "connections", "commands", "gear"} {
		body, err := os.ReadFile("testdata/" + f + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(body), "\n") {
			if strings.Contains(line, "⟦{pw") {
				rows = append(rows, line)
			}
		}
	}
	return rows
}

// breaks reports whether the value would be something else there: a part of a
// URL, an operator of a shell.
func breaks(v, path, text string) bool {
	if strings.Contains(text, "://") || strings.Contains(text, "@") {
		return strings.ContainsAny(v, "#@%/&!^")
	}
	shell := strings.HasSuffix(path, ".sh") || strings.HasSuffix(path, ".bat")
	return shell && strings.ContainsAny(v, "#&%!^") || strings.Contains(text, "-U bob%") && strings.Contains(v, "%")
}
