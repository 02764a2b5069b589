package rules

import "github.com/interlock-security/interlock/secrets/detect"

// ai are the model providers.
func ai() []detect.Rule {
	return []detect.Rule{
		raw("openai-api-key", "OpenAI API key", critical, `\b(sk-(?:(?:proj|svcacct|service|admin|None)-)?[\w\-]{20,100}T3BlbkFJ[\w\-]{20,100})`, "t3blbkfj"),
		token("openai-api-key-unmarked", "OpenAI project key", critical, `sk-(?:proj|svcacct|admin)-[\w\-]{60,180}`, "sk-proj-", "sk-svcacct-", "sk-admin-"),
		token("anthropic-api-key", "Anthropic API key", critical, `sk-ant-api[0-9]{2}-[\w\-]{80,110}`, "sk-ant-api"),
		token("anthropic-admin-api-key", "Anthropic admin API key", critical, `sk-ant-admin[0-9]{2}-[\w\-]{80,110}`, "sk-ant-admin"),
		token("anthropic-oauth-token", "Anthropic OAuth token", critical, `sk-ant-o[ar]t[0-9]{2}-[\w\-]{80,110}`, "sk-ant-oat", "sk-ant-ort"),
		checked(token("huggingface-access-token", "Hugging Face token", high, `hf_[A-Za-z]{34}`, "hf_"), casing),
		checked(token("huggingface-organization-api-token", "Hugging Face organisation token", high, `api_org_[A-Za-z]{34}`, "api_org_"), casing),
		token("replicate-api-token", "Replicate API token", high, `r8_[A-Za-z0-9]{37}`, "r8_"),
		token("groq-api-key", "Groq API key", high, `gsk_[A-Za-z0-9]{52}`, "gsk_"),
		token("perplexity-api-key", "Perplexity API key", high, `pplx-[A-Za-z0-9]{48,56}`, "pplx-"),
		token("xai-api-key", "xAI API key", high, `xai-[A-Za-z0-9]{80}`, "xai-"),
		token("openrouter-api-key", "OpenRouter API key", high, `sk-or-v1-[a-f0-9]{64}`, "sk-or-v1-"),
		token("langsmith-api-key", "LangSmith API key", high, `lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}`, "lsv2_"),
		token("langfuse-secret-key", "Langfuse secret key", high, `sk-lf-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}`, "sk-lf-"),
		token("nvidia-api-key", "NVIDIA API key", high, `nvapi-[\w\-]{60,70}`, "nvapi-"),
		token("pinecone-api-key", "Pinecone API key", high, `pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{50,70}`, "pcsk_"),
		token("tavily-api-key", "Tavily API key", medium, `tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}`, "tvly-"),
		token("sk-hex-api-key", "API key of an OpenAI-compatible service", high, `sk-[a-f0-9]{32}`, "sk-"),
		raw("elevenlabs-api-key", "ElevenLabs API key", high, `\b(sk_[a-f0-9]{48})\b`, "sk_"),
		token("wandb-api-key", "Weights & Biases API key", high, `wandb_v1_[A-Za-z0-9_]{60,90}`, "wandb_v1_"),
		token("apify-api-token", "Apify API token", high, `apify_(?:api|proxy)_[A-Za-z0-9]{34,38}`, "apify_"),
		token("firecrawl-api-key", "Firecrawl API key", medium, `fc-[a-f0-9]{32}`, "fc-"),
		token("cerebras-api-key", "Cerebras API key", high, `csk-[a-z0-9]{48}`, "csk-"),
	}
}

// casing asks of a token of letters alone that capitals and small letters are
// mixed as chance would.
func casing(token []byte) detect.Verdict {
	if !cased(token[len(token)-34:]) {
		return detect.Invalid
	}
	return genuine(token)
}
