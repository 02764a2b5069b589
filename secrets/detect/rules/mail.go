package rules

import "github.com/interlock-security/interlock/secrets/detect"

// mail are the services that send messages.
func mail() []detect.Rule {
	return []detect.Rule{
		token("sendgrid-api-token", "SendGrid API key", critical, `SG\.[\w\-]{20,24}\.[\w\-]{39,50}`, "sg."),
		token("sendinblue-api-token", "Brevo API key", critical, `xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}`, "xkeysib-"),
		token("brevo-smtp-key", "Brevo SMTP key", critical, `xsmtpsib-[a-f0-9]{64}-[A-Za-z0-9]{16}`, "xsmtpsib-"),
		raw("mailgun-private-api-token", "Mailgun private API key", critical, `(?:^|[^\w\-])(key-[a-f0-9]{32})(?:[^\w\-]|\z)`, "key-"),
		raw("mailgun-signing-key", "Mailgun API or signing key", high, `(?i:mailgun|mg_(?:api|key))[^\n]{0,60}?\b([a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8})\b`, "mailgun", "mg_api", "mg_key"),
		token("mailchimp-api-key", "Mailchimp API key", high, `[a-f0-9]{32}-us[0-9]{1,2}`, "-us1", "-us2", "-us3", "-us4", "-us5", "-us6", "-us7", "-us8", "-us9"),
		token("mailersend-api-token", "MailerSend token", high, `mlsn\.[a-f0-9]{64}`, "mlsn."),
		token("resend-api-key", "Resend API key", high, `re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,28}`, "re_"),
		token("twilio-api-key", "Twilio API key", high, `SK[0-9a-f]{32}`, starts("sk")...),
		raw("twilio-auth-token", "Twilio auth token", critical, `(?i:twilio)[\w.\- ]{0,20}?(?i:auth|token|secret)[\w.\-]{0,10}`+between+`([a-f0-9]{32})`+end, "twilio"),
		raw("twilio-auth-beside-sid", "Twilio auth token beside its account", critical, `\bAC[a-f0-9]{32}\b[^\n]{0,60}\n?[^\n]{0,60}?[^a-z0-9]([a-f0-9]{32})`+end, "ac0", "ac1", "ac2", "ac3", "ac4", "ac5", "ac6", "ac7", "ac8", "ac9", "acb", "acd", "acf"),
		token("messagebird-api-token-live", "MessageBird access key", high, `live_[A-Za-z0-9]{25}`, "live_"),
		token("klaviyo-private-key", "Klaviyo private key", high, `pk_[a-f0-9]{34}`, "pk_"),
	}
}

// starts keeps the prefilter from stopping at every "task" and "risk".
func starts(prefix string) []string {
	var all []string
	for _, c := range "0123456789abcdef" {
		all = append(all, prefix+string(c))
	}
	return all
}
