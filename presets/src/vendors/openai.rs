//! OpenAI. Source: its API reference ("Authentication", "Chat", "Responses", "Embeddings", "Images", "Audio", "Moderations",
//! "Models") and the parameters of its official Python library, 3.54.

use super::bearer;
use crate::preset::Preset;
use crate::table::{Body, Call, GET, RULES, Rules, Value};

pub(super) static OPENAI: Preset = Preset {
    name: "openai",
    vendor: "OpenAI",
    parameters: &[],
    origin: |_| "https://api.openai.com".to_owned(),
    recipe: |_| bearer(),
    secret: "an API key of a project of its own (platform.openai.com, API keys)",
    calls: &[
        Call {
            name: "chat",
            what: "chat completions, streamed or not",
            call: "POST /v1/chat/completions",
            body: Body::Json(Rules {
                required: &["/model", "/messages"],
                // What is stored can be listed by everybody who has the key.
                fixed: &[("/store", Value::False)],
                // Each further choice is paid for.
                cap: &[("/n", 1)],
                // The dearer tiers, and searches that are paid by the piece.
                forbid: &["/service_tier", "/web_search_options"],
                in_streams: &[("/stream_options/include_usage", Value::True)],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "responses",
            what: "responses without tools, streamed or not",
            call: "POST /v1/responses",
            body: Body::Json(Rules {
                required: &["/model", "/input"],
                fixed: &[("/store", Value::False)],
                // Tools that the vendor runs: searches, containers, the account's files. Then what others have stored, what
                // goes on after the connection ends, and the dearer tiers.
                forbid: &[
                    "/tools",
                    "/background",
                    "/background_options",
                    "/conversation",
                    "/previous_response_id",
                    "/prompt",
                    "/service_tier",
                    "/access_programs",
                ],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "embeddings",
            what: "embeddings",
            call: "POST /v1/embeddings",
            body: Body::Json(Rules { required: &["/model", "/input"], ..RULES }),
            ..GET
        },
        Call {
            name: "moderations",
            what: "moderation of texts and pictures",
            call: "POST /v1/moderations",
            body: Body::Json(Rules { required: &["/input"], ..RULES }),
            ..GET
        },
        Call {
            name: "images",
            what: "pictures from a text, one at a time",
            call: "POST /v1/images/generations",
            body: Body::Json(Rules {
                required: &["/model", "/prompt"],
                cap: &[("/n", 1)],
                forbid: &["/partial_images", "/stream"],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "speech",
            what: "speech from a text",
            call: "POST /v1/audio/speech",
            body: Body::Json(Rules { limit: 16 * 1024, required: &["/model", "/input", "/voice"], ..RULES }),
            ..GET
        },
        Call {
            name: "transcriptions",
            what: "text from speech: a file of up to 25 MB, which is not looked into",
            call: "POST /v1/audio/transcriptions",
            // The vendor's own limit for the file, and the form around it.
            body: Body::Any(26 * 1024 * 1024),
            ..GET
        },
        Call { name: "models", what: "the list of models", call: "GET /v1/models", ..GET },
    ],
    may_allow_all: true,
};
