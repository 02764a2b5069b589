package rules

import "github.com/interlock-security/interlock/secrets/detect"

func social() []detect.Rule {
	return []detect.Rule{
		raw("facebook-access-token", "Facebook app access token", high, `(?i:facebook|fb_|graph\.)[^\n]{0,60}?\b([0-9]{15,16}(?:\||%7C)[\w\-]{27})`+end, "facebook", "fb_", "graph."),
		raw("facebook-page-access-token", "Facebook page access token", high, `(?:^|[^\w+/])(EAA[A-Z][A-Za-z0-9]{100,400})(?:[^\w\-+/]|\z)`, "eaa"),
		token("instagram-access-token", "Instagram access token", high, `IG(?:AA|QV)[\w\-]{100,400}`, "igaa", "igqv"),
		raw("twitter-bearer-token", "X (Twitter) bearer token", high, `\b(A{22}[A-Za-z0-9%]{60,120})`, "aaaaaaaaaaaaaaaaaaaaaa"),
		raw("twitter-access-token", "X (Twitter) access token", high, `(?i:twitter[\w.\- ]{0,30}?(?:token|key)|access_?token)[\w.\-]{0,10}`+between+`([0-9]{8,20}-[A-Za-z0-9]{30,45})`+end, "twitter", "access_token", "accesstoken"),
		token("linkedin-access-token", "LinkedIn access token", high, `AQ[UVWXE][\w\-]{150,400}`, "aqu", "aqv", "aqw", "aqx", "aqe"),
		raw("linkedin-client-secret-v2", "LinkedIn client secret", high, `\b(WPL_AP[01]\.[A-Za-z0-9]{16}\.[A-Za-z0-9+/]{6,10}={0,2})`, "wpl_ap"),
		token("twitch-access-token", "Twitch OAuth password", high, `oauth:[a-z0-9]{30}`, "oauth:"),
		token("riot-api-key", "Riot Games API key", medium, `RGAPI-`+guid, "rgapi-"),
	}
}
