package rules

import "github.com/interlock-security/interlock/secrets/detect"

const guid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

// products are the tools that companies run on.
func products() []detect.Rule {
	return []detect.Rule{
		token("notion-api-token", "Notion token", high, `ntn_[0-9]{11}[A-Za-z0-9]{35}`, "ntn_"),
		checked(token("notion-integration-secret", "Notion integration secret", high, `secret_[A-Za-z0-9]{43}`, "secret_"), mixed),
		token("figma-pat", "Figma personal access token", high, `fig(?:d|p|u|o|dr|dh)_[\w\-]{38,48}`, "figd_", "figp_", "figu_", "figo_", "figdr_", "figdh_"),
		token("asana-pat", "Asana personal access token", high, `[12]/1[0-9]{12,19}(?:/[0-9]{13,20})?:[a-f0-9]{32}`, "1/1", "2/1"),
		token("dropbox-short-lived-api-token", "Dropbox access token", high, `sl\.(?:u\.)?[\w\-]{130,1000}`, "sl."),
		raw("dropbox-long-lived-api-token", "Dropbox access token, long-lived", high, `\b([a-z0-9]{11}AAAAAAAAAA[\w\-]{43})`+end, "aaaaaaaaaa"),
		token("adobe-client-secret", "Adobe client secret", high, `p8e-[A-Za-z0-9_\-]{32}`, "p8e-"),
		token("salesforce-access-token", "Salesforce access token", critical, `00D[A-Za-z0-9]{12,15}![\w.]{80,120}`, "00d"),
		token("salesforce-refresh-token", "Salesforce refresh token", critical, `5Aep861[\w.]{60,90}`, "5aep861"),
		raw("salesforce-consumer-key", "Salesforce consumer key", low, `\b(3MVG9[\w.]{60,100})`+end, "3mvg9"),
		token("hubspot-private-app-token", "HubSpot private app token", high, `pat-(?:na|eu)[0-9]-`+guid, "pat-na", "pat-eu"),
		token("contentful-management-token", "Contentful management token", high, `CFPAT-[\w\-]{43}`, "cfpat-"),
		token("typeform-api-token", "Typeform token", high, `tfp_[\w\-]{44}_[A-Za-z0-9]{14,16}`, "tfp_"),
		token("frameio-api-token", "Frame.io token", high, `fio-u-[\w\-=]{64}`, "fio-u-"),
		token("lob-api-key", "Lob API key", high, `(?:live|test)_[a-f0-9]{35}`, "live_", "test_"),
		token("settlemint-application-access-token", "SettleMint application token", high, `sm_aat_[A-Za-z0-9]{16}`, "sm_aat"),
		token("settlemint-personal-access-token", "SettleMint personal token", high, `sm_pat_[A-Za-z0-9]{16}`, "sm_pat"),
		token("settlemint-service-access-token", "SettleMint service token", high, `sm_sat_[A-Za-z0-9]{16}`, "sm_sat"),
		token("clickup-token", "ClickUp token", high, `pk_[0-9]{6,9}_[A-Z0-9]{32}`, "pk_"),
		raw("mapbox-secret-token", "Mapbox secret token", high, `\b(sk\.eyJ1[\w\-]{60,120}\.[\w\-]{22})\b`, "sk.eyj1"),
		token("calcom-api-key", "Cal.com API key", medium, `cal_(?:live|test)_[a-f0-9]{32}`, "cal_live_", "cal_test_"),
		token("doppler-api-token", "Doppler token", critical, `dp\.(?:pt|ct|sa|scim|audit)\.[A-Za-z0-9]{40,44}`, "dp.pt.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."),
		token("doppler-service-token", "Doppler service token", critical, `dp\.st\.(?:[a-z0-9\-_]{2,35}\.)?[A-Za-z0-9]{40,44}`, "dp.st."),
		raw("zendesk-basic-token", "Zendesk API token in a user", high, `[\w.+\-]{1,64}@[\w.\-]{3,80}/token:([A-Za-z0-9]{40})\b`, "/token:"),
		raw("sidekiq-sensitive-url", "Sidekiq Enterprise credentials in a URL", high, `https?://([a-f0-9]{8}:[a-f0-9]{8})@(?:gems|enterprise)\.contribsys\.com`, "contribsys.com"),
		raw("sidekiq-secret", "Sidekiq Enterprise credentials", high, `BUNDLE_(?:ENTERPRISE|GEMS)__CONTRIBSYS__COM`+between+`([a-f0-9]{8}:[a-f0-9]{8})\b`, "contribsys__com"),
		raw("freemius-secret-key", "Freemius secret key", high, `["']secret_key["'][ \t]*=>[ \t]*["'](sk_[^\s"']{29})["']`, "secret_key"),
	}
}
