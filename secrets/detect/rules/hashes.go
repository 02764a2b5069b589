package rules

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// hashes are passwords of accounts as systems store them, in any file: the
// account's name before them tells them from what a test has.
func hashes() []detect.Rule {
	return ofKind(detect.KindHash,
		raw("account-password-hash", "password hash of an account", medium,
			`(?m)^[A-Za-z_][\w.\-]{0,31}\$?:(\$(?:1|2[abxy]|5|6|7|y|gy|apr1|sha1|argon2id|argon2i|P|H)\$[^:\s]{16,200})(?::|\s|\z)`,
			":$1$", ":$2a$", ":$2b$", ":$2x$", ":$2y$", ":$5$", ":$6$", ":$7$", ":$y$", ":$gy$", ":$apr1$", ":$sha1$", ":$argon2i", ":$p$", ":$h$"),
		raw("directory-password-hash", "password hash of a directory", medium,
			`[:="' \t](\{(?i:SSHA(?:256|384|512)?|SHA(?:256|384|512)?|SMD5|PBKDF2(?:-SHA(?:1|256|512))?)\}[A-Za-z0-9+/$.]{20,200}={0,2})`, "{ssha", "{sha", "{smd5}", "{pbkdf2"),
		raw("rabbitmq-password-hash", "password hash of a RabbitMQ user", medium, `"password_hash"[ \t]*:[ \t]*"([A-Za-z0-9+/]{48})"`, `"password_hash"`),
		checked(raw("ntlm-hash", "NTLM hash of a Windows account", high,
			`[\w.\\$\-]{1,80}:[0-9]{1,6}:[A-Fa-f0-9]{32}:([A-Fa-f0-9]{32}):::`, ":::"), ntlm),
	)
}

// ntlm refuses the hash of no password.
func ntlm(hash []byte) detect.Verdict {
	if bytes.EqualFold(hash, []byte("31d6cfe0d16ae931"+"b73c59d7e0c089c0")) {
		return detect.Invalid
	}
	return genuine(hash)
}
