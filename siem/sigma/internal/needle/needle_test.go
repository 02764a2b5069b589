package needle_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

func even(uint32) int { return 1 }

// found asks a set and compares with the slow way.
func found(t *testing.T, texts []string, value string) []int32 {
	t.Helper()
	var f needle.Found
	s := needle.NewSet(texts, even)
	s.Find([]byte(value), &f)
	got := slices.Sorted(slices.Values(f.Texts))
	var want []int32
	for i, text := range texts {
		if strings.Contains(value, text) {
			want = append(want, int32(i))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("Find(%q) of %q = %v, want %v", value, texts, got, want)
	}
	if len(want) > 0 && !s.Maybe([]byte(strings.ToUpper(value))) {
		t.Errorf("Maybe(%q) of %q is false", value, texts)
	}
	return got
}

func TestSetFindsWhatContainsFinds(t *testing.T) {
	for _, texts := range [][]string{
		{"mimikatz"}, {"abcd"}, {"abcd", "abcde", "bcde"}, {" -enc ", "invoke-", "\\cmd.exe"}, {"aaaa", "aaaaaaaa"},
	} {
		for _, value := range []string{
			"", "abc", "abcd", "xabcd", "xxabcde", "run mimikatz.exe", "mimikat", "aaaaaaaaaaaa", "x -enc invoke-c:\\cmd.exe",
			strings.Repeat("a", 100) + "abcde",
		} {
			found(t, texts, value)
		}
	}
}

func TestSetAgreesWithContainsOnRandomTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abc\\"[r.IntN(4)]
		}
		return string(b)
	}
	hits := 0
	for range 3000 {
		texts := make([]string, 1+r.IntN(20)+60*r.IntN(2)) // few and many are looked for in different ways
		for i := range texts {
			texts[i] = word(4 + r.IntN(8))
		}
		hits += len(found(t, texts, word(r.IntN(120))))
	}
	if hits < 300 {
		t.Errorf("only %d hits: the test says little", hits)
	}
}

func TestEndsFindWhatTheyShould(t *testing.T) {
	list := []needle.End{
		{Text: "c:\\windows\\", Place: needle.Head},
		{Text: "\\cmd.exe", Place: needle.Tail},
		{Text: ".exe", Place: needle.Tail},
		{Text: "\\system32\\cmd.exe", Place: needle.Tail},
		{Text: "cmd", Place: needle.Whole},
		{Text: "", Place: needle.Whole},
		{Text: "", Place: needle.Head},
		{Text: "c", Place: needle.Head},
		{Text: "c:\\windows\\system32\\cmd.exe", Place: needle.Whole},
	}
	e := needle.NewEnds(list)
	for value, want := range map[string][]int32{
		"":                               {5, 6},
		"cmd":                            {4, 6, 7},
		"x.exe":                          {2, 6},
		"c:\\windows\\system32\\cmd.exe": {0, 1, 2, 3, 6, 7, 8},
		"c:\\windows":                    {6, 7},
		"d:\\cmd.exe":                    {1, 2, 6},
	} {
		var f needle.Found
		e.Find([]byte(value), &f)
		if got := slices.Sorted(slices.Values(f.Texts)); !slices.Equal(got, want) {
			t.Errorf("Find(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	s := needle.NewSet([]string{"mimikatz", "sekurlsa"}, even)
	value := []byte(strings.Repeat("nothing to see sekurlsa ", 20))
	var f needle.Found
	s.Find(value, &f)
	if n := testing.AllocsPerRun(100, func() { s.Find(value, &f) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSet(f *testing.F) {
	f.Add("abcd\nbcdef", "xxabcdefxx")
	f.Add("\\cmd.exe", "C:\\cmd.exe")
	f.Add("aaaa\naaaaa", "aaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, texts, value string) {
		var list []string
		var ends []needle.End
		for i, s := range strings.Split(texts, "\n") {
			if len(s) >= needle.MinLen {
				list = append(list, s)
			}
			ends = append(ends, needle.End{Text: s, Place: needle.Place(i % 3)})
		}
		found(t, list, value)
		var have needle.Found
		needle.NewEnds(ends).Find([]byte(value), &have)
		for i, e := range ends {
			want := [3]bool{value == e.Text, strings.HasPrefix(value, e.Text), strings.HasSuffix(value, e.Text)}[e.Place]
			if slices.Contains(have.Texts, int32(i)) != want {
				t.Fatalf("%q in %q: want %t", e, value, want)
			}
		}
	})
}

func BenchmarkNothing(b *testing.B) {
	s := needle.NewSet([]string{"sekurlsa::", "dpapi::masterkey", "gentilkiwi.com", "lsadump::", "mimidrv.sys"}, even)
	value := []byte(strings.Repeat("C:\\windows\\System32\\RPCRT4.dll+2d2c4|", 64))
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if s.Maybe(value) {
			b.Fatal("found")
		}
	}
}

// TestQuickLooksEverywhere: a text is found at every place of values of every
// length, in either case.
func TestQuickLooksEverywhere(t *testing.T) {
	s := needle.NewSet([]string{"needle7", "[@x]"}, even)
	var f needle.Found
	for n := 7; n < 140; n++ { // below 34 and at either side of every block of 32
		for at := 0; at+7 <= n; at++ {
			value := []byte(strings.Repeat("-", at) + "needle7" + strings.Repeat("n", n-at-7))
			if s.Find(value, &f); !slices.Equal(f.Texts, []int32{0}) || !s.Maybe([]byte(strings.ToUpper(string(value)))) {
				t.Fatalf("%q: %v", value, f.Texts)
			}
		}
	}
}
