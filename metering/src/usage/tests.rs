use proptest::prelude::*;

use super::*;

fn read(format: Format, text: &[u8]) -> Option<Reported> {
    let mut reader = UsageReader::new(format);
    reader.push(text);
    reader.reported()
}

fn json(text: &str) -> Option<Reported> {
    read(Format::Json, text.as_bytes())
}

fn events(text: &str) -> Option<Reported> {
    read(Format::EventStream, text.as_bytes())
}

fn last(tokens: u64) -> Option<Reported> {
    Some(Reported { tokens, is_final: true })
}

fn so_far(tokens: u64) -> Option<Reported> {
    Some(Reported { tokens, is_final: false })
}

const CHAT: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"the \"usage\":{\"total_tokens\":1} of {braces} \\"},"finish_reason":"stop"}],
 "usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"completion_tokens_details":{"reasoning_tokens":5,"total_tokens":9000}},"system_fingerprint":null}"#;

const CHAT_STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"data: {\\\"usage\\\":{}}\"}}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,\"total_tokens\":21}}\n\ndata: [DONE]\n\n";

const MESSAGES_STREAM: &str = "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\r\n\r\n\
    event: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n\
    event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\r\n\r\n\
    event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\r\n\r\n\
    event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n";

const RESPONSES_STREAM: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"usage\":null}}\n\n\
    event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"usage\":{\"total_tokens\":7777}}],\"usage\":{\"input_tokens\":30,\"output_tokens\":4,\"total_tokens\":34}}}\n\n";

const GEMINI_STREAM: &str = "data: {\"candidates\":[{}],\"usageMetadata\":{\"promptTokenCount\":4,\"totalTokenCount\":10}}\r\n\r\n\
    data: {\"candidates\":[{}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":20,\"thoughtsTokenCount\":6,\"totalTokenCount\":30}}\r\n\r\n";

#[test]
fn what_reports_nothing_is_not_zero() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        "{\"usage\":null}",
        "{\"usage\":{}}",
        "{\"usage\":[1]}",
        "{\"usage\":7}",
        "not json",
        "{",
    ] {
        assert_eq!(json(text), None, "{text}");
        assert_eq!(events(&format!("data: {text}\n\n")), None, "{text}");
    }
}

#[test]
fn numbers_that_are_no_counts_are_not_reported() {
    for number in [
        "-5",
        "1.5",
        "1e3",
        "18446744073709551616",
        "99999999999999999999999999999999999999999999",
        "\"12\"",
        "true",
        "9007199254740993",
    ] {
        assert_eq!(json(&format!("{{\"usage\":{{\"total_tokens\":{number}}}}}")), None, "{number}");
    }
    assert_eq!(json("{\"usage\":{\"total_tokens\":12.0}}"), last(12));
    assert_eq!(json("{\"usage\":{\"total_tokens\":0}}"), last(0));
}

#[test]
fn openai_counts_its_total_and_nothing_of_what_the_model_wrote() {
    assert_eq!(json(CHAT), last(21));
    assert_eq!(json("{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12}}"), last(21));
    assert_eq!(json("{\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}"), last(8), "embeddings");
    assert_eq!(events(CHAT_STREAM), last(21));
    assert_eq!(events(RESPONSES_STREAM), last(34));
}

#[test]
fn anthropic_counts_cached_tokens_too_and_its_start_is_not_the_last_word() {
    let whole = r#"{"type":"message","content":[],"usage":{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":20}}"#;
    assert_eq!(json(whole), last(37));
    assert_eq!(events(MESSAGES_STREAM), last(140));
    let cut = MESSAGES_STREAM.find("event: message_delta").unwrap();
    assert_eq!(events(&MESSAGES_STREAM[..cut]), so_far(126));
}

#[test]
fn gemini_counts_what_it_thought_and_the_last_chunk_stands() {
    assert_eq!(
        json("{\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":20,\"totalTokenCount\":30}}"),
        last(30)
    );
    assert_eq!(events(GEMINI_STREAM), last(30));
    let list = "[{\"usageMetadata\":{\"totalTokenCount\":10}}\n,\r\n{\"usageMetadata\":{\"totalTokenCount\":30}}]";
    assert_eq!(json(list), last(30));
}

#[test]
fn documents_one_after_the_other_are_read() {
    assert_eq!(json("{\"a\":1}\n{\"usage\":{\"total_tokens\":5}}\n{\"b\":[]}\n"), last(5));
}

#[test]
fn half_a_document_is_not_the_last_word() {
    let cut = CHAT.find(",\"completion_tokens_details\"").unwrap();
    assert_eq!(json(&CHAT[..cut]), so_far(21));
    assert_eq!(json("{\"usage\":{\"total_tokens\":5}"), so_far(5));
}

#[test]
fn only_the_places_of_apis_are_looked_at() {
    for elsewhere in [
        r#"{"choices":[{"usage":{"total_tokens":5}}]}"#,
        r#"{"data":{"usage":{"total_tokens":5}}}"#,
        r#"{"response":{"output":{"usage":{"total_tokens":5}}}}"#,
        r#"{"message":{"content":{"usage":{"total_tokens":5}}}}"#,
        r#"{"usage":{"details":{"total_tokens":5}}}"#,
        r#"{"usage":[{"total_tokens":5}]}"#,
        r#"{"x":"usage","y":{"total_tokens":5}}"#,
        r#"{"content":"{\"usage\":{\"total_tokens\":5}}"}"#,
        r#"[[{"usage":{"total_tokens":5}}]]"#,
        r#""usage":{"total_tokens":5}"#,
    ] {
        assert_eq!(json(elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn what_is_deeper_than_any_answer_is_left() {
    let deep = format!("{{\"a\":{}1{},\"usage\":{{\"total_tokens\":5}}}}", "[".repeat(500), "]".repeat(500));
    assert_eq!(json(&deep), None);
    let less = format!("{{\"a\":{}1{},\"usage\":{{\"total_tokens\":5}}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(json(&less), last(5));
}

#[test]
fn an_event_that_is_no_json_spoils_no_other() {
    assert_eq!(events("data: {\"broken\n\ndata: {\"usage\":{\"total_tokens\":5}}\n\ndata: [DONE]\n\n"), last(5));
    assert_eq!(
        events(": comment\n\nid: 3\nretry: 10\ndata:{\"usage\":\ndata:{\"total_tokens\":5}}\n\n"),
        last(5),
        "two lines"
    );
    assert_eq!(events("\u{feff}data: {\"usage\":{\"total_tokens\":5}}\r\r"), last(5));
    assert_eq!(
        events("dat: {\"usage\":{\"total_tokens\":5}}\n\ndata\n\nxdata: {\"usage\":{\"total_tokens\":5}}\n\n"),
        None
    );
}

#[test]
fn a_body_of_megabytes_is_read_in_the_same_memory() {
    let mut reader = UsageReader::new(Format::Json);
    reader.push(b"{\"data\":[\"");
    for _ in 0..256 {
        reader.push(&[b'x'; 16 * 1024]);
    }
    reader.push(b"\"],\"usage\":{\"total_tokens\":7}}");
    assert_eq!(reader.reported(), last(7));
    assert!(size_of::<UsageReader>() < 512, "{}", size_of::<UsageReader>());
}

#[test]
fn a_content_type_names_a_format_or_none() {
    for (kind, format) in [
        ("application/json", Some(Format::Json)),
        ("Application/JSON; charset=utf-8", Some(Format::Json)),
        ("application/problem+json", Some(Format::Json)),
        ("application/x-ndjson", Some(Format::Json)),
        ("text/event-stream;charset=UTF-8", Some(Format::EventStream)),
        ("text/html", None),
        ("+json", None),
        ("application/octet-stream", None),
        ("", None),
    ] {
        assert_eq!(Format::of(kind.as_bytes()), format, "{kind}");
    }
}

fn sample() -> impl Strategy<Value = (Format, String)> {
    let texts = [
        (Format::Json, CHAT),
        (Format::EventStream, CHAT_STREAM),
        (Format::EventStream, MESSAGES_STREAM),
        (Format::EventStream, RESPONSES_STREAM),
        (Format::EventStream, GEMINI_STREAM),
    ];
    proptest::sample::select(texts.to_vec()).prop_map(|(format, text)| (format, text.to_owned()))
}

proptest! {
    #[test]
    fn wherever_a_body_is_cut_the_same_is_read((format, text) in sample(), cuts in proptest::collection::vec(1_usize..40, 1..60)) {
        let mut reader = UsageReader::new(format);
        let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            reader.push(now);
            rest = later;
        }
        prop_assert_eq!(reader.reported(), read(format, text.as_bytes()));
    }

    #[test]
    fn any_bytes_read_the_same_wherever_they_are_cut(
        bytes in proptest::collection::vec(prop_oneof![proptest::sample::select(b"{}[]:,\"\\ \n\rdatusge09.-total_tokens".to_vec()), any::<u8>()], 0..200),
        at in any::<proptest::sample::Index>(),
    ) {
        let at = at.index(bytes.len() + 1);
        for format in [Format::Json, Format::EventStream] {
            let mut reader = UsageReader::new(format);
            reader.push(&bytes[..at]);
            reader.push(&bytes[at..]);
            prop_assert_eq!(reader.reported(), read(format, &bytes));
        }
    }

    /// As a DOM would read it, for documents of the right shape around strings that want to be mistaken.
    #[test]
    fn what_the_model_writes_changes_nothing(content in "[\\x20-\\x7e\\n\"\\\\{}:]{0,80}", total in 0_u64..1_000_000) {
        let escaped: String = content.chars().flat_map(|c| match c {
            '"' => vec!['\\', '"'],
            '\\' => vec!['\\', '\\'],
            '\n' => vec!['\\', 'n'],
            c => vec![c],
        }).collect();
        let text = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{escaped}\"}}}}],\"usage\":{{\"total_tokens\":{total}}}}}");
        prop_assert_eq!(json(&text), last(total));
        prop_assert_eq!(events(&format!("data: {text}\n\n")), last(total));
    }
}
