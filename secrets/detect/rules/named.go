package rules

import (
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

// service is a provider whose secrets have no look of their own: the name before
// them gives them away.
type service struct {
	id, title string
	severity  core.Severity
	names     string // RE2, any case
	value     string
	keywords  []string
}

const (
	alnum = `[A-Za-z0-9]`
	wordy = `[\w\-]`
)

// named are secrets that only their name tells from a hash. The name must say
// that it is one: "datadog_api_key", never "datadog_commit".
func named() []detect.Rule {
	var all []detect.Rule
	for _, s := range services {
		r := raw(s.id, s.title, s.severity,
			`(?i:`+s.names+`)[\w.\- ]{0,24}?(?i:key|token|secret|pass|pwd|auth|cred|api)[\w.\-]{0,16}`+between+`(`+s.value+`)(?:[^\w\-+/=.]|\.?(?:\s|\z))`, s.keywords...)
		r.Check = scrambled
		r.Entropy = 3
		all = append(all, r)
	}
	return all
}

// services is a table: one more provider is one more line.
var services = []service{
	{"adafruit-api-key", "Adafruit key", medium, `adafruit|aio`, `(?:aio_[A-Za-z0-9]{28}|` + wordy + `{32})`, []string{"adafruit", "aio_"}},
	{"airtable-api-key", "Airtable API key", high, `airtable`, `key` + alnum + `{14}`, []string{"airtable"}},
	{"algolia-api-key", "Algolia admin key", high, `algolia`, `[a-f0-9]{32}`, []string{"algolia"}},
	{"alibaba-secret-key", "Alibaba Cloud secret", critical, `alibaba|aliyun|alicloud`, alnum + `{30}`, []string{"alibaba", "aliyun", "alicloud"}},
	{"asana-client-secret", "Asana client secret", high, `asana`, `[a-f0-9]{32}`, []string{"asana"}},
	{"auth0-client-secret", "Auth0 client secret", critical, `auth0`, wordy + `{64}`, []string{"auth0"}},
	{"beamer-api-token", "Beamer token", medium, `beamer`, `b_[\w=\-]{44}`, []string{"beamer"}},
	{"bitbucket-client-secret", "Bitbucket client secret", high, `bitbucket`, `[\w=\-]{32,64}`, []string{"bitbucket"}},
	{"bittrex-secret-key", "Bittrex key", high, `bittrex`, `[a-z0-9]{32}`, []string{"bittrex"}},
	{"cisco-meraki-api-key", "Cisco Meraki API key", critical, `meraki`, `[0-9a-f]{40}`, []string{"meraki"}},
	{"cloudflare-api-key", "Cloudflare API token", critical, `cloudflare|cf_api|cf_token`, wordy + `{40}`, []string{"cloudflare", "cf_api", "cf_token"}},
	{"cloudflare-global-api-key", "Cloudflare global API key", critical, `cloudflare|cf_api|cf_auth`, `[a-f0-9]{37}`, []string{"cloudflare", "cf_api", "cf_auth"}},
	{"codecov-access-token", "Codecov token", medium, `codecov`, guid + `|[a-z0-9]{32}`, []string{"codecov"}},
	{"cohere-api-token", "Cohere API key", high, `cohere|co_api_`, alnum + `{40}`, []string{"cohere", "co_api_"}},
	{"coinbase-access-token", "Coinbase key", critical, `coinbase`, `[\w\-]{64}|[A-Za-z0-9]{16,32}`, []string{"coinbase"}},
	{"confluent-secret-key", "Confluent secret", high, `confluent`, `[A-Za-z0-9+/]{64}`, []string{"confluent"}},
	{"contentful-delivery-api-token", "Contentful token", medium, `contentful`, `[\w=\-]{43}`, []string{"contentful"}},
	{"datadog-access-token", "Datadog key", high, `datadog|dd_api|dd_app|dd-api|dd-app`, `[a-f0-9]{40}|[a-f0-9]{32}`, []string{"datadog", "dd_api", "dd_app", "dd-api", "dd-app"}},
	{"discord-client-secret", "Discord client secret", high, `discord`, wordy + `{32}`, []string{"discord"}},
	{"droneci-access-token", "Drone CI token", high, `drone`, alnum + `{32}`, []string{"drone"}},
	{"dropbox-api-token", "Dropbox app secret", high, `dropbox`, `[a-z0-9]{15}`, []string{"dropbox"}},
	{"etsy-access-token", "Etsy key", medium, `etsy`, `[a-z0-9]{24}`, []string{"etsy"}},
	{"facebook-secret", "Facebook app secret", high, `facebook|fb_`, `[a-f0-9]{32}`, []string{"facebook", "fb_"}},
	{"fastly-api-token", "Fastly API token", high, `fastly`, wordy + `{32}`, []string{"fastly"}},
	{"finicity-api-token", "Finicity key", high, `finicity`, `[a-f0-9]{32}`, []string{"finicity"}},
	{"finicity-client-secret", "Finicity client secret", high, `finicity`, `[a-z0-9]{20}`, []string{"finicity"}},
	{"finnhub-access-token", "Finnhub token", medium, `finnhub`, `[a-z0-9]{20}|[a-z0-9]{40}`, []string{"finnhub"}},
	{"flickr-access-token", "Flickr key", medium, `flickr`, `[a-f0-9]{32}|[a-f0-9]{16}`, []string{"flickr"}},
	{"freshbooks-access-token", "FreshBooks token", high, `freshbooks`, `[a-z0-9]{64}`, []string{"freshbooks"}},
	{"gitter-access-token", "Gitter token", medium, `gitter`, `[a-f0-9]{40}`, []string{"gitter"}},
	{"heroku-api-key", "Heroku API key", critical, `heroku`, guid + `|[a-f0-9]{32}`, []string{"heroku"}},
	{"hetzner-api-token", "Hetzner Cloud API token", critical, `hetzner|hcloud`, alnum + `{64}`, []string{"hetzner", "hcloud"}},
	{"hubspot-api-key", "HubSpot API key", high, `hubspot|hapikey`, guid, []string{"hubspot", "hapikey"}},
	{"intercom-api-key", "Intercom token", high, `intercom`, `[\w=\-]{60}`, []string{"intercom"}},
	{"ibm-cloud-api-key", "IBM Cloud API key", critical, `ibm|bluemix|watson`, wordy + `{44}`, []string{"ibm", "bluemix", "watson"}},
	{"jfrog-api-key", "JFrog API key", high, `jfrog|artifactory|bintray|xray`, alnum + `{73}`, []string{"jfrog", "artifactory", "bintray", "xray"}},
	{"jfrog-identity-token", "JFrog identity token", high, `jfrog|artifactory|bintray|xray`, alnum + `{64}`, []string{"jfrog", "artifactory", "bintray", "xray"}},
	{"kraken-access-token", "Kraken key", critical, `kraken`, `[A-Za-z0-9/=_+\-]{80,90}`, []string{"kraken"}},
	{"kucoin-access-token", "KuCoin key", high, `kucoin|kc_api|kc-api`, `[a-f0-9]{24}`, []string{"kucoin", "kc_api", "kc-api"}},
	{"kucoin-secret-key", "KuCoin secret", critical, `kucoin|kc_api|kc-api`, guid, []string{"kucoin", "kc_api", "kc-api"}},
	{"launchdarkly-access-token", "LaunchDarkly token", high, `launchdarkly`, `[\w=\-]{40}`, []string{"launchdarkly"}},
	{"linear-client-secret", "Linear client secret", high, `linear`, `[a-f0-9]{32}`, []string{"linear"}},
	{"linkedin-client-secret", "LinkedIn client secret", high, `linked[_\-]?in`, `[A-Za-z0-9]{16}`, []string{"linkedin", "linked_in", "linked-in"}},
	{"linode-api-token", "Linode API token", critical, `linode|akamai`, `[a-f0-9]{64}`, []string{"linode", "akamai"}},
	{"looker-client-secret", "Looker client secret", high, `looker`, `[a-z0-9]{24}`, []string{"looker"}},
	{"mattermost-access-token", "Mattermost token", high, `mattermost`, `[a-z0-9]{26}`, []string{"mattermost"}},
	{"messagebird-api-token", "MessageBird key", high, `message[_\-]?bird`, `[A-Za-z0-9]{25}`, []string{"messagebird", "message_bird", "message-bird"}},
	{"mistral-api-key", "Mistral API key", high, `mistral`, alnum + `{32}`, []string{"mistral"}},
	{"netlify-access-token", "Netlify token", high, `netlify`, `[\w=\-]{40,46}`, []string{"netlify"}},
	{"nytimes-access-token", "New York Times key", low, `nytimes|new-york-times|newyorktimes`, `[\w=\-]{32}`, []string{"nytimes", "new-york-times", "newyorktimes"}},
	{"opsgenie-api-key", "Opsgenie API key", high, `opsgenie|og_api`, guid, []string{"opsgenie", "og_api"}},
	{"pagerduty-api-key", "PagerDuty key", high, `pagerduty|pager_duty|pd_api|pd_routing`, `[\w+\-]{20}|[a-f0-9]{32}`, []string{"pagerduty", "pager_duty", "pd_api", "pd_routing"}},
	{"plaid-secret-key", "Plaid secret", high, `plaid`, `[a-z0-9]{30}`, []string{"plaid"}},
	{"privateai-api-token", "Private AI token", medium, `private[_\-]?ai`, `[a-z0-9]{32}`, []string{"privateai", "private_ai", "private-ai"}},
	{"rapidapi-access-token", "RapidAPI key", high, `rapid_?api`, `[\w\-]{50}`, []string{"rapidapi", "rapid_api"}},
	{"scaleway-secret-key", "Scaleway secret key", critical, `scaleway|scw_`, guid, []string{"scaleway", "scw_"}},
	{"sendbird-access-token", "Sendbird token", high, `sendbird`, `[a-f0-9]{40}`, []string{"sendbird"}},
	{"sentry-access-token", "Sentry token", high, `sentry`, `[a-f0-9]{64}`, []string{"sentry"}},
	{"shodan-api-key", "Shodan API key", medium, `shodan`, alnum + `{32}`, []string{"shodan"}},
	{"snyk-api-token", "Snyk token", high, `snyk`, guid, []string{"snyk"}},
	{"squarespace-access-token", "Squarespace token", high, `squarespace`, guid, []string{"squarespace"}},
	{"sumologic-access-token", "Sumo Logic key", high, `sumo`, alnum + `{64}`, []string{"sumo"}},
	{"tencent-secret-key", "Tencent Cloud secret", critical, `tencent|qcloud|cos_secret`, alnum + `{32}`, []string{"tencent", "qcloud", "cos_secret"}},
	{"travisci-access-token", "Travis CI token", high, `travis`, wordy + `{22}`, []string{"travis"}},
	{"trello-api-token", "Trello token", high, `trello`, `[a-f0-9]{64}|[a-f0-9]{32}|ATTA[A-Za-z0-9]{72}`, []string{"trello"}},
	{"twitch-api-token", "Twitch secret", high, `twitch`, `[a-z0-9]{30}`, []string{"twitch"}},
	{"twitter-access-secret", "X (Twitter) access secret", high, `twitter`, `[A-Za-z0-9]{45}`, []string{"twitter"}},
	{"twitter-api-key", "X (Twitter) API key", high, `twitter`, `[A-Za-z0-9]{25}`, []string{"twitter"}},
	{"twitter-api-secret", "X (Twitter) API secret", high, `twitter`, `[A-Za-z0-9]{50}`, []string{"twitter"}},
	{"vercel-access-token", "Vercel token", high, `vercel|zeit_`, alnum + `{24}`, []string{"vercel", "zeit_"}},
	{"virustotal-api-key", "VirusTotal API key", medium, `virustotal|virus_total|vt_api`, `[a-f0-9]{64}`, []string{"virustotal", "virus_total", "vt_api"}},
	{"vultr-api-key", "Vultr API key", critical, `vultr`, `[A-Z0-9]{36}`, []string{"vultr"}},
	{"wandb-api-key-classic", "Weights & Biases API key", high, `wandb`, `[a-f0-9]{40}`, []string{"wandb"}},
	{"yandex-access-token", "Yandex token", high, `yandex`, `t1\.[\w\-]+={0,2}\.[\w\-]{86}={0,2}`, []string{"yandex"}},
	{"yandex-api-key", "Yandex API key", high, `yandex`, `AQVN[\w\-]{35,38}`, []string{"yandex"}},
	{"yandex-aws-access-token", "Yandex Cloud static secret", high, `yandex`, `YC[\w\-]{38}`, []string{"yandex"}},
	{"zendesk-secret-key", "Zendesk secret", high, `zendesk`, `[A-Za-z0-9]{40}`, []string{"zendesk"}},
}
