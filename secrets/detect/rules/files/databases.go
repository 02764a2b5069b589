package files

import (
	"bytes"
	"regexp"

	"github.com/interlock-security/interlock/secrets/detect"
)

// databases are dumps: what stands in a column of passwords.
func databases() []format {
	names := []string{"*.sql", "*.dump", "*.mysql", "*.pgsql", "*.psql", "*.ddl", "*.sql.txt", "*.sqlite.txt", ".mysql_history", ".psql_history", "*.dmp"}
	return []format{
		{
			id: "sql-password-column", title: "password or its hash in a database dump", kind: detect.KindHash, severity: high,
			names: names, read: sqlRows, keep: notColumn,
		},
		{
			id: "sql-identified-by", title: "password of a database user", kind: detect.KindPassword, severity: critical,
			names: names, read: sqlUsers, keep: notField,
		},
		{
			id: "sql-copy-hash", title: "password hash in a database dump", kind: detect.KindHash, severity: high,
			names: names, read: sqlHashes,
		},
	}
}

// notColumn refuses empty and boolean values of a password column.
func notColumn(secret []byte) bool {
	return len(secret) >= 4 && string(secret) != "NULL" && notField(secret)
}

// sqlUser are statements that set a database user's password.
var sqlUser = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bidentified[ \t]+(?:with[ \t]+["'\x60]?\w+["'\x60]?[ \t]+)?(?:by|as)[ \t]+(?:password[ \t]+|values[ \t]+)?('(?:[^'\\\n]|\\.|'')+'|"(?:[^"\\\n]|\\.)+")`),
	regexp.MustCompile(`(?i)^(?:create|alter)[ \t]+(?:user|role|login)[ \t]+[^;\n]{1,200}?\bpassword[ \t]*=?[ \t]*(N?'(?:[^'\\\n]|'')+')`),
	regexp.MustCompile(`(?i)^set[ \t]+password\b[^;\n]{0,120}?=[ \t]*(?:password[ \t]*\([ \t]*)?('(?:[^'\\\n]|\\.|'')+')`),
}

func sqlUsers(body []byte, emit func(start, end int)) {
	statements(body, func(at int) {
		line := body[at:min(len(body), at+2048)]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		for _, re := range sqlUser {
			for _, m := range re.FindAllSubmatchIndex(line, -1) {
				emit(at+m[2], at+m[3])
			}
		}
	})
}

// hash is a form of stored passwords: a literal that is searched for, how far
// before it the hash begins, and what it looks like from there.
type hash struct {
	literal string
	before  int
	form    *regexp.Regexp
}

var hashes = func() []hash {
	var all []hash
	for _, id := range []string{"2a", "2b", "2x", "2y", "argon2id", "argon2i", "argon2d", "5", "6", "y", "P", "H", "pbkdf2-sha256", "pbkdf2-sha512"} {
		all = append(all, hash{"$" + id + "$", 0, regexp.MustCompile(`^\$[\w\-]+\$[\w./+$,=\-]{20,200}`)})
	}
	return append(all,
		hash{"pbkdf2_sha256$", 0, regexp.MustCompile(`^pbkdf2_sha256\$[0-9]+\$[\w./+=]+\$[\w./+=]{40,50}`)},
		hash{"scrypt:", 0, regexp.MustCompile(`^scrypt:[0-9]+:[0-9]+:[0-9]+\$[\w./+=]+\$[a-f0-9]{100,140}`)},
		hash{"'md5", -1, regexp.MustCompile(`^md5[a-f0-9]{32}`)},
		hash{"SCRAM-SHA-256$", 0, regexp.MustCompile(`^SCRAM-SHA-256\$[^'\s]+`)},
	)
}()

// sqlHashes looks for hashes wherever a field begins.
func sqlHashes(body []byte, emit func(start, end int)) {
	for _, h := range hashes {
		literal := []byte(h.literal)
		for at := 0; ; {
			i := bytes.Index(body[at:], literal)
			if i < 0 {
				break
			}
			start := at + i - h.before
			at += i + len(literal)
			if start > 0 && bytes.IndexByte([]byte("\n\t '\"|,("), body[start-1]) < 0 {
				continue
			}
			if m := h.form.FindIndex(body[start:min(len(body), start+400)]); m != nil {
				emit(start, start+m[1])
			}
		}
	}
}
