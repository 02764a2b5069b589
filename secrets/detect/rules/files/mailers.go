package files

import "github.com/interlock-security/interlock/secrets/detect"

// mailers are settings of programs that send and fetch mail.
func mailers() []format {
	return []format{
		{
			id: "mailer-password", title: "password of a mail program", kind: detect.KindPassword, severity: high,
			names: []string{".esmtprc", "esmtprc", ".msmtprc", "msmtprc", ".mailrc", ".muttrc", "muttrc", "*.muttrc", ".fetchmailrc", "fetchmailrc", ".offlineimaprc", "offlineimaprc", ".mbsyncrc", "mbsyncrc", ".getmailrc", "getmailrc", "ssmtp.conf", ".poprc", "aerc.conf", "accounts.conf", ".procmailrc"},
			patterns: []string{
				`(?mi)^[ \t]*(?:password|passwd|pass)[ \t]*[= \t][ \t]*` + toEnd,
				`(?mi)^[ \t]*set[ \t]+(?:my_|imap_|smtp_|pop_|nntp_)\w*pass(?:word)?[ \t]*=[ \t]*` + toEnd,
				`(?mi)^[^#\n]*\b(?:user(?:name)?|login)\b[^#\n]*\bpass(?:word|wd)?[ \t]+("[^"\r\n]+"|'[^'\r\n]+'|[^\s"']+)`,
				`(?mi)^[ \t]*(?:remotepass|localpass|authpass|smtp-auth-password)[ \t]*=[ \t]*` + toEnd,
			},
		},
		{
			id: "sasl-passwd", title: "password of a mail relay", kind: detect.KindPassword, severity: high,
			names:    []string{"sasl_passwd", "sasl_password", "relay_passwd", "passwd.client"},
			patterns: []string{`(?m)^[^#\s:]\S*[ \t]+[^\s:]+:` + toEnd, `(?m)^[^#\s:]+:[^\s:]+:([^\s:]+)$`},
		},
	}
}
