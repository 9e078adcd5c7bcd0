//! Google Cloud with a service account: Gemini models on Vertex AI. Source: "Using OAuth 2.0 for server to server applications",
//! and `projects.locations.publishers.models` of the Vertex AI reference. Streams tell their usage in every event.

use std::collections::BTreeMap;

use recipes::{JwtAlgorithm, RecipeText};

use crate::preset::{Kind, Parameter, Preset};
use crate::table::{Body, Call, GET, RULES, Rules};

/// `tools` are searches and code that Google runs and bills; a cache belongs to whoever made it; labels go onto the invoice.
const GENERATE: Body = Body::Json(Rules {
    required: &["/contents"],
    cap: &[("/generationConfig/candidateCount", 1)],
    forbid: &["/tools", "/cachedContent", "/labels"],
    ..RULES
});

pub(super) static GOOGLE_SERVICE_ACCOUNT: Preset = Preset {
    name: "google-service-account",
    vendor: "Google Cloud (Vertex AI)",
    parameters: &[
        Parameter {
            name: "project",
            what: "the project that pays",
            example: "my-project",
            default: None,
            kind: Kind::Word,
        },
        Parameter {
            name: "location",
            what: "where models run",
            example: "europe-west4",
            default: Some("global"),
            kind: Kind::Word,
        },
        Parameter {
            name: "token_endpoint",
            what: "where the assertion is changed for an access token",
            example: "https://oauth2.googleapis.com/token",
            default: Some("https://oauth2.googleapis.com/token"),
            kind: Kind::Url,
        },
    ],
    origin: |values| match values.of("location") {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    },
    recipe: |values| RecipeText::JwtBearer {
        token_endpoint: Some(values.of("token_endpoint").to_owned()),
        issuer: None,
        subject: None,
        audience: None,
        scope: Some("https://www.googleapis.com/auth/cloud-platform".to_owned()),
        claims: BTreeMap::new(),
        algorithm: JwtAlgorithm::RS256,
        key_id: None,
        lifetime_secs: 3600,
        name: "authorization".to_owned(),
        template: "Bearer {token}".to_owned(),
    },
    secret: "the JSON key of a service account that has roles/aiplatform.user and nothing else",
    calls: &[
        Call {
            name: "generate_content",
            what: "an answer of a Gemini model",
            call: "POST /v1/projects/{project}/locations/{location}/publishers/google/models/*:generateContent",
            body: GENERATE,
            ..GET
        },
        Call {
            name: "stream_generate_content",
            what: "the same, streamed",
            call: "POST /v1/projects/{project}/locations/{location}/publishers/google/models/*:streamGenerateContent",
            // Without it the answer is one long JSON array, whose usage is not read.
            query_fixed: &[("alt", "sse")],
            body: GENERATE,
            ..GET
        },
        Call {
            name: "count_tokens",
            what: "how many tokens a request would be",
            call: "POST /v1/projects/{project}/locations/{location}/publishers/google/models/*:countTokens",
            body: Body::Json(Rules { required: &["/contents"], ..RULES }),
            ..GET
        },
    ],
    may_allow_all: true,
};
