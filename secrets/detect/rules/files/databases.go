package files

import "github.com/interlock-security/interlock/secrets/detect"

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
			names: names, patterns: []string{
				`(?i)\bidentified[ \t]+(?:with[ \t]+["'\x60]?\w+["'\x60]?[ \t]+)?(?:by|as)[ \t]+(?:password[ \t]+|values[ \t]+)?('(?:[^'\\\n]|\\.|'')+'|"(?:[^"\\\n]|\\.)+")`,
				`(?i)\b(?:create|alter)[ \t]+(?:user|role|login)[ \t]+[^;\n]{1,200}?\bpassword[ \t]*=?[ \t]*(N?'(?:[^'\\\n]|'')+')`,
				`(?i)\bset[ \t]+password\b[^;\n]{0,120}?=[ \t]*(?:password[ \t]*\([ \t]*)?('(?:[^'\\\n]|\\.|'')+')`,
			},
			keep: notField,
		},
		{
			id: "sql-copy-hash", title: "password hash in a database dump", kind: detect.KindHash, severity: high,
			names: names, patterns: []string{`(?m)(?:^|[\t'"|,])(\$(?:2[abxy]|argon2id?|argon2i|5|6|y|P|H|pbkdf2-sha(?:256|512))\$[\w./+$,=\-]{20,200})`, `(?m)(?:^|[\t'"|,])(pbkdf2_sha256\$[0-9]+\$[\w./+=]+\$[\w./+=]{40,50})`, `(?m)(?:^|[\t'"|,])(scrypt:[0-9]+:[0-9]+:[0-9]+\$[\w./+=]+\$[a-f0-9]{100,140})`, `(?m)'(md5[a-f0-9]{32}|SCRAM-SHA-256\$[^'\n]+)'`},
		},
	}
}

// notColumn refuses empty and boolean values of a password column.
func notColumn(secret []byte) bool {
	return len(secret) >= 4 && string(secret) != "NULL" && notField(secret)
}
