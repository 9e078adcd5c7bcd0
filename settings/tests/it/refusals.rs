//! Each refusal, with its place and its remedy.

use crate::folder::{Folder, GOOD, with};

/// Changes one thing in the good file; expects exactly one error, with this code, under this text of its line, with a remedy that
/// says this.
#[track_caller]
fn refuses(old: &str, new: &str, code: &str, under: &str, remedy: &str) {
    refuses_text(&with(old, new), code, under, remedy);
}

#[track_caller]
fn refuses_text(text: &str, code: &str, under: &str, remedy: &str) {
    let report = Folder::new().load(text).err().unwrap_or_else(|| panic!("taken: {text}"));
    let errors: Vec<_> =
        report.problems.iter().filter(|problem| problem.severity == settings::Severity::Error).collect();
    assert_eq!(errors.len(), 1, "one error:\n{report}");
    let problem = errors[0];
    assert_eq!(problem.code, code, "{report}");
    let line = text.lines().nth(problem.line - 1).unwrap_or_default();
    let at: String = line.chars().skip(problem.column - 1).collect();
    assert!(at.starts_with(under), "the caret is at {at:?}, not {under:?}:\n{report}");
    assert!(problem.hint.as_deref().unwrap_or_default().contains(remedy), "the remedy says {remedy:?}:\n{report}");
}

#[test]
fn unknown_fields_and_words() {
    refuses(
        "address: 127.0.0.1:8443",
        "adress: 127.0.0.1:8443\n    address: 127.0.0.1:8443",
        "unknown_field",
        "adress",
        "did you mean `address`?",
    );
    refuses("log: {", "logs: {}\nlog: {", "unknown_field", "logs", "did you mean `log`?");
    refuses("state: { dir: state }", "state: { dir: state, wal: true }", "unknown_field", "wal", "`dir`");
    refuses("profile: approov", "profile: aproov", "invalid_value", "aproov", "did you mean `approov`?");
    refuses("access: stderr", "access: off", "invalid_value", "off", "write disabled");
    refuses("state: { dir: state }", "state: { dir: state }\nkeystore: x", "unknown_field", "keystore", "write keys:");
    refuses(
        "    upstream: openai\n",
        "    upstream: openai\n    host: x\n",
        "unknown_field",
        "host",
        "it belongs to match",
    );
    refuses("read: 10s", "first_byte: 10s", "unknown_field", "first_byte", "one timer holds for the head");
    refuses("token_file: secrets/admin.token", "token: abc", "unknown_field", "token", "secrets stand in files");
}

#[test]
fn missing_empty_and_wrong_types() {
    refuses("assay: 1\n", "", "missing_field", "listeners", "write assay: 1");
    refuses("assay: 1\n", "assay: 2\n", "unknown_format", "2", "write assay: 1");
    refuses("state: { dir: state }\n", "state: { }\n", "missing_field", "{", "write dir: state");
    refuses("    upstream: openai\n", "    upstream:\n", "invalid_value", "", "take the line out");
    refuses(
        "trusted_proxies: [10.1.0.0/16]",
        "trusted_proxies: 10.1.0.0/16",
        "invalid_value",
        "10.1",
        "write [10.1.0.0/16]",
    );
    refuses("connections: 1000", "connections: \"1000\"", "invalid_value", "\"1000\"", "take the quotes off");
    refuses("connections: 1000", "connections: 01000", "invalid_value", "01000", "digits only");
    refuses("connections: 1000", "connections: 1e3", "invalid_value", "1e3", "digits only");
    refuses("connections: 1000", "connections: -1", "invalid_value", "-1", "digits only");
    refuses("log: { access: stderr, level: warn }", "log: stderr", "invalid_value", "stderr", "write { access");
    refuses("key: openai\n", "key: openai\n    danger_inject_unattested: yes\n", "invalid_value", "yes", "true");
    refuses(
        "unlock: { file: secrets/kek.key }",
        "unlock: secrets/kek.key",
        "invalid_value",
        "secrets",
        "{ file: secrets/kek.key }",
    );
}

#[test]
fn units_and_bounds() {
    refuses("lifetime: 5m", "lifetime: 5", "invalid_value", "5", "write 5m or 5s");
    refuses("lifetime: 5m", "lifetime: 0s", "invalid_value", "0s", "");
    refuses("lifetime: 5m", "lifetime: 2h", "out_of_bounds", "2h", "1s to 1h");
    refuses("lifetime: 5m", "lifetime: 1500ms", "out_of_bounds", "1500ms", "write 5m, or 90s");
    refuses("head: 16KiB", "head: 16", "invalid_value", "16", "write 16KiB");
    refuses("head: 16KiB", "head: 16kb", "invalid_value", "16kb", "16KiB");
    refuses("head: 16KiB", "head: 1MiB", "out_of_bounds", "1MiB", "262144");
    refuses("connections: 1000", "connections: 0", "out_of_bounds", "0", "not \"unlimited\"");
    refuses("concurrency: 100", "concurrency: 0", "invalid_value", "0", "there is no \"unlimited\"");
    refuses("concurrency: 100", "concurrency: 100\n    reserve: 100", "out_of_bounds", "100", "1 to 99");
    refuses(
        "concurrency: 100",
        "concurrency: 100\n    queue: { length: 0 }",
        "out_of_bounds",
        "0",
        "not \"unlimited\"",
    );
    refuses("max_lifetime: 1h", "max_lifetime: 0", "invalid_value", "0", "zero");
    refuses("limit: 256KiB", "limit: 0B", "invalid_value", "0B", "zero");
    refuses("accept_expired: 30m", "accept_expired: 25h", "out_of_bounds", "25h", "1d");
}

#[test]
fn listeners() {
    let text = &GOOD[GOOD.find("state:").unwrap()..];
    refuses_text(&format!("assay: 1\n{text}"), "no_listener", "assay", "write listeners: { public:");
    refuses(
        "admin: { address: 127.0.0.1:9901, token_file: secrets/admin.token }",
        "admin: { address: 0.0.0.0:9901 }",
        "open_admin",
        "0.0.0.0:9901",
        "127.0.0.1:9901",
    );
    refuses("address: 127.0.0.1:8443", "address: :8443", "invalid_value", ":8443", "0.0.0.0:8443");
    refuses(
        "probe: { address: 0.0.0.0:8081 }",
        "probe: { address: 0.0.0.0:8443 }",
        "same_port",
        "{",
        "a port of its own",
    );
    refuses(
        "trusted_proxies: [10.1.0.0/16]",
        "trusted_proxies: [0.0.0.0/0]",
        "everybody_trusted",
        "0.0.0.0/0",
        "name the networks",
    );
    refuses(
        "trusted_proxies: [10.1.0.0/16]",
        "trusted_proxies: [10.1.0.1/16]",
        "invalid_value",
        "10.1.0.1/16",
        "10.1.0.0/16",
    );
    refuses(
        "    limits: { connections",
        "    h2c: true\n    limits: { connections",
        "h2c_with_tls",
        "true",
        "take the line out",
    );
}

#[test]
fn attestation() {
    refuses("address: 127.0.0.1:8082", "address: 0.0.0.0:8082", "plaintext_service", "0.0.0.0:8082", "127.0.0.1:8082");
    refuses("address: 127.0.0.1:8082", "address: 127.0.0.1:8081", "same_port", "127.0.0.1:8081", "a port of its own");
    for private in ["ES256", "ES384", "EdDSA", "RS256", "PS256"] {
        refuses("lifetime: 5m", &format!("algorithm: {private}"), "concealment", private, "concealment: sealed");
    }
    for word in ["open", "sealed"] {
        refuses("lifetime: 5m", &format!("concealment: {word}"), "concealment", word, "algorithm: ES256");
    }
    refuses("require: [measurement]", "require: []", "empty_list", "[", "[measurement]");
    refuses(
        "      linux: { require: [measurement] }",
        "      windows: {}\n      linux: { require: [measurement] }",
        "unknown_field",
        "windows",
        "`linux`",
    );
    refuses(
        "  token: { issuer: https://api.example.com/assay, ",
        "  remote: { url: https://a, gateway_token_file: x, feed_key_file: y }\n  token: { issuer: https://api.example.com/assay, ",
        "two_sources",
        "{ url",
        "keep one",
    );
    refuses("audience: api.example.com, ", "", "missing_field", "{", "audience: api.example.com");
}

#[test]
fn issuers() {
    refuses("    max_lifetime: 1h\n", "", "missing_field", "moving", "max_lifetime: 1h");
    refuses(", encoding: base64, algorithm: HS256 }", ", algorithm: HS256 }", "missing_field", "{", "encoding: base64");
    refuses(", encoding: base64, algorithm: HS256 }", ", encoding: base64 }", "missing_field", "{", "algorithm: HS256");
    refuses("algorithm: HS256 }", "algorithm: HS256, jwks_file: x }", "keys_source", "{", "exactly one");
    refuses("algorithm: HS256 }", "algorithm: none }", "invalid_value", "none", "signs with");
}

#[test]
fn upstreams() {
    refuses("url: https://api.openai.com", "url: http://api.openai.com", "plaintext_upstream", "http://", "https://");
    refuses(
        "url: https://api.openai.com",
        "url: http://api.openai.com, danger_plaintext_loopback: true",
        "plaintext_upstream",
        "http://",
        "https://",
    );
    refuses(
        "url: https://api.openai.com",
        "url: \"http://127.0.0.1:8080\"",
        "plaintext_upstream",
        "\"http://",
        "danger_plaintext_loopback: true",
    );
    refuses(
        "url: https://api.openai.com",
        "url: https://api.openai.com, danger_plaintext_loopback: true",
        "does_nothing",
        "true",
        "take the line out",
    );
    refuses("url: https://api.openai.com", "url: https://api.openai.com/v1", "invalid_value", "https", "add: /v1");
    refuses(
        "url: https://api.openai.com",
        "url: api.openai.com",
        "invalid_value",
        "api",
        "write https://api.openai.com",
    );
    refuses(
        "url: https://api.openai.com",
        "url: https://10.0.0.9",
        "private_upstream",
        "https",
        "private_addresses: [10.0.0.9/32]",
    );
    refuses("url: https://api.openai.com", "url: https://localhost", "private_upstream", "https", "127.0.0.0/8");
    refuses(
        "url: https://api.openai.com",
        "url: \"http://[::1]\", danger_plaintext_loopback: true, http2: true",
        "does_nothing",
        "true",
        "take the line out",
    );
    refuses("url: https://api.openai.com", "url: https://169.254.169.254", "private_upstream", "https", "metadata");
    refuses("[10.0.4.0/24]", "[10.0.4.0/24, 169.254.169.254/32]", "not_private", "169", "metadata");
    refuses("[10.0.4.0/24]", "[10.0.4.0/24, 0.0.0.0/0]", "not_private", "0.0.0.0/0", "public addresses need no entry");
}

#[test]
fn names_that_routes_refer_to() {
    let cnf = with("lifetime: 5m }", "lifetime: 5m, claims: { cnf: true } }");
    let chat_ok = cnf.replace("bearer] }", "bearer], bearer_ok: true }");
    refuses_text(&chat_ok, "proof_unchecked", "shop-api", "bearer_ok: true");
    refuses_text(&chat_ok.replace("cnf: true", "ipk: true"), "proof_unchecked", "shop-api", "claims.ipk");
    refuses("    upstream: openai\n", "    upstream: opena\n", "unknown_name", "opena", "did you mean `openai`?");
    refuses("token: { issuer: moving,", "token: { issuer: movin,", "unknown_name", "movin", "did you mean `moving`?");
    let without_keys = with("keys:\n  store: secrets/keys.sealed\n  unlock: { file: secrets/kek.key }\n", "");
    let own_unlock = without_keys.replace("address: 127.0.0.1:8082 }", "unlock: { file: secrets/kek.key } }");
    refuses_text(&own_unlock, "no_keystore", "openai", "write keys: {");
    let without_key = "    key: openai\n    ceilings: { device: { requests: 60/1h }, key: { requests: 10000/1d } }\n";
    refuses_text(&without_keys.replace(without_key, ""), "missing_field", "{", "unlock: { file");
    refuses("path: \"/old/**\"", "path: \"/**\"", "equal_match", "{", "more specific");
    refuses("  chat:\n", "  Chat GPT:\n", "bad_name", "Chat GPT", "write chat-gpt");
    refuses(
        "path: \"/old/**\"",
        "path: \"/assay/v1/challenge\"",
        "unreachable_route",
        "old-shop",
        "attestation.serve.path",
    );
}

#[test]
fn routes_with_keys() {
    refuses(
        "    operations:\n      - call: POST /v1/chat/completions\n        body: { limit: 256KiB }\n",
        "",
        "key_without_operations",
        "openai",
        "add operations",
    );
    refuses(
        "    key: openai\n",
        "    key: openai\n    our_faults: { cannot_verify: deprioritize }\n",
        "open_key_route",
        "deprioritize",
        "take the line out",
    );
    refuses(
        "call: POST /v1/chat/completions",
        "call: post /v1/chat/completions",
        "invalid_value",
        "post",
        "POST /v1/chat/completions",
    );
    refuses("rewrite: { strip: /openai }", "rewrite: { strip: /other }", "strip_outside_match", "/other", "/other/**");
    refuses("    rewrite: { strip: /openai }\n", "", "unreachable_operation", "call", "rewrite: { strip");
    refuses(
        "rewrite: { strip: /openai }",
        "rewrite: { strip: /openai, add: /v2 }",
        "unreachable_operation",
        "call",
        "after `rewrite`",
    );
    refuses("rewrite: { strip: /openai }", "rewrite: {}", "does_nothing", "{", "strip: /openai");
}

#[test]
fn what_does_nothing_is_refused() {
    refuses(
        "    token: { issuer: moving, bind: [Authorization] }",
        "    guard_body: true\n    token: { issuer: moving, bind: [Authorization] }",
        "does_nothing",
        "true",
        "take the line out",
    );
    refuses(
        "    token: { issuer: moving, bind: [Authorization] }",
        "    danger_inject_unattested: true\n    token: { issuer: moving, bind: [Authorization] }",
        "does_nothing",
        "true",
        "take the line out",
    );
    refuses("bind: [Authorization]", "danger_pay_optional: true", "does_nothing", "true", "take the line out");
    refuses(
        "bind: [Authorization] }",
        "bind: [Authorization] }\n    our_faults: { service_down: { accept_expired: 5m } }",
        "not_our_tokens",
        "{",
        "take the line out",
    );
    refuses("bind: [Authorization]", "bind: [Approov-Token]", "bound_to_itself", "Approov", "Assay-Token");
    refuses("from: [Assay-Token, bearer]", "from: [Assay-Token, assay-token]", "duplicate", "assay-token", "take one");
    refuses("from: [Assay-Token, bearer]", "from: []", "empty_list", "[", "[Assay-Token]");
    refuses("from: [Assay-Token, bearer]", "from: [Authorization]", "invalid_value", "Authorization", "write bearer");
}

#[test]
fn hosts_and_paths() {
    refuses(
        "match: { host: api.example.com, path: \"/old/**\" }",
        "match: { host: *.example.com, path: \"/old/**\" }",
        "yaml_syntax",
        "*.example.com",
        "\"*.example.com\"",
    );
    refuses(
        "match: { host: api.example.com, path: \"/old/**\" }",
        "match: { host: \"api.example.com:443\", path: \"/old/**\" }",
        "invalid_value",
        "\"api",
        "without its port",
    );
    refuses("path: \"/old/**\"", "path: old/**", "invalid_value", "old", "starts with `/`");
    refuses("path: \"/old/**\"", "path: /old//x", "invalid_value", "/old", "no `//`");
}

#[test]
fn traces_go_to_a_collector_that_nobody_listens_in_on() {
    let log = "log: { access: stderr, level: warn }";
    let traces = |fields: &str| format!("log:\n  traces: {{ {fields} }}");
    let wrong = |fields: &str, code: &str, under: &str, remedy: &str| {
        refuses(log, &traces(fields), code, under, remedy);
    };
    wrong("sample: 1%", "missing_field", "{ sample", "write otlp: https://");
    wrong("otlp: http://collector.internal:4318", "plaintext_traces", "http://collector", "127.0.0.1:4318");
    wrong("otlp: http://10.0.4.7:4318", "plaintext_traces", "http://10", "write https://");
    wrong("otlp: \"https://user:pass@a.example.com\"", "invalid_value", "\"https", "assay key put");
    wrong("otlp: 127.0.0.1:4318", "invalid_value", "127", "write https://");
    wrong(
        "otlp: https://a.example.com/v1/traces",
        "whole_traces_url",
        "https://a",
        "write the base: https://a.example.com",
    );
    wrong("otlp: https://a.example.com, sample: 5", "invalid_value", "5", "write 5%");
    wrong("otlp: https://a.example.com, sample: 0%", "invalid_value", "0%", "take the section out");
    wrong("otlp: https://a.example.com, sample: 200%", "invalid_value", "200%", "100%");
    wrong("otlp: https://a.example.com, service_name: A B", "invalid_value", "A B", "write a-b");
    wrong("otlp: https://a.example.com, ratio: 0.1", "unknown_field", "ratio", "`sample`");
    wrong("endpoint: https://a.example.com, otlp: https://a.example.com", "unknown_field", "endpoint", "write otlp:");
    refuses(log, "log: { traces: https://a.example.com }", "invalid_value", "https", "{ otlp: http");
}

#[test]
fn a_policy_on_a_key_route_can_not_give_the_key_away() {
    refuses(
        "policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }",
        "policy: { default: deprioritize, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }",
        "default_gives_key",
        "deprioritize",
        "default: block",
    );
    refuses(
        "      default: block\n      rules:",
        "      defalt: block\n      default: block\n      rules:",
        "unknown_field",
        "defalt",
        "did you mean `default`?",
    );
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replace("connections: 1000", "connections: 0")
        .replace("lifetime: 5m", "lifetime: 5")
        .replace("profile: approov", "profile: aproov")
        .replace("url: https://api.openai.com", "url: http://api.openai.com")
        .replace("device: { requests: 60/1h }", "device: {}")
        .replace(
            "{ name: genuine, when: { verdict: attested }, then: allow }]",
            "{ name: genuine, when: { verdict: atested }, then: allow }]",
        )
        .replace("level: warn", "level: debug");
    let report = Folder::new().load(&text).err().unwrap();
    let lines: Vec<_> = report.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(report.problems.len(), 7, "{report}");
    assert!(lines.is_sorted(), "{lines:?}");
    let told = report.to_string();
    assert!(told.ends_with("7 errors: this configuration is not used"), "{told}");
    assert_eq!(told.matches("= help:").count(), 7, "{told}");
    assert_eq!(told.matches(" | ").count(), 14, "a source line and a caret each: {told}");
}
