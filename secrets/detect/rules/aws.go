package rules

import (
	"bytes"
	"encoding/base64"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// between stands between a name and its value in what people write: JSON, YAML,
// shell, ini, code.
const between = `["'\]]{0,3}[ \t]{0,8}(?:=>|:=|==|=|:|,|\()[ \t]{0,8}["'\x60]{0,3}`

func aws() []detect.Rule {
	rules := ofKind(detect.KindCloudKey,
		checked(token("aws-access-token", "AWS access key id", high, `(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}`, "a3t", "akia", "asia", "abia", "acca"), accessKeyID),
		checked(raw("aws-secret-access-key", "AWS secret access key", critical,
			`(?i:secret_access_key|secretaccesskey|secret-access-key|secret access key|secret_key|secretkey|secret-key)`+between+`([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)`,
			"secret_access_key", "secretaccesskey", "secret-access-key", "secret access key", "secret_key", "secretkey", "secret-key"), mixed),
		checked(raw("aws-secret-beside-id", "AWS secret access key beside its id", critical,
			`\b(?:AKIA|ASIA)[A-Z2-7]{16}\b(?:[^\n]{0,80}\n?){1,3}?[^A-Za-z0-9/+=\n]([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)`, "akia", "asia"), mixed),
		raw("aws-session-token", "AWS session token", high,
			`(?i:session[_\-]?token|security[_\-]?token)`+between+`((?:FwoG|IQoJ|FQoG|AQoD)[A-Za-z0-9/+=]{100,1000})(?:[^A-Za-z0-9/+=]|\z)`, "fwog", "iqoj", "fqog", "aqod"),
		raw("aws-amazon-bedrock-api-key-long-lived", "Amazon Bedrock API key, long-lived", high, `\b(ABSK[A-Za-z0-9+/]{109,269}={0,2})(?:[^A-Za-z0-9+/=]|\z)`, "absk"),
		raw("aws-amazon-bedrock-api-key-short-lived", "Amazon Bedrock API key, short-lived", medium, `\b(bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/=]{40,1000})`, "bedrock-api-key-"),
		token("aws-mws-token", "Amazon MWS auth token", high, `amzn\.mws\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "amzn.mws."),
		token("amazon-oauth-client-secret", "Login with Amazon client secret", high, `amzn1\.oa2-cs\.v1\.[0-9a-f]{64}`, "amzn1.oa2-cs."),
		raw("aws-ses-smtp-password", "Amazon SES SMTP password", high, `(?i:smtp|ses)[\w\-]{0,20}`+between+`(B[A-Za-z0-9/+]{43})(?:[^A-Za-z0-9/+=]|\z)`, "smtp", "ses_", "ses-"),
	)
	rules[len(rules)-1].Check = sesPassword
	return rules
}

// accessKeyID refuses the documented examples; an id that names an account is
// proven.
func accessKeyID(id []byte) detect.Verdict {
	if genuine(id) == detect.Invalid || bytes.HasSuffix(id, []byte("AAAAA")) {
		return detect.Invalid
	}
	if _, ok := verify.AWSAccount(id); ok {
		return detect.Valid
	}
	return detect.Unknown
}

// sesPassword asks for version 4 in the first byte of an SMTP password.
func sesPassword(secret []byte) detect.Verdict {
	b, err := base64.StdEncoding.DecodeString(string(secret))
	if err != nil || len(b) != 33 || b[0] != 4 {
		return detect.Invalid
	}
	return mixed(secret)
}
