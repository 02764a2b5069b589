// Package look tells values that were written to show a format from values that
// are used. It is shared by the rules, which know nothing else of each other.
package look

import (
	"bytes"
	"strings"
)

// fillers are words that no random token holds: at least four characters, so
// that a token of forty has them by chance once in ten thousand.
var fillers = [][]byte{
	[]byte("example"), []byte("sample"), []byte("dummy"), []byte("placeholder"),
	[]byte("changeme"), []byte("change_me"), []byte("change-me"), []byte("redacted"),
	[]byte("xxxx"), []byte("yyyy"), []byte("your"), []byte("insert"), []byte("replace"),
	[]byte("fake"), []byte("invalid"), []byte("deadbeef"), []byte("foobar"),
	[]byte("secret"), []byte("token"), []byte("password"), []byte("0000000"),
	[]byte("notreal"), []byte("testing"), []byte("mock"),
}

// Filler reports whether a value that should be random is a pattern: one
// character over and over, a short period, a run of the alphabet or of digits,
// or holds a word that says what it is.
func Filler(value []byte) bool {
	body := value
	if i := bytes.LastIndexByte(value, '_'); i > 0 && i < len(value)/3 {
		body = value[i+1:]
	}
	small := bytes.ToLower(body)
	for _, word := range fillers {
		if bytes.Contains(small, word) {
			return true
		}
	}
	return few(body) || periodic(body) || sequential(small)
}

// Sequence reports a value that is one character, a short period, or counts.
func Sequence(value []byte) bool {
	return few(value) || periodic(value) || sequential(bytes.ToLower(value))
}

// few reports less different characters than chance would give.
func few(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n <= 5 || len(b) >= 32 && n <= 6
}

// periodic reports a pattern of up to sixteen characters that fills the value.
func periodic(b []byte) bool {
	for p := 1; p <= 16 && p*2 <= len(b); p++ {
		same := 0
		for i := p; i < len(b); i++ {
			if b[i] == b[i-p] {
				same++
			}
		}
		if len(b) >= 12 && same >= (len(b)-p)*9/10 && same >= 8 {
			return true
		}
	}
	return false
}

// sequential reports that half of the value counts up, or down, by one, or that
// ten characters do so at a stretch.
func sequential(b []byte) bool {
	if len(b) < 10 {
		return false
	}
	return steps(b, 1) || steps(b, -1)
}

func steps(b []byte, by int) bool {
	run, total := 0, 0
	for i := 1; i < len(b); i++ {
		d := int(b[i]) - int(b[i-1])
		if d == by || b[i] == '0' && b[i-1] == '9' && by == 1 || b[i] == '9' && b[i-1] == '0' && by == -1 {
			run++
			total++
			if run >= 9 {
				return true
			}
			continue
		}
		run = 0
	}
	return total*2 >= len(b)
}

// templates are the marks between which something else fills in a value.
var templates = [][2]string{
	{"${", "}"}, {"{{", "}}"}, {"<%", "%>"}, {"$(", ")"}, {"#{", "}"}, {"%(", ")s"}, {"[[", "]]"}, {"@@", "@@"}, {"__", "__"},
}

// Template reports whether a value stands for another: a variable, a template's
// hole, a reference to a store. It holds for passwords too, however weak.
func Template(value []byte) bool {
	s := strings.TrimSpace(string(value))
	if s == "" {
		return true
	}
	for _, mark := range templates {
		_, rest, found := strings.Cut(s, mark[0])
		if found && strings.Contains(rest, mark[1]) && (len(s) < 48 || strings.HasPrefix(s, mark[0]) || holds(rest, mark[1])) {
			return true
		}
	}
	for _, mark := range []string{"ENC[", "ENC(", "{cipher}", "vault:v1:", "AQICAH", "CRYPT(", "DEC(", "{AES}", "{aes}", "$ANSIBLE_VAULT", "kms:"} { // encrypted
		if strings.HasPrefix(s, mark) {
			return true
		}
	}
	for _, mark := range []string{"{{", "${", "<%", "#{", "}}", "%>", "$("} { // cut off at a space
		if strings.HasPrefix(s, mark) || strings.HasSuffix(s, mark) {
			return true
		}
	}
	small := strings.ToLower(s)
	return variable(s) || bracketed(s) || masked(s) || reference(small) || strings.HasPrefix(small, "!") && strings.HasPrefix(strings.TrimLeft(small, "!"), "vault") ||
		strings.HasPrefix(small, "!ref") || strings.HasPrefix(small, "!sub") || strings.HasPrefix(small, "$ansible_vault")
}

// holds reports that what stands between the marks is a name, not chance.
func holds(rest, end string) bool {
	name, _, _ := strings.Cut(rest, end)
	name = strings.TrimSpace(name)
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- :\"'$") == ""
}

// variable reports $NAME and %NAME%, alone.
func variable(s string) bool {
	if len(s) > 2 && s[0] == '%' && s[len(s)-1] == '%' {
		return identifier(s[1 : len(s)-1])
	}
	return len(s) > 2 && s[0] == '$' && identifier(s[1:]) && strings.ToUpper(s) == s
}

func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// bracketed reports <your token> and [password].
func bracketed(s string) bool {
	first, last := s[0], s[len(s)-1]
	return len(s) > 2 && (first == '<' && last == '>' || first == '[' && last == ']' || first == '{' && last == '}')
}

// masked reports a value of stars, dots, x or dashes.
func masked(s string) bool {
	for i := range len(s) {
		if !strings.ContainsRune("*.xX-_#?•", rune(s[i])) && s[i] < 0x80 {
			return false
		}
	}
	return true
}

var references = []string{
	"env.", "process.env", "os.environ", "os.getenv", "getenv(", "secrets.", "vault:", "ssm:", "arn:aws:secretsmanager",
	"env:", "file:", "op://", "keyring:", "ref+", "data.", "var.", "local.", "module.",
	"projects/",
}

func reference(small string) bool {
	for _, prefix := range references {
		if strings.HasPrefix(small, prefix) {
			return true
		}
	}
	return false
}

// stand are words that people write where a secret goes. They are refused whole,
// never as a part: "changeme2024!" is in use somewhere.
var stand = map[string]bool{
	"changeme": true, "change_me": true, "change-me": true, "changeit": true, "yourpassword": true,
	"your_password": true, "your-password": true, "password_here": true, "your_password_here": true, "placeholder": true,
	"redacted": true, "todo": true, "fixme": true, "none": true, "null": true, "nil": true,
	"undefined": true, "true": true, "false": true, "yes": true, "no": true, "example": true,
	"n/a": true, "removed": true, "hidden": true, "censored": true, "tbd": true,
	"insert_password_here": true, "your_token": true, "your-token": true, "yourtoken": true,
	"your_api_key": true, "your-api-key": true, "your_secret": true, "xxx": true, "replaceme": true,
	"replace_me": true, "replace-me": true, "dummy": true, "put your unique phrase here": true,
	"empty": true, "unset": true, "required": true, "optional": true, "string": true, "prompt": true,
	"enter_password": true, "ask": true,
}

// Standin reports a word or a template that is written where a secret goes.
func Standin(value []byte) bool {
	if Template(value) {
		return true
	}
	s := strings.ToLower(strings.TrimSpace(string(value)))
	if stand[s] {
		return true
	}
	for _, start := range []string{"your_", "your-", "your ", "my_secret_", "<", "insert_", "replace_", "enter_", "put_your"} {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return strings.HasSuffix(s, "_here") || strings.HasSuffix(s, "-here") || strings.HasSuffix(s, " here") || strings.HasSuffix(s, "-goes-here")
}
