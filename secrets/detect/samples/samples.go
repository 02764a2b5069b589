// Package samples tells secrets that were made up, to test a program or to show how
// it is used, from those that somebody may really use.
//
// It stands on secrets/detect alone and judges what was found already. What it calls
// a sample stays a leak, marked and of the lowest severity, so that it can be shown and
// is counted; nothing is dropped here. It judges only what anybody can make up, a
// password or a key: what a provider issued is in use wherever it stands.
//
// A path or a word nearby makes a sample of a value that can be guessed, and of a
// private key, a hash or a token that expires by itself among the code, the prose and
// the data of tests and examples. Of any other value only the description of an
// interface does, where it gives an example. What stands in a configuration file and was
// made by a generator is a leak, whatever the file, its folder and its keys are called;
// and a folder of a system that runs is no test, whatever its name.
package samples

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
)

// Judge is for [detect.Config].
func Judge(s *detect.Suspect) bool {
	if !madeUp(s.Rule) {
		return false
	}
	p := placeOf(s.Path)
	switch {
	case namesItself(s.Secret) || described(s):
		return true
	case s.Kind == detect.KindPrivateKey:
		return p.data || p.written() && (p.test || p.example || named(s, &p) || shown(s, &p) || published(s, &p))
	case s.Kind == detect.KindHash:
		return p.data || p.written() && (p.test || p.example || p.docs)
	case s.ID == "jwt":
		return p.written() && (p.docs || p.test || p.data) && expires(s.Secret)
	case !guessable(s.Secret):
		return false
	case testAccount(s) || shown(s, &p) || p.named && bytes.Contains(s.Secret, []byte("test")):
		return true
	}
	return p.data || p.test || p.example || p.called || p.docs
}

// forms are tokens that a program makes by itself, without a provider.
var forms = []string{"assigned-token", "jwt", "kubernetes-bootstrap-token", "http-basic-auth", "consul-token", "nomad-token", "remote-config-token"}

// madeUp reports whether anybody could have made such a secret.
func madeUp(r *detect.Rule) bool {
	switch r.Kind {
	case detect.KindPassword, detect.KindPrivateKey, detect.KindConnection, detect.KindHash, detect.KindKey:
		return true
	case detect.KindToken:
		return slices.Contains(forms, r.ID)
	}
	return false
}

// namesItself reports a long value with words in it that say that it is none.
func namesItself(secret []byte) bool {
	return len(secret) > 32 && (bytes.Contains(secret, []byte("testdata")) || bytes.Contains(secret, []byte("example.com")))
}

// expires reports a token that says until when it holds.
func expires(jwt []byte) bool {
	parts := bytes.Split(jwt, []byte("."))
	if len(parts) < 2 {
		return false
	}
	claims, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	return err == nil && bytes.Contains(claims, []byte(`"exp":`))
}

// guessable reports a password that somebody thought up in a second: short, or of one
// sort of characters; also as Kubernetes' manifests write it.
func guessable(secret []byte) bool {
	if plain, err := base64.StdEncoding.DecodeString(string(secret)); err == nil && printable(plain) {
		secret = plain
	}
	var lower, upper, digit, other int
	for _, c := range secret {
		switch {
		case c >= 'a' && c <= 'z':
			lower = 1
		case c >= 'A' && c <= 'Z':
			upper = 1
		case c >= '0' && c <= '9':
			digit = 1
		default:
			other = 1
		}
	}
	n := lower + upper + digit + other
	return len(secret) < 8 || n == 1 && len(secret) < 24 || n == 2 && len(secret) < 12 || n == 2 && digit == 0 && len(secret) < 24
}

func printable(b []byte) bool {
	return len(b) > 2 && !bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' || c > '~' })
}

// place is what a path says of what is there.
type place struct {
	code, prose bool
	// named is a file whose own name says that it is a test's.
	named bool
	// called is one whose own name says that it is an example: it may hold a key that
	// somebody uses.
	called bool
	// data is for tests, and nothing else; test and example hold programs and settings
	// too, which may be those of a system that runs.
	data, test, example, docs bool
	// page is of a website.
	page bool
	// goDoc is Go's file of a package's documentation.
	goDoc bool
}

// written reports whether a text is for people to read: a file that is nothing but a
// key, or settings, is there to be used.
func (p *place) written() bool { return p.code || p.prose }

func placeOf(path string) (p place) {
	parts := strings.Split(strings.ToLower(path), "/")
	last := parts[len(parts)-1]
	p.kind(last)
	if slices.ContainsFunc(parts, func(part string) bool { return environments[part] }) {
		return p // "test" and "demo" are systems here
	}
	p.test = p.test || strings.HasSuffix(last, ".t") // a script of tests by its name
	p.docs = strings.HasSuffix(last, ".svg")
	for i, part := range parts {
		p.read(part, i == len(parts)-1)
	}
	return p
}

// kind reads what a file is from its name.
func (p *place) kind(name string) {
	p.goDoc = name == "doc.go"
	exts := strings.Split(name, ".")[1:]
	p.code = slices.ContainsFunc(exts, func(ext string) bool { return code[ext] })
	if len(exts) == 0 {
		return
	}
	switch exts[len(exts)-1] {
	case "mdx":
		p.prose, p.page = true, true // Markdown with components: a page of a website
	case "md", "markdown", "rst", "adoc":
		p.prose = true
	}
}

// read reads one part of a path.
func (p *place) read(part string, last bool) {
	w := words(part)
	for i, word := range w {
		next := ""
		if i+1 < len(w) {
			next = w[i+1]
		}
		switch {
		case data[word], word == "test" && of[next], strings.HasPrefix(word, "test") && (of[word[4:]] || keyish(word)):
			p.data = true // testutils, test_data.go, testclientkey.pem
		case last && !p.code && (tests[word] || strings.HasPrefix(word, "e2e")):
			p.named = true // test.env is of a test system
		case tests[word], strings.HasPrefix(word, "e2e"), !last && strings.HasSuffix(word, "test") && !english[word]:
			p.test = true
		case last && collections[word]:
			p.data = true
		case examples[word] && last:
			p.called = true
		case examples[word]:
			p.example = true
		case docs[word] && !last:
			p.docs = true
		}
	}
}

func keyish(word string) bool {
	return len(word) > 6 && (strings.HasSuffix(word, "key") || strings.HasSuffix(word, "keys") || strings.HasSuffix(word, "cert") || strings.HasSuffix(word, "certs"))
}

// words takes a part of a path apart.
func words(part string) []string {
	return strings.FieldsFunc(part, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c < 0x80 })
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	code = set(`go py rb php js jsx ts tsx mjs cjs java kt scala groovy cs vb fs c h cc cpp cxx hpp m mm rs swift lua pl pm dart ex exs erl hs clj jl t sol`)
	// data are words of folders and files that hold what tests read.
	data = set(`fixture fixtures mock mocks mocked fake fakes dummy dummies cassettes goldens`)
	// of follow "test" in them, glued or not.
	of = set(`data fixture fixtures key keys cert certs certificate certificates ca pki util utils helper helpers file files case cases assets
		resources vector vectors samples ingcert ingcerts ingutil ingutils inghelpers`)
	tests = set(`test tests testing tester spec specs integration conformance fuzz fuzzer fuzzing unittest unittests functest testapp testserver testonly bench benchmark
		benchmarks`)
	collections = set(`examples samples`)
	examples    = set(`example examples sample samples demo demos tutorial tutorials playground quickstart`)
	docs        = set(`doc docs documentation`)
	english     = set(`latest contest attest protest greatest fastest newest oldest request`)
	// environments are folders of systems that run, or that hold a folder for each:
	// "test" is one of these there.
	environments = set(`env envs environment environments inventory inventories overlays stages group_vars host_vars clusters tenants prod production`)
)
