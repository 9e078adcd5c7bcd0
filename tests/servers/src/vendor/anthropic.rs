//! Anthropic. Source: its documentation, "Authentication" (`x-api-key`, or since API version 2026-10-21 a bearer token),
//! "Versions", "Messages" and "Streaming messages": a stream always tells its usage, first in `message_start`, then in
//! `message_delta`.

use serde_json::{Value, json};

use super::{Call, Reply, Vendor};

/// What every answer says, one word a piece.
pub const ANSWER: [&str; 3] = ["Measured", ", then", " trusted."];

/// Tokens that every answer reports, question and answer together.
pub const TOKENS: u64 = 37;

const VERSIONS: [&str; 3] = ["2023-01-01", "2023-06-01", "2026-10-21"];

/// The API, for one key.
#[must_use]
pub fn start(key: &str) -> Vendor {
    let key = key.to_owned();
    Vendor::serving(move |call| {
        if !is_authentic(call, &key) {
            return error(401, "authentication_error", "invalid x-api-key");
        }
        if !call.header("anthropic-version").is_some_and(|version| VERSIONS.contains(&version)) {
            return error(400, "invalid_request_error", "anthropic-version: header is required");
        }
        match (call.method.as_str(), call.path()) {
            ("POST", "/v1/messages") => messages(&call.json()),
            ("POST", "/v1/messages/count_tokens") => Reply::json(200, &json!({ "input_tokens": 25 })),
            ("GET", "/v1/models") => Reply::json(
                200,
                &json!({ "data": [{ "id": "claude-haiku-4-5", "type": "model", "display_name": "Haiku", "created_at": "2025-10-01T00:00:00Z" }],
                         "has_more": false, "first_id": null, "last_id": null }),
            ),
            // What the key opens beside these: a test that gets here has found a hole.
            (_, path) if path.starts_with("/v1/files") => {
                Reply::json(200, &json!({ "data": [{ "id": "file_of_another_user" }] }))
            }
            _ => error(404, "not_found_error", "Not found"),
        }
    })
}

/// One credential in one of the two places; nothing in the other.
fn is_authentic(call: &Call, key: &str) -> bool {
    match (&call.values("x-api-key")[..], &call.values("authorization")[..]) {
        ([own], []) => *own == key,
        ([], [_]) => call.bearer() == Some(key),
        _ => false,
    }
}

fn messages(request: &Value) -> Reply {
    let (Some(model), Some(_)) = (request["model"].as_str(), request["max_tokens"].as_u64()) else {
        return error(400, "invalid_request_error", "model and max_tokens: Field required");
    };
    let usage = |output: u64| json!({ "input_tokens": 25, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output });
    let message = |content: Value, stop: Value, output: u64| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": stop, "stop_sequence": null, "usage": usage(output),
        })
    };
    if request["stream"] != true {
        let text = json!([{ "type": "text", "text": ANSWER.concat() }]);
        return Reply::json(200, &message(text, json!("end_turn"), TOKENS - 25));
    }
    let mut events = vec![
        event(&json!({ "type": "message_start", "message": message(json!([]), Value::Null, 1) })),
        event(&json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } })),
    ];
    events.extend(ANSWER.iter().map(|word| {
        event(&json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } }))
    }));
    events.push(event(&json!({ "type": "content_block_stop", "index": 0 })));
    let delta = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let told = json!({ "output_tokens": TOKENS - 25 });
    events.push(event(&json!({ "type": "message_delta", "delta": delta, "usage": told })));
    events.push(event(&json!({ "type": "message_stop" })));
    Reply::events(events)
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

fn error(status: u16, kind: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}
