package files_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/files"
)

// sample is a file in which ¤ stands where a secret does: ¤p a password a person
// made, ¤k a random key, ¤x 32 hex digits, ¤X 256, ¤b base64 of user and password, ¤h a
// bcrypt hash, ¤c a crypt hash, ¤w a weak word, ¤e base64 of a password.
type sample struct{ rule, path, text string }

func made(rng *rand.Rand, kind byte) string {
	const b62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random := func(alphabet string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return string(b)
	}
	words := []string{"Maple", "garnet", "Tundra", "saffron", "Otter", "basalt"}
	password := words[rng.IntN(len(words))] + random("0123456789", 4) + random("!*_-+", 1) + random(b62, 2)
	switch kind {
	case 'k':
		return random(b62, 40)
	case 'x':
		return random("0123456789abcdef", 32)
	case 'X':
		return random("0123456789abcdef", 256)
	case 'b':
		return base64.StdEncoding.EncodeToString([]byte("deploy:" + password))
	case 'e':
		return base64.StdEncoding.EncodeToString([]byte(password))
	case 'h':
		return "$2" + "y$12$" + random(b62+"./", 53)
	case 'c':
		return "$6$" + random(b62, 16) + "$" + random(b62+"./", 86)
	case 'w':
		return words[rng.IntN(len(words))] + random("0123456789", 3)
	}
	return password
}

// fill makes the text and says what must be found in it.
func fill(rng *rand.Rand, text string) (string, []string) {
	var b strings.Builder
	var secrets []string
	for {
		before, after, found := strings.Cut(text, "¤")
		b.WriteString(before)
		if !found {
			return b.String(), secrets
		}
		s := made(rng, after[0])
		secrets = append(secrets, s)
		b.WriteString(s)
		text = after[1:]
	}
}

// TestEveryFormatIsRead places secrets in a file of each format and asks for
// them, all of them and nothing else.
func TestEveryFormatIsRead(t *testing.T) {
	g := files.Grammars()[0]
	tried := map[string]bool{}
	for i, s := range samples {
		tried[s.rule] = true
		for seed := range uint64(2) {
			text, want := fill(rand.New(rand.NewPCG(uint64(i), seed)), s.text)
			if got := found(g, s.path, text, s.rule); !slices.Equal(got, sorted(want)) {
				t.Errorf("%s in %s: found %q, want %q in\n%s", s.rule, s.path, got, sorted(want), text)
			}
		}
	}
	for _, r := range g.Rules() {
		if !tried[r.ID] {
			t.Errorf("%s has no sample", r.ID)
		}
	}
}

// TestStandInsAreNoSecrets writes into every format what people write where a
// secret goes.
func TestStandInsAreNoSecrets(t *testing.T) {
	g := files.Grammars()[0]
	for _, s := range samples {
		for _, word := range []string{"${DB_PASSWORD}", "changeme", "{{ vault_password }}", "<your-password>", "xxxxxxxxxxxxxxxx", "%PASSWORD%", "YOUR_PASSWORD_HERE", "****************"} {
			text := s.text
			for at := strings.Index(text, "¤"); at >= 0; at = strings.Index(text, "¤") {
				text = text[:at] + word + text[at+len("¤x"):]
			}
			if got := found(g, s.path, text, s.rule); len(got) > 0 {
				t.Errorf("%s in %s: %q is taken for a secret", s.rule, s.path, got)
			}
		}
	}
}

func found(g detect.Grammar, path, text, rule string) []string {
	if !g.Wants(path) {
		return nil
	}
	seen := map[string]bool{}
	g.All(detect.Text{Path: path, Body: []byte(text)}, func(h detect.Hit) {
		if h.Rule == rule {
			seen[text[h.Start:h.End]] = true
		}
	})
	return slices.Sorted(maps.Keys(seen))
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// TestOtherFilesAreLeftAlone: the reader wants nothing that it doesn't know.
func TestOtherFilesAreLeftAlone(t *testing.T) {
	g := files.Grammars()[0]
	for _, path := range []string{"", "main.go", "src/lib.rs", "README.md", "a/b/c.txt", "image.png"} {
		if g.Wants(path) {
			t.Errorf("%q is wanted", path)
		}
	}
}

// FuzzFiles gives every format any bytes: a hit lies within them.
func FuzzFiles(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for i, s := range samples {
		text, _ := fill(rng, s.text)
		f.Add(i, []byte(text))
	}
	f.Add(0, []byte(`X="`))
	g := files.Grammars()[0]
	f.Fuzz(func(t *testing.T, n int, body []byte) {
		if n < 0 || len(body) > 1<<16 {
			return
		}
		path := samples[n%len(samples)].path
		g.All(detect.Text{Path: path, Body: body}, func(h detect.Hit) {
			if h.Start < 0 || h.Start >= h.End || h.End > len(body) || h.MatchStart < 0 || h.MatchEnd > len(body) {
				t.Fatal(fmt.Sprint(path, h))
			}
		})
	})
}

// TestAHostileDumpCostsWhatItsLengthSays: statements that never end are not read
// over and over.
func TestAHostileDumpCostsWhatItsLengthSays(t *testing.T) {
	g := files.Grammars()[0]
	for _, piece := range []string{"insert into a (password) values (\n", "create table a(\n", "copy a (password) from stdin\nx\n", "insert into a (password) values ('x'),\n"} {
		body := strings.Repeat(piece, (1<<17)/len(piece))
		n := 0
		g.All(detect.Text{Path: "x.sql", Body: []byte(body)}, func(detect.Hit) { n++ })
		if n > len(body) {
			t.Errorf("%q: %d hits", piece, n)
		}
	}
}
