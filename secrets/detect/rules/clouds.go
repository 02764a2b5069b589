package rules

import "github.com/interlock-security/interlock/secrets/detect"

func gcp() []detect.Rule {
	return ofKind(detect.KindCloudKey,
		token("gcp-api-key", "Google API key", high, `AIza[\w\-]{35}`, "aiza"),
		raw("gcp-oauth-access-token", "Google OAuth access token", medium, `\b(ya29\.[\w\-]{60,1000})`, "ya29."),
		raw("gcp-oauth-refresh-token", "Google OAuth refresh token", high, `(?:^|[^\w/])(1//0[\w\-]{40,120})(?:[^\w\-]|\z)`, "1//0"),
		token("gcp-oauth-client-secret", "Google OAuth client secret", high, `GOCSPX-[\w\-]{28}`, "gocspx-"),
		token("firebase-cloud-messaging-key", "Firebase server key", high, `AAAA[\w\-]{7}:APA91b[\w\-]{134,140}`, ":apa91b"),
		token("gcp-hmac-key-id", "Google Cloud Storage HMAC access id", medium, `GOOG1E[A-Z0-9]{55}`, "goog1e"),
	)
}

func clouds() []detect.Rule {
	return ofKind(detect.KindCloudKey,
		token("alibaba-access-key-id", "Alibaba Cloud access key id", medium, `LTAI[A-Za-z0-9]{12,20}`, "ltai"),
		token("tencent-secret-id", "Tencent Cloud secret id", medium, `AKID[A-Za-z0-9]{32}`, "akid"),
		token("ibm-cloud-api-key-id", "IBM Cloud API key", high, `ApiKey-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "apikey-"),
		token("digitalocean-pat", "DigitalOcean personal access token", critical, `dop_v1_[a-f0-9]{64}`, "dop_v1_"),
		token("digitalocean-access-token", "DigitalOcean OAuth token", critical, `doo_v1_[a-f0-9]{64}`, "doo_v1_"),
		token("digitalocean-refresh-token", "DigitalOcean refresh token", critical, `dor_v1_[a-f0-9]{64}`, "dor_v1_"),
		raw("digitalocean-spaces-key", "DigitalOcean Spaces access key id", medium, `\b(DO00[A-Z0-9]{16})\b`, "do00"),
		token("heroku-api-key-v2", "Heroku API key", critical, `HRKU-AA[\w\-]{58}`, "hrku-aa"),
		token("flyio-access-token", "Fly.io access token", critical, `fo1_[\w\-]{43}`, "fo1_"),
		raw("flyio-macaroon", "Fly.io macaroon", critical, `\b(fm(?:1[ar]|2)_[A-Za-z0-9+/]{100,1000}={0,3})`, "fm1a_", "fm1r_", "fm2_"),
		token("scalingo-api-token", "Scalingo API token", high, `tk-us-[\w\-]{48}`, "tk-us-"),
		token("render-api-key", "Render API key", high, `rnd_[A-Za-z0-9]{28,40}`, "rnd_"),
		token("railway-api-token", "Railway token", high, `rw_Fe26\.2[\w.*\-]{40,400}`, "rw_fe26"),
		token("netlify-pat", "Netlify personal access token", critical, `nf[pcuob]_[A-Za-z0-9]{36,46}`, "nfp_", "nfc_", "nfu_", "nfo_", "nfb_"),
		token("vercel-blob-token", "Vercel Blob token", high, `vercel_blob_rw_[A-Za-z0-9]{10,24}_[A-Za-z0-9]{28,34}`, "vercel_blob_rw_"),
		token("vercel-token", "Vercel token", high, `vc[pikar]_[A-Za-z0-9]{24,60}`, "vcp_", "vci_", "vck_", "vca_", "vcr_"),
		token("cloudflare-origin-ca-key", "Cloudflare origin CA key", critical, `v1\.0-[a-f0-9]{24}-[a-f0-9]{146}`, "v1.0-"),
		token("cloudflare-api-token-v2", "Cloudflare API token", critical, `cf(?:k|ut|at|pat)_[A-Za-z0-9]{40}[a-f0-9]{0,8}`, "cfk_", "cfut_", "cfat_", "cfpat_"),
		token("scaleway-access-key-id", "Scaleway access key id", medium, `SCW[A-Z0-9]{17}`, "scw"),
		token("yandex-static-key-id", "Yandex Cloud static key", high, `YCA[JA][\w\-]{22}`, "ycaj", "ycaa"),
		token("yandex-oauth-token", "Yandex OAuth token", high, `y[0-3]_[\w\-]{55,60}`, "y0_", "y1_", "y2_", "y3_"),
		token("clickhouse-cloud-api-secret-key", "ClickHouse Cloud API key", high, `4b1d[A-Za-z0-9]{38}`, "4b1d"),
		token("planetscale-api-token", "PlanetScale API token", critical, `pscale_tkn_[\w=.\-]{32,64}`, "pscale_tkn_"),
		token("planetscale-oauth-token", "PlanetScale OAuth token", critical, `pscale_oauth_[\w=.\-]{32,64}`, "pscale_oauth_"),
		token("planetscale-password", "PlanetScale password", critical, `pscale_pw_[\w=.\-]{32,64}`, "pscale_pw_"),
		token("aiven-api-token", "Aiven token", high, `AVNS_[\w\-]{19,24}`, "avns_"),
		token("neon-api-key", "Neon API key", high, `napi_[a-z0-9]{48,72}`, "napi_"),
		token("neon-password", "Neon database password", high, `npg_[A-Za-z0-9]{12,20}`, "npg_"),
		token("xata-api-key", "Xata API key", high, `xau_[A-Za-z0-9]{32,40}`, "xau_"),
	)
}
