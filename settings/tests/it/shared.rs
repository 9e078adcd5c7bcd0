//! State that machines share, the admin API, apps and the faults that come with them: refusals first.

use std::time::Duration;

use attest_core::{
    appraisal::FindingCost,
    evidence_kind::{EvidenceKind, EvidenceKinds},
};
use settings::{AttestationSource, Concealment, Platform, Severity, SharedStateDown};

use crate::folder::{Folder, GOOD, with};

const STATE: &str = "state: { dir: state }";
const PASSWORD: &str = "open-sesame";

/// Expects exactly one error with this code and a remedy that says this.
#[track_caller]
fn refuses(folder: &Folder, text: &str, code: &str, remedy: &str) {
    let report = folder.load(text).err().unwrap_or_else(|| panic!("taken: {text}"));
    let errors: Vec<_> = report.problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "one error:\n{report}");
    assert_eq!(errors[0].code, code, "{report}");
    assert!(errors[0].hint.as_deref().unwrap_or_default().contains(remedy), "the remedy says {remedy:?}:\n{report}");
    assert!(!report.to_string().contains(PASSWORD), "the report shows a password:\n{report}");
}

fn state(more: &str) -> String {
    with(STATE, &format!("state: {{ dir: state, {more} }}"))
}

#[test]
fn servers_elsewhere_need_tls_or_a_dangerous_word() {
    let folder = Folder::new();
    let redis = |fields: &str| state(&format!("shared: {{ {fields} }}"));
    let postgres = |fields: &str| state(&format!("database: {{ {fields} }}, shared: {{ url: \"redis://[::1]\" }}"));
    refuses(&folder, &redis("url: \"redis://redis.internal\""), "plaintext_state", "rediss://");
    refuses(&folder, &redis("url: \"redis://10.0.4.9:6380/3\""), "plaintext_state", "rediss://");
    refuses(&folder, &postgres("url: \"postgres://a@db.internal/a\""), "plaintext_state", "?sslmode=require");
    refuses(
        &folder,
        &postgres("url: \"postgres://a@db.internal/a?sslmode=prefer\""),
        "invalid_value",
        "sslmode=require",
    );
    refuses(
        &folder,
        &postgres("url: \"postgres://a@db.internal/a?sslmode=verify-full\""),
        "invalid_value",
        "always verified",
    );
    for fields in ["url: \"redis://127.0.0.1\"", "url: \"rediss://redis.internal\""] {
        refuses(&folder, &redis(&format!("{fields}, danger_plaintext: true")), "does_nothing", "take the line out");
    }
    refuses(&folder, &redis("url: \"redis://127.0.0.1\", ca_file: tls/cert.pem"), "does_nothing", "rediss://");
    let loaded = folder.load(redis("url: \"redis://redis.internal\", danger_plaintext: true")).unwrap();
    assert_eq!(loaded.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["plaintext_state"]);
    assert!(!loaded.settings.state.shared.unwrap().url.tls());
}

#[test]
fn a_password_stands_in_a_private_file_and_shows_nowhere() {
    let folder = Folder::new();
    for (url, file) in [
        (format!("shared: {{ url: \"rediss://u:{PASSWORD}@redis.internal\" }}"), "url_file: secrets/shared.url"),
        // One that can't be read besides.
        (format!("shared: {{ url: \"rediss://u:{PASSWORD}@redis.internal:0/x?y\" }}"), "url_file: secrets/shared.url"),
        (format!("shared: {{ url: \"u:{PASSWORD}@redis.internal\" }}"), "url_file: secrets/shared.url"),
    ] {
        refuses(&folder, &state(&url), "inline_secret", file);
    }
    let by_file = state("shared: { url_file: secrets/redis.url, ca_file: tls/cert.pem, timeout: 50ms, prefix: shop }");
    folder.write("secrets/redis.url", format!("rediss://u:{PASSWORD}@redis.internal/3\n"), 0o644);
    refuses(&folder, &by_file, "unreadable_file", "chmod 600");
    for bad in ["", "redis.internal", "http://a", "rediss://a#insecure", "rediss://a?protocol=resp3", "rediss://a b"] {
        folder.write("secrets/redis.url", format!("{bad}\n"), 0o600);
        refuses(&folder, &by_file, "invalid_value", "");
    }
    folder.write("secrets/redis.url", format!("rediss://u:{PASSWORD}@@redis.internal/3\n"), 0o600);
    refuses(&folder, &by_file, "invalid_value", "%40");
    folder.write("secrets/redis.url", format!("rediss://u:{PASSWORD}@redis.internal/3\n"), 0o600);
    let settings = folder.load(&by_file).unwrap_or_else(|report| panic!("{report}")).settings;
    assert!(!format!("{settings:?}").contains(PASSWORD));
    assert!(settings.sources.contains(&folder.path("secrets/redis.url")), "it is watched");
    let shared = settings.state.shared.unwrap();
    assert_eq!((shared.url.host(), shared.url.port(), shared.url.tls()), ("redis.internal", 6379, true));
    assert!(shared.url.expose().contains(PASSWORD));
    assert_eq!((shared.timeout, shared.prefix.as_str()), (Duration::from_millis(50), "shop"));
}

#[test]
fn a_server_needs_one_address_with_all_its_parts() {
    let folder = Folder::new();
    refuses(&folder, &state("shared: { timeout: 50ms }"), "missing_field", "write url_file: secrets/shared.url");
    refuses(&folder, &state("shared: { url: \"redis://[::1]\", url_file: x }"), "two_sources", "keep one");
    refuses(&folder, &state("shared: { url: \"redis://[::1]\", prefix: A }"), "invalid_value", "write a");
    refuses(&folder, &state("shared: { url: \"redis://[::1]\", timeout: 6s }"), "out_of_bounds", "10ms to 5s");
    refuses(&folder, &state("shared: { url: \"valkey://[::1]\" }"), "invalid_value", "redis://");
    refuses(&folder, &state("shared: { url: \"redis://[::1]/x\" }"), "invalid_value", "redis://127.0.0.1");
    refuses(&folder, &state("shared: redis"), "invalid_value", "url_file: secrets/redis.url");
    for bad in [
        "postgres://127.0.0.1/a",
        "postgres://a@127.0.0.1",
        "postgres://a@:5432/a",
        "mysql://a@b/c",
        "postgres://a@b:0/c",
    ] {
        let text = state(&format!("database: {{ url: \"{bad}\" }}, shared: {{ url: \"redis://[::1]\" }}"));
        refuses(&folder, &text, "invalid_value", "postgres://assay@127.0.0.1/assay");
    }
}

#[test]
fn a_database_is_the_services_and_wants_shared_challenges() {
    let folder = Folder::new();
    let loaded = folder.load(state("database: { url: \"postgres://a@127.0.0.1/a\" }")).unwrap();
    assert_eq!(loaded.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["unshared_challenges"]);
    let database = loaded.settings.state.database.unwrap();
    assert_eq!(
        (database.connect_timeout, database.statement_timeout),
        (Duration::from_secs(5), Duration::from_secs(5))
    );
    let gateway = GOOD.find("attestation:").unwrap()..GOOD.find("issuers:").unwrap();
    let without = state("database: { url: \"postgres://a@127.0.0.1/a\" }").replace(&GOOD[gateway], "");
    let report = folder.load(without).err().unwrap();
    assert!(
        report.problems.iter().any(|problem| problem.code == "does_nothing" && problem.message.contains("`database`")),
        "{report}"
    );
}

#[test]
fn the_admin_api_is_on_loopback_or_has_tls_and_a_port_of_its_own() {
    let folder = Folder::new();
    let admin =
        |fields: &str| with("address: 127.0.0.1:8082 }", &format!("address: 127.0.0.1:8082, admin: {{ {fields} }} }}"));
    refuses(&folder, &admin("address: 0.0.0.0:9902"), "plaintext_admin", "127.0.0.1:9902");
    refuses(&folder, &admin("address: 127.0.0.1:9901"), "same_port", "a port of its own");
    refuses(&folder, &admin("address: 127.0.0.1:8082"), "same_port", "a port of its own");
    refuses(&folder, &admin("tls: { certificate: tls/cert.pem, key: tls/key.pem }"), "missing_field", "127.0.0.1:9902");
    refuses(&folder, &admin("address: 127.0.0.1:9902, token_file: x"), "unknown_field", "hashes");
    let text = admin("address: 0.0.0.0:9902, tls: { certificate: tls/cert.pem, key: tls/key.pem }");
    let settings = folder.load(text).unwrap_or_else(|report| panic!("{report}")).settings;
    let AttestationSource::Serve(serve) = settings.attestation.unwrap().source else { panic!() };
    assert!(serve.admin.unwrap().tls.is_some());
    assert_eq!(serve.keys_stale, Duration::from_secs(12 * 3600), "the largest of the file");
}

#[test]
fn the_longest_stale_key_set_of_any_route_counts() {
    let text =
        with("    upstream: openai\n", "    upstream: openai\n    our_faults: { key_sets: { refuse_after: 3d } }\n");
    let settings = Folder::new().load(text).unwrap_or_else(|report| panic!("{report}")).settings;
    let AttestationSource::Serve(serve) = settings.attestation.unwrap().source else { panic!() };
    assert_eq!(serve.keys_stale, Duration::from_secs(3 * 86_400));
}

#[test]
fn faults_of_feeds_and_shared_state_never_open_a_route_with_a_key_by_themselves() {
    let folder = Folder::new();
    let shared = state("shared: { url: \"redis://127.0.0.1\" }");
    let file = shared.replace(
        "  cannot_verify: deprioritize\n",
        "  shared_state_down: count_locally\n  revocations: { refuse_after: 1d }\n",
    );
    let settings = folder.load(&file).unwrap_or_else(|report| panic!("{report}")).settings;
    let of = |name: &str| settings.route(name).unwrap().our_faults;
    assert_eq!(of("chat").shared_state_down, SharedStateDown::Refuse);
    assert_eq!(of("chat").revocations_stale, Duration::from_secs(900));
    assert_eq!(of("shop-api").shared_state_down, SharedStateDown::CountLocally);
    assert_eq!(of("shop-api").revocations_stale, Duration::from_secs(86_400));
    assert_eq!(of("shop-api").revocations_alert, Duration::from_secs(300));
    let itself = file.replace(
        "    key: openai\n",
        "    key: openai\n    our_faults: { shared_state_down: count_locally, revocations: { refuse_after: 1h } }\n",
    );
    let chat =
        folder.load(itself).unwrap_or_else(|report| panic!("{report}")).settings.route("chat").unwrap().our_faults;
    assert_eq!(
        (chat.shared_state_down, chat.revocations_stale),
        (SharedStateDown::CountLocally, Duration::from_secs(3600))
    );
}

#[test]
fn rows_of_faults_that_say_nothing_or_the_wrong_way_round_are_refused() {
    let folder = Folder::new();
    let row = |row: &str| with("  cannot_verify: deprioritize\n", &format!("  {row}\n"));
    refuses(&folder, &row("shared_state_down: refuse"), "does_nothing", "shared: {");
    refuses(&folder, &row("revocations: { }"), "does_nothing", "refuse_after: 15m");
    refuses(&folder, &row("revocations: { alert_after: 10m, refuse_after: 5m }"), "out_of_bounds", "before");
    refuses(&folder, &row("revocations: { refuse_after: 59s }"), "out_of_bounds", "1m");
    let other = with(
        "bind: [Authorization] }",
        "bind: [Authorization] }\n    our_faults: { revocations: { refuse_after: 5m } }",
    );
    refuses(&folder, &other, "not_our_tokens", "take the line out");
}

#[test]
fn test_tokens_are_ours_and_a_warning_beside_a_key() {
    let folder = Folder::new();
    refuses(&folder, &with("bind: [Authorization] }", "allow_dev: true }"), "not_our_tokens", "take the line out");
    let loaded =
        folder.load(with("bearer] }", "bearer], allow_dev: true }")).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["dev_with_key"]);
    assert!(loaded.settings.route("chat").unwrap().token.allow_dev);
    assert!(!loaded.settings.route("shop-api").unwrap().token.allow_dev);
}

#[test]
fn an_app_that_nobody_could_pass_as_is_refused() {
    let folder = Folder::new();
    let app = |platform: &str| with("      linux: { require: [measurement] }", &format!("      {platform}"));
    let android = |fields: &str| app(&format!("android: {{ require: [measurement], {fields} }}"));
    refuses(&folder, &app("android: { id: com.example.shop }"), "missing_field", "[measurement]");
    refuses(&folder, &app("linux: { require: [device-key] }"), "nobody_passes", "[measurement, device-key]");
    refuses(
        &folder,
        &app("linux: { require: [measurement], id: com.example.shop }"),
        "does_nothing",
        "take the line out",
    );
    refuses(
        &folder,
        &app("ios: { id: ABCDE12345.com.example.shop, require: [measurement] }"),
        "does_nothing",
        "take the line out",
    );
    refuses(&folder, &app("ios: { id: com.example.shop }"), "invalid_value", "ABCDE12345.com.example.shop");
    refuses(
        &folder,
        &app(&format!("ios: {{ signers: [\"sha256:{}\"] }}", "ab".repeat(32))),
        "does_nothing",
        "take the line out",
    );
    refuses(&folder, &android("signers: []"), "empty_list", "name one");
    refuses(&folder, &android("signers: [\"sha256:12\"]"), "invalid_value", "64 hexadecimal digits");
    refuses(&folder, &android("signer: x"), "unknown_field", "write signers:");
    refuses(&folder, &android("min_version: \"v3\""), "invalid_value", "\"3.2\"");
    refuses(&folder, &android("weigh: { measurement: affirming }"), "measurement_alone", "write warning");
    let back = "weigh: { measurement: warning }, danger_affirm_measurement_alone: true";
    refuses(&folder, &android(back), "does_nothing", "one of the two");
    refuses(&folder, &android("findings: { tracer: forgive }"), "invalid_value", "");
    refuses(&folder, &android("findings: { debugger: fail }"), "unknown_field", "tracer");
}

#[test]
fn apps_have_an_evidence_policy_for_each_platform() {
    let folder = Folder::new();
    let signer = format!("sha256:{}", "ab".repeat(32));
    let text = with(
        "      linux: { require: [measurement] }",
        &format!(
            "      min_version: \"3.2\"\n      linux: {{ require: [measurement, device-key], findings: {{ root: ignore, emulator: fail }} }}\n      \
             android: {{ id: com.example.shop, signers: [\"{signer}\"], require: [measurement], min_version: \"4.0\" }}\n      \
             ios: {{ id: ABCDE12345.com.example.shop }}"
        ),
    );
    let loaded = folder.load(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["nobody_passes"]);
    let app = &loaded.settings.attestation.as_ref().unwrap().apps["shop"];
    let linux = &app.platforms[&Platform::Linux].evidence;
    assert_eq!((linux.findings.root, linux.findings.emulator), (FindingCost::Ignore, FindingCost::Fail));
    assert_eq!(linux.findings.tracer, FindingCost::Fail);
    assert!(linux.require.contains(EvidenceKind::DeviceKey) && !linux.danger_affirm_measurement_alone);
    assert_eq!(linux.min_version.as_deref(), Some("3.2"));
    let android = &app.platforms[&Platform::Android];
    assert_eq!((android.id.as_deref(), android.signers.as_slice()), (Some("com.example.shop"), &[[0xab; 32]][..]));
    assert_eq!(android.evidence.min_version.as_deref(), Some("4.0"));
    assert_eq!(app.platforms[&Platform::Ios].evidence.require, EvidenceKinds::EMPTY);
}

#[test]
fn private_keys_are_sealed_or_open() {
    let folder = Folder::new();
    for (word, concealment) in [("sealed", Concealment::Sealed), ("open", Concealment::Open)] {
        let text = with("lifetime: 5m", &format!("algorithm: EdDSA, concealment: {word}, claims: {{ did: false }}"));
        let token = folder.load(text).unwrap_or_else(|report| panic!("{report}")).settings.attestation.unwrap().token;
        assert_eq!(token.concealment, concealment);
        assert!(!token.claims.did && token.claims.app && !token.claims.ipk);
    }
}

#[test]
fn the_example_of_two_machines_is_one_of_them() {
    let folder = Folder::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/configurations");
    for (from, to) in [("cert.pem", "fullchain.pem"), ("cert.pem", "internal-roots.pem"), ("key.pem", "privkey.pem")] {
        folder.write(&format!("tls/{to}"), std::fs::read(folder.path(&format!("tls/{from}"))).unwrap(), 0o600);
    }
    folder.write("secrets/service-unlock.key", std::fs::read(folder.path("secrets/kek.key")).unwrap(), 0o600);
    folder.write("secrets/database.url", "postgres://assay:x@db.internal/assay?sslmode=require\n", 0o600);
    folder.write("secrets/redis.url", "rediss://assay:x@redis.internal\n", 0o600);
    folder.write("policies/shop.yaml", std::fs::read(root.join("policies/shop.yaml")).unwrap(), 0o644);
    let text = std::fs::read_to_string(root.join("two-machines.yaml")).unwrap();
    let loaded = folder.load(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    assert!(loaded.settings.state.database.is_some_and(|database| database.url.tls() && database.ca_file.is_some()));
}
