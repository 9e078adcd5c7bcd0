//! `callers:` who else may call, and how each proves it; and the users behind an app.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use http::HeaderName;
use zeroize::Zeroizing;

/// A caller that is no app: a partner, another machine, a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerSettings {
    /// Its name in the file; what policies, log and metrics call it.
    pub name: String,
    /// What it has to show.
    pub proof: CallerProof,
}

impl CallerSettings {
    /// Where it shows its secret or JWT; empty for those that show neither.
    #[must_use]
    pub fn places(&self) -> Vec<CredentialSource> {
        match &self.proof {
            CallerProof::Bearer(bearer) => bearer.from.clone(),
            CallerProof::Jwt(jwt) => jwt.from.clone(),
            CallerProof::ClientCertificate(_) | CallerProof::Webhook(_) => Vec::new(),
        }
    }
}

/// What a caller has to show to be who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerProof {
    /// A secret, of which only the hash is known here.
    Bearer(BearerProof),
    /// A certificate of its own, in the TLS handshake.
    ClientCertificate(CertificateProof),
    /// Another issuer's JWT.
    Jwt(JwtProof),
    /// A body that is signed with a shared secret.
    Webhook(WebhookProof),
}

/// `bearer:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerProof {
    /// SHA-256 of the secrets that count, one to sixteen, all different: the secret's bytes as they are sent, without
    /// `Bearer ` and without a line end. Compare in constant time.
    pub sha256: Vec<[u8; 32]>,
    /// Where the secret may stand. Never empty. Default [`CredentialSource::Bearer`].
    pub from: Vec<CredentialSource>,
}

/// `client_certificate:` one of two ways to know a certificate that chains to
/// [`PublicListener::client_ca_file`](super::PublicListener::client_ca_file).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateProof {
    /// SHA-256 of the certificate's DER, one to 64, as `openssl x509 -fingerprint -sha256` prints it.
    Sha256(Vec<[u8; 32]>),
    /// The certificate has one of these names, one to 64.
    SubjectAltName(Vec<AltName>),
}

/// A subject alternative name (RFC 5280, section 4.2.1.6), compared whole: no wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AltName {
    /// `dns:partner.example.com`; lower case, without a trailing dot.
    Dns(String),
    /// `uri:spiffe://example.com/orders`, as it is written.
    Uri(String),
}

/// `jwt:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtProof {
    /// A name in [`Settings::issuers`](super::Settings::issuers), of profile `jwt`, and not one that a route takes for apps.
    pub issuer: String,
    /// `sub` has to be one of these; empty: any.
    pub subject: Vec<String>,
    /// Claims that the token has to carry, each with one of these values (in a claim that is a list: as one of its
    /// items). Never an empty list of values.
    pub claims: BTreeMap<String, Vec<ClaimValue>>,
    /// Where the token may stand. Never empty. Default [`CredentialSource::Bearer`].
    pub from: Vec<CredentialSource>,
}

/// A value that a claim is compared with, exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
}

/// `webhook:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookProof {
    /// How the body is signed.
    pub scheme: WebhookScheme,
    /// The header with the signature.
    pub header: HeaderName,
    /// The shared secrets that count, one to four: two while one is being replaced.
    pub secrets: Vec<WebhookSecret>,
    /// How far the signature's time may be from ours, either way: 10 s to 1 h. Default 5 min. Only where the scheme has a
    /// time: see [`WebhookProof::has_time`].
    pub tolerance: Duration,
    /// Bytes of the body, all of which has to be held to be checked; more is 413. 1 KiB to 64 KiB, which is
    /// what can be held and still be sent on; the default.
    pub max_body: u64,
}

impl WebhookProof {
    /// Whether the signature covers a time. Without one an old request, sent again, is as good as new.
    #[must_use]
    pub fn has_time(&self) -> bool {
        match &self.scheme {
            WebhookScheme::Stripe | WebhookScheme::Standard => true,
            WebhookScheme::Github => false,
            WebhookScheme::Hmac(hmac) => hmac.timestamp_header.is_some(),
        }
    }
}

/// How a webhook signs; always HMAC with SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookScheme {
    /// `Stripe-Signature: t=…,v1=…` over `{t}.{body}`.
    Stripe,
    /// `X-Hub-Signature-256: sha256=…` over the body.
    Github,
    /// Standard Webhooks 1.0: `Webhook-Signature: v1,…` over `{id}.{timestamp}.{body}`; its secrets are base64 behind
    /// `whsec_`, and [`WebhookSecret::expose`] is that text.
    Standard,
    /// What the fields say.
    Hmac(HmacScheme),
}

/// `scheme: hmac`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacScheme {
    /// How the signature is written. Default hex.
    pub encoding: SignatureEncoding,
    /// What stands in the header before the signature, as `sha256=`. Default nothing.
    pub prefix: String,
    /// The header with the time, Unix seconds.
    pub timestamp_header: Option<HeaderName>,
    /// What is signed: `{body}` once, `{timestamp}` where there is a header for it and only there, `{header:Name}`.
    /// Absent: `{body}`, or `{timestamp}.{body}` where there is a header for the time.
    pub signed: Option<String>,
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureEncoding {
    /// Hexadecimal, either case.
    Hex,
    /// RFC 4648 section 4, padded.
    Base64,
}

/// A secret that a webhook's sender shares. Read from a private file at load; never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Arc<Zeroizing<Vec<u8>>>,
}

impl WebhookSecret {
    /// The bytes that HMAC takes: the file's one line, 16 to 512 of them. Not for any log.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// The file it was read from.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecret({}, [redacted])", self.path.display())
    }
}

/// One place where a caller's secret or a JWT may be. Never the query: URLs are logged everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// `Authorization: Bearer …`.
    Bearer,
    /// The whole value of this header.
    Header(HeaderName),
}

/// `routes.*.user:` a user's own JWT, verified beside the app's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSource {
    /// A name in [`Settings::issuers`](super::Settings::issuers), of profile `jwt`.
    pub issuer: String,
    /// Where the JWT may stand; never where the app's token does. Never empty. Default [`CredentialSource::Bearer`].
    pub from: Vec<CredentialSource>,
    /// Whether a request without a good one is refused, whatever the policy says; asked after it, so that nobody tries
    /// users' tokens without an app. A proven caller needs none. Default false: there is no user, and rules decide.
    pub required: bool,
}
