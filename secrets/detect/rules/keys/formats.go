package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strconv"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
)

// window bounds how far a key reaches from its first word.
const window = 32 << 10

var (
	puttyLines   = regexp.MustCompile(`Private-Lines:[ \t]*([0-9]{1,4})[ \t]*\r?\n`)
	puttyNoGuard = regexp.MustCompile(`Encryption:[ \t]*none[ \t]*\r?\n`)
)

// until cuts a text where the format begins anew, so that a text of beginnings
// costs no more than its length.
func until(text []byte, begin string) []byte {
	if i := bytes.Index(text[1:], []byte(begin)); i >= 0 {
		return text[:i+1]
	}
	return text
}

// putty reads .ppk of versions 2 and 3: the private half stands in so many lines.
func putty(body []byte, at int, emit func(detect.Hit)) {
	text := until(body[at:min(len(body), at+window)], "PuTTY-User-Key-File-")
	m := puttyLines.FindSubmatchIndex(text)
	if m == nil {
		return
	}
	lines, err := strconv.Atoi(string(text[m[2]:m[3]]))
	if err != nil || lines < 1 || lines > 200 {
		return
	}
	end := m[1]
	for range lines {
		i := bytes.IndexByte(text[end:], '\n')
		if i < 0 {
			end = len(text)
			break
		}
		end += i + 1
	}
	secret := bytes.TrimRight(text[m[1]:end], "\r\n ")
	if !decodable(secret) || len(secret) < 40 {
		return
	}
	hit := detect.Hit{Rule: "encrypted-putty-private-key", Start: at + m[1], End: at + m[1] + len(secret), MatchStart: at, MatchEnd: at + end}
	if puttyNoGuard.Match(text[:m[0]]) {
		hit.Rule = "putty-private-key"
	}
	emit(hit)
}

func decodable(lines []byte) bool {
	_, err := base64.StdEncoding.DecodeString(string(lines))
	return err == nil
}

// sshCom reads the format of ssh.com: a number, the length, two strings; the
// second names the cipher.
func sshCom(body []byte, at int, emit func(detect.Hit)) {
	const last = "---- END SSH2 ENCRYPTED PRIVATE KEY ----"
	text := until(body[at:min(len(body), at+window)], "---- BEGIN SSH2 ")
	end := bytes.Index(text, []byte(last))
	if end < 0 || !bytes.HasPrefix(text, []byte("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----")) {
		return
	}
	raw := sshComBody(text[:end])
	if len(raw) < 20 || binary.BigEndian.Uint32(raw) != 0x3f6ff9eb {
		return
	}
	hit := detect.Hit{Rule: "encrypted-ssh-com-private-key", Start: at, End: at + end + len(last)}
	if bytes.Contains(raw[:min(len(raw), 120)], []byte("\x00\x00\x00\x04none")) {
		hit.Rule = "ssh-com-private-key"
	}
	emit(hit)
}

func sshComBody(text []byte) []byte {
	var base []byte
	continued := false
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		header := bytes.Contains(line, []byte(": ")) || continued
		continued = header && bytes.HasSuffix(line, []byte(`\`))
		if i > 0 && !header {
			base = append(base, line...)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(string(base))
	if err != nil {
		return nil
	}
	return raw
}

var (
	keyType   = regexp.MustCompile(`\\?"kty\\?"\s*:\s*\\?"(RSA|EC|OKP|oct)\\?"`)
	privateD  = regexp.MustCompile(`[{,\s]\\?"d\\?"\s*:\s*\\?"([\w\-]{22,1000}={0,2})\\?"`)
	symmetric = regexp.MustCompile(`[{,\s]\\?"k\\?"\s*:\s*\\?"([\w\-]{16,1000}={0,2})\\?"`)
)

// rfcKeys begin the private halves that RFC 7515, 7517, 7518, 7520 and 8037 print.
var rfcKeys = [][]byte{
	[]byte("X4cTteJY_gn4"), []byte("870MB6gfuTJ4"), []byte("AyM1SysPpbyD"), []byte("GawgguFyGrWK"), []byte("nWGxne_9WmC6"),
	[]byte("Eq5xpGnNCivD"), []byte("jpsQnnGQmL-Y"), []byte("VEmDZpDXXK8p"), []byte("0_NxaRPUMQoA"), []byte("AAhRON2r9cqX"),
	[]byte("bWUC9B-EFRIo"), []byte("hJtXIZ2uSN5k"), []byte("kLdtIj6GbDks"), []byte("AAjpUTZ2aHKI"), []byte("XOOAGGT_G0fj"),
}

// webKey reads the object around "kty" and takes its private member.
func webKey(body []byte, at int, emit func(detect.Hit)) {
	from, to := object(body, at)
	text := body[from:to]
	kind := keyType.FindSubmatch(body[max(0, at-1):to])
	if kind == nil {
		return
	}
	member := privateD
	if string(kind[1]) == "oct" {
		member = symmetric
	}
	m := member.FindSubmatchIndex(text)
	if m == nil {
		return
	}
	secret := text[m[2]:m[3]]
	for _, known := range rfcKeys {
		if bytes.HasPrefix(secret, known) {
			return
		}
	}
	if look.Filler(secret) {
		return
	}
	emit(detect.Hit{Rule: "jwk-private-key", Start: from + m[2], End: from + m[3], MatchStart: from, MatchEnd: to})
}

// object is the span of the innermost braces around at, within a few KiB.
func object(body []byte, at int) (from, to int) {
	const reach = 8 << 10
	depth := 0
	for from = at; from > 0 && from > at-reach; from-- {
		if c := body[from]; c == '"' && from < at-4 && bytes.HasPrefix(body[from:], []byte(`"kty`)) {
			break // that one's object
		} else if c == '}' {
			depth++
		} else if c == '{' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	depth = 0
	for to = at; to < len(body) && to < at+reach; to++ {
		if c := body[to]; c == '"' && to > at && bytes.HasPrefix(body[to:], []byte(`"kty`)) {
			break
		} else if c == '{' {
			depth++
		} else if c == '}' {
			if depth == 0 {
				return from, to + 1
			}
			depth--
		}
	}
	return from, to
}

// signer reads the line under minisign's and signify's comment. The algorithm,
// how the password is stretched and the length tell a secret key from a public
// one and from a signature.
func signer(body []byte, at int, emit func(detect.Hit)) {
	text := body[at:min(len(body), at+2048)]
	nl := bytes.IndexByte(text, '\n')
	if nl < 0 {
		return
	}
	line, _, _ := bytes.Cut(text[nl+1:], []byte("\n"))
	line = bytes.TrimRight(line, "\r ")
	raw, err := base64.StdEncoding.DecodeString(string(line))
	if err != nil || len(raw) != 158 && len(raw) != 104 || !bytes.HasPrefix(raw, []byte("Ed")) {
		return
	}
	hit := detect.Hit{Rule: "encrypted-minisign-secret-key", Start: at + nl + 1, End: at + nl + 1 + len(line), MatchStart: at, MatchEnd: at + nl + 1 + len(line)}
	open := len(raw) == 158 && raw[2] == 0 && raw[3] == 0 || len(raw) == 104 && bytes.Equal(raw[4:8], make([]byte, 4))
	if open {
		hit.Rule = "minisign-secret-key"
	}
	emit(hit)
}
