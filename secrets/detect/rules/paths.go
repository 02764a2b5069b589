package rules

import "github.com/interlock-security/interlock/secrets/detect"

// paths are files that are a secret, or hold one that can't be read: their
// presence is the leak. They are of low severity where a password guards them.
func paths() []detect.Rule {
	file := func(id, title string, pattern string) detect.Rule {
		return detect.Rule{
			ID: id, Title: title, Kind: detect.KindPrivateKey, Severity: low,
			Path: `(?i)(?:^|/)` + pattern + `$`, Tags: []string{"file"},
		}
	}
	return []detect.Rule{
		file("pkcs12-file", "PKCS #12 key store", `[^/]+\.(?:p12|pfx)`),
		file("java-keystore-file", "Java key store", `[^/]+\.(?:jks|keystore|jceks|bks)`),
		file("keepass-database-file", "KeePass database", `[^/]+\.kdbx?`),
		file("firefox-key-database", "Firefox key database", `key[34]\.db`),
		file("gnome-keyring-file", "GNOME or macOS keychain", `(?:(?:keyrings/[^/]+|login|default)\.keyring|[^/]+\.keychain(?:-db)?)`),
		file("password-safe-file", "Password Safe or 1Password store", `[^/]+\.(?:psafe3|agilekeychain|opvault|1pif)`),
		file("kwallet-file", "KDE wallet", `[^/]+\.kwl`),
		file("bitcoin-wallet-file", "wallet of a Bitcoin node", `wallet\.dat`),
		file("gpg-secret-keyring", "GnuPG secret keyring", `(?:secring\.gpg|private-keys-v1\.d/[^/]+\.key)`),
		file("windows-registry-hive", "Windows account database", `ntds\.dit`),
		file("kerberos-keytab", "Kerberos keytab", `[^/]+\.keytab`),
	}
}
