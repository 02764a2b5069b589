package rules

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

func payment() []detect.Rule {
	return append(stripe(),
		token("square-access-token", "Square access token", critical, `(?:EAAA[\w\-]{60}|sq0atp-[\w\-]{22})`, "eaaa", "sq0atp-"),
		token("square-secret", "Square OAuth secret", critical, `sq0csp-[\w\-]{43}`, "sq0csp-"),
		checked(token("paypal-braintree-access-token", "PayPal Braintree access token", critical, `access_token\$production\$[0-9a-z]{16}\$[0-9a-f]{32}`, "access_token$production$"), tail(32)),
		checked(token("paypal-braintree-sandbox-token", "PayPal Braintree access token, sandbox", low, `access_token\$sandbox\$[0-9a-z]{16}\$[0-9a-f]{32}`, "access_token$sandbox$"), tail(32)),
		raw("paypal-client-secret", "PayPal client secret", high, `(?i:paypal)[\w.\- ]{0,20}?(?i:secret)[\w.\-]{0,10}`+between+`(E[A-Z][\w\-]{60,80})`+end, "paypal"),
		token("shopify-access-token", "Shopify access token", critical, `shpat_[a-fA-F0-9]{32}`, "shpat_"),
		token("shopify-custom-access-token", "Shopify custom app token", critical, `shpca_[a-fA-F0-9]{32}`, "shpca_"),
		token("shopify-private-app-access-token", "Shopify private app token", critical, `shppa_[a-fA-F0-9]{32}`, "shppa_"),
		token("shopify-shared-secret", "Shopify shared secret", critical, `shpss_[a-fA-F0-9]{32}`, "shpss_"),
		token("shopify-partner-token", "Shopify partner or CLI token", high, `(?:prtapi|atkn|shptka|shpua)_[a-fA-F0-9]{32,64}`, "prtapi_", "atkn_", "shptka_", "shpua_"),
		token("easypost-api-token", "EasyPost API token", high, `EZAK[A-Za-z0-9]{54}`, "ezak"),
		token("easypost-test-api-token", "EasyPost test API token", low, `EZTK[A-Za-z0-9]{54}`, "eztk"),
		token("flutterwave-secret-key", "Flutterwave secret key", high, `FLWSECK(?:_TEST)?-[a-h0-9]{32}-X`, "flwseck"),
		token("flutterwave-encryption-key", "Flutterwave encryption key", high, `FLWSECK_TEST-?[a-h0-9]{12}`, "flwseck_test"),
		token("shippo-api-token", "Shippo API token", high, `shippo_(?:live|test)_[a-fA-F0-9]{40}`, "shippo_"),
		token("duffel-api-token", "Duffel API token", high, `duffel_(?:test|live)_[\w\-]{43}`, "duffel_"),
		token("razorpay-key-id", "Razorpay key id", medium, `rzp_(?:live|test)_[A-Za-z0-9]{14}`, "rzp_"),
		token("paystack-secret-key", "Paystack secret key", high, `sk_(?:live|test)_[a-f0-9]{40}`, "sk_live_", "sk_test_"),
		token("mercadopago-access-token", "Mercado Pago access token", high, `APP_USR-[0-9]{15,17}-[0-9]{6}-[a-f0-9]{32}-[0-9]{6,10}`, "app_usr-"),
		token("adyen-api-key", "Adyen API key", high, `AQE[a-z][\w+/\-]{60,160}={0,2}-[\w+/=\-]{30,100}-[\w+/{}<>()\[\]&^%$#@!*~|.,;:?=\-]{8,40}`, "aqe"),
		token("mollie-api-key", "Mollie API key", high, `live_[A-Za-z0-9]{30}`, "live_"),
		token("gocardless-api-token", "GoCardless API token", high, `(?:live|sandbox)_[\w\-]{40}`, "live_", "sandbox_"),
		token("plaid-api-token", "Plaid access token", high, `access-(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "access-sandbox-", "access-development-", "access-production-"),
	)
}

// stripe tells live keys from test keys: those move no money, but they open the
// test account.
func stripe() []detect.Rule {
	return []detect.Rule{
		checked(token("stripe-access-token", "Stripe secret key", critical, `(?:sk|rk)_(?:live|prod)_[A-Za-z0-9]{10,247}`, "sk_live_", "rk_live_", "sk_prod_", "rk_prod_"), stripeKey),
		checked(token("stripe-test-token", "Stripe test key", low, `(?:sk|rk)_test_[A-Za-z0-9]{10,247}`, "sk_test_", "rk_test_"), stripeKey),
		checked(token("stripe-webhook-secret", "Stripe webhook secret", high, `whsec_[A-Za-z0-9+/]{32,64}`, "whsec_"), stripeKey),
		token("stripe-restricted-account", "Stripe organisation key", critical, `sk_org_(?:live|test)_[A-Za-z0-9]{20,120}`, "sk_org_"),
	}
}

// stripeKey asks that the random part is neither filler nor a word.
func stripeKey(key []byte) detect.Verdict {
	at := bytes.LastIndexByte(key, '_')
	return scrambled(key[at+1:])
}
