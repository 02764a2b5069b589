package rules

import (
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// vaults hold the secrets of others.
func vaults() []detect.Rule {
	return []detect.Rule{
		token("vault-service-token", "HashiCorp Vault service token", critical, `hvs\.[\w\-]{24,160}`, "hvs."),
		token("vault-batch-token", "HashiCorp Vault batch token", critical, `hvb\.[\w\-]{138,300}`, "hvb."),
		token("vault-recovery-token", "HashiCorp Vault recovery token", critical, `hvr\.[\w\-]{24,160}`, "hvr."),
		checked(raw("vault-service-token-legacy", "HashiCorp Vault service token, legacy", high, `(?i:vault)[\w.\- ]{0,20}`+between+`(s\.[A-Za-z0-9]{24})(?:[^\w.\-]|\z)`, "vault"), mixed),
		raw("vault-unseal-key", "HashiCorp Vault unseal key", critical, `(?i:(?:unseal|recovery) key(?: [0-9]{1,2})?)[ \t]{0,3}:[ \t]{0,3}([A-Za-z0-9+/]{43,44}={0,1}|[a-f0-9]{64,66})(?:[^A-Za-z0-9+/=]|\z)`, "unseal key", "recovery key"),
		raw("consul-token", "Consul ACL token", high, `(?i:consul[\w.\-]{0,20}token|X-Consul-Token|SecretID)`+between+`[ \t]{0,12}(`+guid+`)\b`, "consul", "secretid"),
		raw("nomad-token", "Nomad ACL token", high, `(?i:nomad[\w.\-]{0,20}token|X-Nomad-Token)`+between+`(`+guid+`)\b`, "nomad"),
		raw("1password-service-account-token", "1Password service account token", critical, `\b(ops_eyJ[A-Za-z0-9+/]{100,1000}={0,3})`, "ops_eyj"),
		checked(token("age-secret-key", "age secret key", critical, `AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}`, "age-secret-key-1"), checksummed(verify.Bech32)),
		token("age-plugin-identity", "identity of an age plugin", low, `AGE-PLUGIN-[A-Z0-9\-]{1,40}1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{20,400}`, "age-plugin-"),
		token("1password-secret-key", "1Password secret key", critical, `A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}`, "a3-"),
		raw("bitwarden-access-token", "Bitwarden machine account token", critical, `(?i:bws|bitwarden)[^\n]{0,40}?\b(0\.`+guid+`\.[A-Za-z0-9]{30}:[A-Za-z0-9+/]{22}==)`, "bws", "bitwarden"),
		token("phase-service-token", "Phase service token", critical, `pss_service:v[0-9]:[a-f0-9:]{100,300}`, "pss_service:"),
	}
}
