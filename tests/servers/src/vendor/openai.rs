//! OpenAI. Source: its API reference, "Authentication", "Chat", "Embeddings", "Audio"; a stream tells its usage only when
//! `stream_options.include_usage` was set.

use serde_json::{Value, json};

use super::{Call, Reply, Vendor};

/// What every answer of the model says, one word a piece.
pub const ANSWER: [&str; 4] = ["Attested", " and", " never", " seen."];

/// Tokens that every chat answer reports.
pub const CHAT_TOKENS: u64 = 21;

/// The API, for one key.
#[must_use]
pub fn start(key: &str) -> Vendor {
    let key = key.to_owned();
    Vendor::serving(move |call| {
        if call.bearer() != Some(key.as_str()) {
            return error(401, "invalid_api_key", "Incorrect API key provided.");
        }
        match (call.method.as_str(), call.path()) {
            ("POST", "/v1/chat/completions") => chat(&call.json()),
            ("POST", "/v1/responses") => response(&call.json()),
            ("POST", "/v1/embeddings") => embeddings(&call.json()),
            ("POST", "/v1/moderations") => {
                Reply::json(200, &json!({ "id": "modr-1", "model": "omni-moderation-latest", "results": [] }))
            }
            ("POST", "/v1/audio/transcriptions") => transcription(call),
            ("GET", "/v1/models") => Reply::json(
                200,
                &json!({ "object": "list", "data": [{ "id": "gpt-4o-mini", "object": "model", "created": 1, "owned_by": "openai" }] }),
            ),
            // What an account-wide key opens beside these: a test that gets here has found a hole.
            (_, path) if path.starts_with("/v1/files") || path.starts_with("/v1/fine_tuning") => {
                Reply::json(200, &json!({ "object": "list", "data": [{ "id": "file-of-another-user" }] }))
            }
            _ => error(404, "unknown_url", "Unknown request URL"),
        }
    })
}

fn chat(request: &Value) -> Reply {
    let Some(model) = request["model"].as_str() else {
        return error(400, "invalid_request", "you must provide a model parameter");
    };
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 12, "total_tokens": CHAT_TOKENS });
    if request["stream"] != true {
        let message = json!({ "role": "assistant", "content": ANSWER.concat(), "refusal": null });
        return Reply::json(
            200,
            &json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": model,
                "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" }],
                "usage": usage,
            }),
        );
    }
    let wants_usage = request["stream_options"]["include_usage"] == true;
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
            "choices": choices,
        });
        if let (true, Some(chunk)) = (wants_usage, chunk.as_object_mut()) {
            chunk.insert("usage".to_owned(), usage.unwrap_or_default());
        }
        event(&chunk)
    };
    let words = ANSWER.iter().map(|word| {
        chunk(json!([{ "index": 0, "delta": { "role": "assistant", "content": word }, "finish_reason": null }]), None)
    });
    let end = chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), None);
    let told = wants_usage.then(|| chunk(json!([]), Some(usage)));
    Reply::events(words.chain([end]).chain(told).chain(["data: [DONE]\n\n".to_owned()]).collect::<Vec<_>>())
}

fn response(request: &Value) -> Reply {
    let part = json!({ "type": "output_text", "text": ANSWER.concat(), "annotations": [] });
    let message =
        json!({ "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part] });
    let whole = json!({
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": "completed",
        "model": request["model"], "output": [message], "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "store": request["store"],
        "usage": {
            "input_tokens": 9, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": 12, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": CHAT_TOKENS,
        },
    });
    if request["stream"] != true {
        return Reply::json(200, &whole);
    }
    let part = json!({ "type": "output_text", "text": "", "annotations": [] });
    let item = json!({ "type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": [] });
    let mut begun = whole.clone();
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let mut events = vec![
        named(&json!({ "type": "response.created", "sequence_number": 0, "response": begun })),
        named(&json!({ "type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item })),
        named(&json!({
            "type": "response.content_part.added", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "part": part,
        })),
    ];
    let words = (3..).zip(ANSWER).map(|(number, word)| {
        named(&json!({
            "type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": word, "logprobs": [],
        }))
    });
    events.extend(words);
    events.push(named(&json!({ "type": "response.completed", "sequence_number": 99, "response": whole })));
    Reply::events(events)
}

fn embeddings(request: &Value) -> Reply {
    let inputs = request["input"].as_array().map_or(1, Vec::len);
    let data: Vec<Value> = (0..inputs)
        .map(|index| {
            // The official SDK asks for base64: little-endian floats.
            let embedding = if request["encoding_format"] == "base64" {
                let bytes: Vec<u8> = [0.25_f32, -0.5].iter().flat_map(|number| number.to_le_bytes()).collect();
                json!(data_encoding::BASE64.encode(&bytes))
            } else {
                json!([0.25, -0.5])
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let usage = json!({ "prompt_tokens": 5, "total_tokens": 5 });
    Reply::json(200, &json!({ "object": "list", "data": data, "model": request["model"], "usage": usage }))
}

/// Says how many bytes of the request there were: the file arrived whole.
fn transcription(call: &Call) -> Reply {
    let is_form = call.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data; boundary="));
    if !is_form || !call.contains("name=\"file\"") || !call.contains("name=\"model\"") {
        return error(400, "invalid_request", "file and model are required");
    }
    Reply::json(200, &json!({ "text": format!("heard {} bytes", call.body.len()) }))
}

/// An event that is told by its type, too.
fn named(data: &Value) -> String {
    format!("event: {}\n{}", data["type"].as_str().unwrap_or_default(), event(data))
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let kind = "invalid_request_error";
    Reply::json(status, &json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }))
}
