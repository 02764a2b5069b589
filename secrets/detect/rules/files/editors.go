package files

import (
	"bytes"
	"encoding/base64"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
)

// editors are programs with a window that keep accounts: editors, file transfer,
// database browsers, remote desktops.
func editors() []format {
	return []format{
		{
			id: "sftp-config-password", title: "password in an editor's upload settings", kind: detect.KindPassword, severity: high,
			names:    []string{".ftpconfig", "sftp-config.json", "sftp-config-alt*.json", ".remote-sync.json", "sftp.json", ".sftp.json", "deployment-config.json", ".ftpsync", "ftp-kr.json", ".ftppass", "ftp-simple.json", ".sync-settings.json", ".remote-sync*.json", "ftpsync.settings", "ftp-sync.json", ".deploy.json", "deploy.json"},
			patterns: []string{`(?mi)^[ \t{,]*["']?(?:pass(?:word|wd|phrase)?|secret)["']?[ \t]*:[ \t]*("(?:[^"\\\n]|\\.)+"|'(?:[^'\\\n]|\\.)+')`},
		},
		{
			id: "filezilla-password", title: "password stored by FileZilla", kind: detect.KindPassword, severity: high,
			names:    []string{"filezilla.xml", "recentservers.xml", "sitemanager.xml", "filezilla server.xml", "*filezilla*.xml"},
			patterns: []string{`<Pass(?:[ \t]+encoding="(?:base64|plain)")?>([^<\r\n]+)</Pass>`, `(?i)<Option Name="(?:Pass|Admin Password)">([^<\r\n]+)</Option>`},
			keep:     decodedPassword,
		},
		{
			id: "jetbrains-webservers-password", title: "password stored by a JetBrains IDE", kind: detect.KindPassword, severity: high,
			names:    []string{"webservers.xml", "deployment.xml", "datasources.xml", "datasources.local.xml", "sshconfigs.xml", "webservers.local.xml"},
			patterns: []string{`(?i)\b(?:password|passphrase)="([^"\r\n]+)"`, `(?i)<property name="[\w.]*password" value="([^"\r\n]+)"`},
		},
		{
			id: "dbeaver-password", title: "password stored by DBeaver", kind: detect.KindPassword, severity: high,
			names: []string{".dbeaver-data-sources*.xml", "dbeaver-data-sources*.xml", "data-sources.xml", "data-sources.json"}, patterns: []string{`(?i)\bpassword="([^"\r\n]+)"`, `(?i)"password"[ \t]*:[ \t]*"([^"\r\n]+)"`},
		},
		{
			id: "robomongo-password", title: "password stored by Robomongo", kind: detect.KindPassword, severity: high,
			names: []string{"robomongo.json", "robo3t.json", "studio3t*.json", "mongo*compass*.json"}, patterns: []string{`(?i)"(?:userPassword|sshPassphrase|sshUserPassword|sslPemPassPhrase|sshPrivateKeyPassphrase|pemPassPhrase)"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"`},
		},
		{
			id: "firefox-login", title: "login stored by Firefox, encrypted", kind: detect.KindPassword, severity: low,
			names: []string{"logins.json", "logins-backup.json", "signons.json"}, needs: `"encryptedPassword"`, patterns: []string{`"encrypted(?:Username|Password)"[ \t]*:[ \t]*"([A-Za-z0-9+/]{20,}={0,2})"`},
		},
		{
			id: "winscp-password", title: "password stored by a Windows client", kind: detect.KindPassword, severity: high,
			names: []string{"winscp.ini", "winscp.rnd", "ultravnc.ini", "vnc.ini", "tightvnc.ini", "*.vnc", "wcx_ftp.ini", "ws_ftp.ini", "smartftp*.xml", "mobaxterm.ini", "flashfxp*.dat", "quick.dat"}, patterns: []string{`(?mi)^(?:password|passwd2?|pwd|pass|proxypassword)[ \t]*=[ \t]*` + toEnd},
		},
		{
			id: "mremoteng-password", title: "password stored by mRemoteNG", kind: detect.KindPassword, severity: medium,
			names: []string{"confcons.xml", "*confcons*.xml"}, patterns: []string{`\bPassword="([A-Za-z0-9+/=]{16,})"`},
		},
		{
			id: "remote-desktop-password", title: "password stored in a remote desktop's settings", kind: detect.KindPassword, severity: medium,
			names: []string{"*.rdp", "*.remmina", "*.rdg"}, patterns: []string{`(?mi)^password 51:b:([0-9A-F]{32,})`, `(?mi)^(?:password|ssh_tunnel_password|gateway_password)=` + toEnd, `(?i)<password>([^<\r\n]+)</password>`},
		},
		{
			id: "group-policy-password", title: "password in a Windows group policy", kind: detect.KindPassword, severity: critical,
			names: []string{"groups.xml", "services.xml", "scheduledtasks.xml", "printers.xml", "drives.xml", "datasources.xml"}, patterns: []string{`\bcpassword="([A-Za-z0-9+/]{8,}={0,2})"`},
		},
		{
			id: "unattend-password", title: "password of an unattended installation", kind: detect.KindPassword, severity: critical,
			names: []string{"unattend.xml", "autounattend.xml", "sysprep.xml", "unattended.xml", "sysprep.inf", "*.ks", "ks.cfg", "kickstart*.cfg", "preseed.cfg", "*.preseed", "autoyast.xml"},
			patterns: []string{
				`(?is)<(?:[A-Za-z]*Password)>\s*<Value>([^<\r\n]+)</Value>`, `(?mi)^AdminPassword[ \t]*=[ \t]*` + toEnd, `(?mi)^rootpw[ \t]+(?:--(?:iscrypted|plaintext|allow-ssh)[ \t]+)*` + toEnd,
				`(?mi)^user[ \t][^\n]*--password=(\S+)`, `(?mi)^d-i[ \t]+\S*password(?:-again|-crypted)?[ \t]+password[ \t]+` + toEnd, `(?i)<user_password>([^<\r\n]+)</user_password>`,
			},
		},
		{
			id: "insomnia-secret", title: "secret stored by a client for APIs", kind: detect.KindToken, severity: medium,
			names: []string{"insomnia*.json", "insomnia*.yaml", "http-client.private.env.json", "http-client.env.json", "rest-client.env.json", "*.bru"}, patterns: []string{jsonMember}, keep: notSetting,
		},
	}
}

// decodedPassword asks of base64 that it isn't a stand-in under it.
func decodedPassword(secret []byte) bool {
	b, err := base64.StdEncoding.DecodeString(string(secret))
	return err != nil || !look.Standin(bytes.TrimSpace(b))
}
