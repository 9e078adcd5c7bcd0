//! Anthropic. Source: its API documentation ("Authentication", "Versions", "Messages", "Count tokens", "Models") and the
//! parameters of its official Python library, 2.12. Its streams tell their usage unasked.

use recipes::RecipeText;

use crate::preset::Preset;
use crate::table::{Body, Call, GET, RULES, Rules};

/// Which API version is spoken. `anthropic-beta` is not among them: it switches on files, containers and connectors.
const HEADERS: &[&str] = &["anthropic-version"];

/// The dearer tiers and speeds; containers and connectors, which reach elsewhere; what tells of another's request.
const COSTLY: &[&str] = &["/service_tier", "/speed", "/inference_geo", "/container", "/mcp_servers", "/diagnostics"];

pub(super) static ANTHROPIC: Preset = Preset {
    name: "anthropic",
    vendor: "Anthropic",
    parameters: &[],
    origin: |_| "https://api.anthropic.com".to_owned(),
    // Taken under every API version; a bearer token is too since 2026-10-21.
    recipe: |_| RecipeText::Header { name: "x-api-key".to_owned(), template: "{key}".to_owned() },
    secret: "an API key of a workspace of its own (platform.claude.com, API keys)",
    calls: &[
        Call {
            name: "messages",
            what: "messages without tools, streamed or not",
            call: "POST /v1/messages",
            headers: HEADERS,
            body: Body::Json(Rules {
                required: &["/model", "/max_tokens", "/messages"],
                forbid: &[
                    "/tools",
                    "/service_tier",
                    "/speed",
                    "/inference_geo",
                    "/container",
                    "/mcp_servers",
                    "/diagnostics",
                ],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "messages_with_tools",
            what: "messages with tools, those that the vendor runs and bills included",
            call: "POST /v1/messages",
            headers: HEADERS,
            body: Body::Json(Rules { required: &["/model", "/max_tokens", "/messages"], forbid: COSTLY, ..RULES }),
            ..GET
        },
        Call {
            name: "count_tokens",
            what: "how many tokens a message would be",
            call: "POST /v1/messages/count_tokens",
            headers: HEADERS,
            body: Body::Json(Rules { required: &["/model", "/messages"], ..RULES }),
            ..GET
        },
        Call { name: "models", what: "the list of models", call: "GET /v1/models", headers: HEADERS, ..GET },
    ],
    may_allow_all: true,
};
