package files

import "github.com/interlock-security/interlock/secrets/detect"

// nets are settings of networks.
func nets() []format {
	return []format{
		{
			id: "wpa-supplicant-psk", title: "password of a wireless network", kind: detect.KindPassword, severity: high,
			names: []string{"wpa_supplicant*.conf", "wpa_supplicant.conf*", "*.8021x", "*.psk", "wpa_psk"}, patterns: []string{`(?mi)^[ \t]*(?:psk|password|wep_key[0-3]|private_key2?_passwd|sae_password|pin|passphrase)[ \t]*=[ \t]*(?:hash:)?` + toEnd, `(?mi)^(?:Passphrase|PreSharedKey)=` + toEnd},
		},
		{
			id: "network-manager-secret", title: "secret of a network connection", kind: detect.KindPassword, severity: high,
			names: []string{"*.nmconnection", "*.network-connection"}, patterns: []string{nmSecret},
		},
		{
			id: "network-manager-secret", title: "secret of a network connection", kind: detect.KindPassword, severity: high,
			names: []string{"*"}, in: "system-connections/", patterns: []string{nmSecret},
		},
		{
			id: "openvpn-auth-user-pass", title: "user and password of an OpenVPN connection", kind: detect.KindPassword, severity: high,
			names: []string{"*.ovpn", "*.ovpn2", "openvpn*.conf", "client.conf"}, patterns: []string{`(?s)<auth-user-pass>\s*[^\n<]+\n([^\r\n<]+)\s*</auth-user-pass>`, `(?m)^setenv[ \t]+\w*PASS\w*[ \t]+` + toEnd},
		},
		{
			id: "openvpn-auth-file", title: "user and password of an OpenVPN connection", kind: detect.KindPassword, severity: high,
			names: []string{"auth-user-pass.txt", "auth-user-pass", "auth.txt", "userpass.txt", "up.txt", "vpn.auth", "login.conf"}, patterns: []string{`\A[^\s:=#<{]{2,80}\r?\n([^\s#<{]{4,120})\s*\z`},
		},
		{
			id: "vpn-client-password", title: "VPN client secret", kind: detect.KindPassword, severity: high,
			names: []string{"*.pcf", "vpnc.conf", "*.vpnc", "*.mobileconfig", "openconnect.conf"}, patterns: []string{`(?mi)^(?:GroupPwd|UserPassword|enc_GroupPwd|enc_UserPassword)[ \t]*=[ \t]*` + toEnd, `(?mi)^(?:IPSec secret|Xauth password)[ \t]+` + toEnd, `(?s)<key>(?:Password|SharedSecret|AuthPassword|UserPassword|IncomingPassword)</key>\s*<(?:string|data)>\s*([^<]+?)\s*</`},
		},
	}
}

const nmSecret = `(?mi)^(?:psk|password|wep-key[0-3]|leap-password|private-key-password|phase2-private-key-password|secret|pin|IPSec secret|Xauth password|gateway-password|user-password|preshared-key|private-key|cert-pass|http-proxy-password|proxy-password)[ \t]*=[ \t]*` + toEnd
