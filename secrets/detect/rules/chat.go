package rules

import (
	"bytes"
	"encoding/base64"

	"github.com/interlock-security/interlock/secrets/detect"
)

func chat() []detect.Rule {
	return append(append(slack(), webhooks()...),
		checked(raw("discord-bot-token", "Discord bot token", critical, `(?i:discord|bot[ _\-]?token|\.login\(|\.run\(|\bbot )[^\n]{0,40}?["'=:( \x60]([MNO][A-Za-z0-9_\-]{23,27}\.[\w\-]{6}\.[\w\-]{27,38})(?:[^\w\-.]|\z)`, "discord", "bot_token", "bot-token", "bottoken", "bot token", ".login(", ".run("), discordToken),
		token("discord-mfa-token", "Discord user token", critical, `mfa\.[\w\-]{84}`, "mfa."),
		token("telegram-bot-api-token", "Telegram bot token", high, `[0-9]{8,10}:AA[\w\-]{33}`, ":aa"),
		token("intra42-client-secret", "42 intranet client secret", high, `s-s4t2(?:ud|af)-[a-f0-9]{64}`, "s-s4t2"),
		checked(token("mattermost-session-cookie", "Mattermost session cookie", medium, `MMAUTHTOKEN=[a-z0-9]{26}`, "mmauthtoken="), tail(24)),
	)
}

func slack() []detect.Rule {
	return []detect.Rule{
		token("slack-bot-token", "Slack bot token", critical, `xoxb-[0-9]{10,13}-[0-9]{10,13}[A-Za-z0-9\-]{0,40}`, "xoxb-"),
		token("slack-user-token", "Slack user token", critical, `xox[pe](?:-[0-9]{10,13}){3}-[A-Za-z0-9]{28,34}`, "xoxp-", "xoxe-"),
		token("slack-app-token", "Slack app-level token", critical, `xapp-[0-9]-[A-Z0-9]{7,15}-[0-9]{9,15}-[a-z0-9]{32,80}`, "xapp-"),
		raw("slack-config-access-token", "Slack configuration access token", high, `\b(xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]{120,200})`, "xoxe.xox"),
		raw("slack-config-refresh-token", "Slack configuration refresh token", high, `\b(xoxe-[0-9]-[A-Za-z0-9]{120,160})`, "xoxe-"),
		token("slack-legacy-bot-token", "Slack bot token, legacy", high, `xoxb-[0-9]{8,14}-[A-Za-z0-9]{18,26}`, "xoxb-"),
		token("slack-legacy-token", "Slack token, legacy", high, `xox[os]-[0-9]{6,15}-[0-9]{6,15}-[0-9]{6,15}-[a-fA-F0-9]{8,64}`, "xoxo-", "xoxs-"),
		token("slack-legacy-workspace-token", "Slack workspace token, legacy", high, `xox[ar]-(?:[0-9]-)?[0-9A-Za-z]{8,48}(?:-[0-9A-Za-z]{4,40}){0,3}`, "xoxa-", "xoxr-"),
		raw("slack-session-cookie", "Slack session cookie or client token", critical, `\b(xox[cd]-[A-Za-z0-9%+/=\-]{40,400})`, "xoxc-", "xoxd-"),
	}
}

// webhooks are URLs that are themselves the right to post.
func webhooks() []detect.Rule {
	const guid = `[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}`
	return ofKind(detect.KindWebhook,
		raw("slack-webhook-url", "Slack webhook", high, `(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60})`, "hooks.slack"),
		raw("discord-webhook-url", "Discord webhook", high, `(discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{17,20}/[\w\-]{60,72})`, "/webhooks/"),
		raw("microsoft-teams-webhook", "Microsoft Teams webhook", high, `([a-z0-9\-]{1,40}\.webhook\.office\.com/webhookb2/`+guid+`@`+guid+`/IncomingWebhook/[0-9a-z]{32}/`+guid+`(?:/[\w\-]{20,60})?)`, "webhook.office.com"),
		raw("microsoft-teams-webhook-legacy", "Microsoft Teams webhook, legacy", high, `(outlook\.office(?:365)?\.com/webhook/`+guid+`@`+guid+`/IncomingWebhook/[0-9a-z]{32}/`+guid+`)`, "outlook.office"),
		checked(raw("google-chat-webhook", "Google Chat webhook", high, `(chat\.googleapis\.com/v1/spaces/[\w\-]{6,40}/messages\?key=[\w\-]{30,50}(?:&|&amp;)token=[\w\-%=]{30,60})`, "chat.googleapis.com"), tail(24)),
		raw("zapier-webhook", "Zapier webhook", medium, `(hooks\.zapier\.com/hooks/catch/[0-9]{6,12}/[a-z0-9]{6,10})`, "hooks.zapier.com"),
		raw("ifttt-webhook", "IFTTT webhook key", medium, `maker\.ifttt\.com/(?:trigger/[\w\-{}]{1,60}/(?:json/)?with/key|use)/([\w\-]{20,50})`, "maker.ifttt.com"),
		raw("mattermost-webhook", "Mattermost or Rocket.Chat webhook", medium, `https?://[\w.\-]{3,80}(?::[0-9]{2,5})?/hooks/([a-z0-9]{26}|[A-Za-z0-9]{17,24}/[A-Za-z0-9]{40,64})\b`, "/hooks/"),
		checked(raw("robot-webhook", "DingTalk, Feishu or WeCom robot webhook", medium, `(oapi\.dingtalk\.com/robot/send\?access_token=[a-f0-9]{64}|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/`+guid+`|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=`+guid+`)`, "oapi.dingtalk.com", "open.feishu.cn", "open.larksuite.com", "qyapi.weixin.qq.com"), tail(24)),
	)
}

// discordToken asks that the first part is the base64 of a snowflake.
func discordToken(token []byte) detect.Verdict {
	if !snowflake(token) {
		return detect.Invalid
	}
	return genuine(token)
}

func snowflake(token []byte) bool {
	first, _, _ := bytes.Cut(token, []byte("."))
	id, err := base64.RawURLEncoding.DecodeString(string(first))
	return err == nil && len(id) >= 17 && len(id) <= 20 && len(bytes.Trim(id, "0123456789")) == 0
}
