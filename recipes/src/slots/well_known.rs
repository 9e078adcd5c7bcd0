//! Names that prove a caller or choose an account at well-known APIs, clouds and proxies, in folded form.

/// Longer than any header here: longer ones are none.
pub(super) const LONGEST_HEADER: usize = 48;

/// Whether it is such a header.
pub(super) fn is_header(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "proxy-authorization"
            | "x-authorization"
            | "x-forwarded-authorization"
            | "cookie"
            | "cookie2"
            | "api-key"
            | "apikey"
            | "x-api-key"
            | "x-apikey"
            | "x-api-token"
            | "x-api-secret"
            | "x-auth"
            | "x-auth-key"
            | "x-auth-email"
            | "x-auth-token"
            | "x-access-token"
            | "access-token"
            | "auth-token"
            | "x-secret-key"
            | "x-client-secret"
            | "private-token"
            | "job-token"
            | "deploy-token"
            | "x-token"
            | "x-goog-api-key"
            | "x-goog-iam-authorization-token"
            | "x-goog-user-project"
            | "x-goog-authenticated-user-email"
            | "x-amz-security-token"
            | "x-amz-target-account"
            | "x-ms-client-principal"
            | "x-ms-token-aad-access-token"
            | "ocp-apim-subscription-key"
            | "x-functions-key"
            | "aeg-sas-key"
            | "x-rapidapi-key"
            | "x-subscription-token"
            | "x-shopify-access-token"
            | "x-github-token"
            | "x-gitlab-token"
            | "x-vault-token"
            | "x-consul-token"
            | "x-figma-token"
            | "x-square-token"
            | "dd-api-key"
            | "dd-application-key"
            | "x-honeycomb-team"
            | "x-algolia-api-key"
            | "x-algolia-application-id"
            | "x-parse-rest-api-key"
            | "x-parse-master-key"
            | "x-app-key"
            | "x-app-token"
            | "xi-api-key"
            | "x-key"
            | "openai-organization"
            | "openai-project"
            | "anthropic-organization"
            | "stripe-account"
            | "stripe-context"
            | "paypal-auth-assertion"
            | "x-twilio-signature"
            | "dpop"
            | "signature"
            | "signature-input"
    )
}

/// Such query parameters and form fields. Names that mean something else elsewhere (`key`, `token`, `signature`) are not
/// here: they are slots where a recipe writes them.
pub(super) const QUERY: [&str; 19] = [
    "access-token",
    "accesstoken",
    "api-key",
    "apikey",
    "api-token",
    "auth-token",
    "authorization",
    "awsaccesskeyid",
    "client-secret",
    "oauth-token",
    "ocp-apim-subscription-key",
    "private-token",
    "subscription-key",
    "x-api-key",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
];
