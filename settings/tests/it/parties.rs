//! Callers, users and candidates: what each has to show, and that no secret stands in the file or in a report.

use std::time::Duration;

use settings::{
    AltName, CallerProof, CertificateProof, ClaimValue, CredentialSource, SignatureEncoding, UserSource, WebhookScheme,
};

use crate::folder::{Folder, with};

/// What an operator pastes where a hash belongs.
const PASTED: &str = "k_live_9f3e-something-long-enough";
const WEBHOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// SHA-256 of `partner-secret-1`.
fn hash() -> String {
    hash_of("partner-secret-1")
}

fn hash_of(text: &str) -> String {
    data_encoding::HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

/// The good file with these callers, all of which `shop-api` knows.
fn callers(fields: &str) -> String {
    let text = with("state: { dir: state }", &format!("state: {{ dir: state }}\ncallers: {{ acme: {{ {fields} }} }}"));
    knowing(&text, "acme")
}

fn knowing(text: &str, names: &str) -> String {
    let own = "    match: { host: api.example.com, path: \"/**\" }\n";
    let rule = "        - { name: genuine, when: { verdict: attested }, then: allow }\n";
    text.replace(own, &format!("{own}    callers: [{names}]\n")).replace(
        rule,
        &format!("{rule}        - {{ name: known, when: {{ verdict: any, caller: any }}, then: allow }}\n"),
    )
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("secrets/hook.secret", format!("{WEBHOOK}\n"), 0o600);
    folder.write("idp.jwks", IDP, 0o644);
    folder
}

/// A public key of no consequence.
const IDP: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// The same with an issuer of JWTs.
fn idp(text: &str, fields: &str) -> String {
    text.replace(
        "issuers:\n",
        &format!("issuers:\n  idp: {{ profile: jwt, keys: {{ jwks_file: idp.jwks }}, max_lifetime: 1h{fields} }}\n"),
    )
}

const OURS: &str = ", issuer: https://idp.example.com, audience: orders";

#[test]
fn a_caller_proves_itself_in_one_way() {
    let folder = folder();
    folder.refuses(callers(""), "caller_proof", "for a partner");
    let two =
        format!("bearer: {{ sha256: [{}] }}, webhook: {{ scheme: github, secret_file: secrets/hook.secret }}", hash());
    folder.refuses(callers(&two), "caller_proof", "two callers");
    let beside = callers(&format!("bearer: {{ sha256: [{}] }}, network: 203.0.113.0/24", hash()));
    folder.refuses(beside, "unknown_field", "an address proves nobody");
    let any = callers(&format!("bearer: {{ sha256: [{}] }}", hash())).replace("acme", "any");
    folder.refuses(any, "bad_name", "choose another name");
}

#[test]
fn a_secret_in_place_of_its_hash_is_refused_and_not_shown() {
    let folder = folder();
    let told = |text: String, code: &str, remedy: &str| {
        let told = folder.refuses(text, code, remedy);
        assert!(!told.contains(PASTED), "{told}");
    };
    told(callers(&format!("bearer: {{ sha256: [\"{PASTED}\"] }}")), "not_a_hash", "it has to be changed");
    told(
        callers(&format!("bearer: {{ secret: \"{PASTED}\", sha256: [{}] }}", hash())),
        "unknown_field",
        "only its hash",
    );
    told(callers(&format!("bearer: \"{PASTED}\"")), "invalid_value", "never the secret");
    told(
        callers(&format!("token: \"{PASTED}\", bearer: {{ sha256: [{}] }}", hash())),
        "unknown_field",
        "never the token",
    );
    told(
        callers(&format!("webhook: {{ scheme: github, secret: \"{PASTED}\", secret_file: secrets/hook.secret }}")),
        "unknown_field",
        "secret_file:",
    );
    // Beside another mistake of the same line, too.
    let report = folder.load(callers(&format!("bearer: {{ sha256: [\"{PASTED}\"], frm: [x] }}"))).err().unwrap();
    let text = report.to_string();
    assert!(text.contains("did you mean `from`?") && !text.contains(PASTED), "{text}");
    // And in a file.
    folder.write("acme.sha256", format!("{}\n{PASTED}\n", hash()), 0o644);
    told(callers("bearer: { sha256_file: acme.sha256 }"), "not_a_hash", "64 hexadecimal digits");
    // One that looks like a hash, beside its hash.
    let hex = "0123456789abcdef".repeat(4);
    let both = folder.refuses(
        callers(&format!("bearer: {{ sha256: [{hex}, {}] }}", hash_of(&hex))),
        "inline_secret",
        "change the secret",
    );
    assert!(!both.contains(&hex), "{both}");
}

#[test]
fn hashes_are_whole_lower_case_different_and_of_something() {
    let folder = folder();
    let bearer = |hashes: &str| callers(&format!("bearer: {{ sha256: [{hashes}] }}"));
    folder.refuses(bearer(&hash().to_uppercase()), "not_a_hash", "lower case");
    folder.refuses(bearer(&format!("\"sha256:{}\"", hash())), "not_a_hash", "nothing before");
    folder.refuses(bearer(&hash()[2..]), "not_a_hash", "64 hexadecimal digits");
    folder.refuses(bearer(""), "empty_list", "name 1 to 16");
    folder.refuses(bearer(&format!("{0}, {0}", hash())), "duplicate", "take one");
    for nothing in [hash_of(""), hash_of("\n"), "00".repeat(32)] {
        folder.refuses(bearer(&format!("\"{nothing}\"")), "not_a_hash", "openssl rand -hex 32");
    }
    let many: Vec<_> = (0..17).map(|n| hash_of(&n.to_string())).collect();
    folder.refuses(bearer(&many.join(", ")), "too_many", "several callers");
    folder.refuses(callers("bearer: { }"), "missing_field", "sha256sum");
    folder.refuses(
        callers(&format!("bearer: {{ sha256: [{}], sha256_file: x }}", hash())),
        "missing_field",
        "sha256sum",
    );
    folder.refuses(callers("bearer: { sha256_file: missing }"), "unreadable_file", "");
    let from = |from: &str| callers(&format!("bearer: {{ sha256: [{}], from: {from} }}", hash()));
    folder.refuses(from("[\"query:key\"]"), "invalid_value", "header");
    folder.refuses(from("[]"), "empty_list", "[bearer]");
    folder.refuses(from("[Assay-Token]"), "same_place", "a header of its own");
    folder.refuses(from("[X-A, x-a]"), "duplicate", "take one");

    folder.write("acme.sha256", format!("# old\n{}  # new below\n\n{}\n", hash(), hash_of("2")), 0o644);
    let (settings, warnings) =
        folder.takes(callers("bearer: { sha256_file: acme.sha256, from: [bearer, Partner-Key] }"));
    assert_eq!(warnings, [""; 0]);
    let CallerProof::Bearer(bearer) = &settings.callers["acme"].proof else { panic!() };
    assert_eq!(bearer.sha256.len(), 2);
    assert_eq!(bearer.from, [CredentialSource::Bearer, CredentialSource::Header("partner-key".parse().unwrap())]);
    assert_eq!(settings.route("shop-api").unwrap().callers, ["acme"]);
    assert!(settings.sources.contains(&folder.path("acme.sha256")));
}

#[test]
fn certificates_need_a_listener_that_asks_for_them() {
    let folder = folder();
    let asked = |fields: &str| {
        callers(&format!("client_certificate: {{ {fields} }}"))
            .replace("key: tls/key.pem }", "key: tls/key.pem, client_ca_file: tls/cert.pem }")
    };
    let names = "subject_alt_name: [\"dns:Partner.example.com\", \"uri:spiffe://example.com/orders\"]";
    folder.refuses(callers(&format!("client_certificate: {{ {names} }}")), "no_client_ca", "client_ca_file:");
    folder.refuses(
        asked(names).replace("client_ca_file: tls/cert.pem", "client_ca_file: tls/key.pem"),
        "not_a_certificate",
        "PEM",
    );
    folder.refuses(asked(""), "missing_field", "subject_alt_name:");
    folder.refuses(asked(&format!("{names}, sha256: [{}]", hash())), "missing_field", "subject_alt_name:");
    folder.refuses(asked("subject_alt_name: [\"dns:*.example.com\"]"), "invalid_value", "compared whole");
    folder.refuses(asked("subject_alt_name: []"), "empty_list", "name 1 to 64");
    folder.refuses(asked(&format!("sha256: [{0}, {0}]", hash())), "duplicate", "take one");
    folder.refuses(asked(&format!("{names}, san: [a]")), "unknown_field", "subject_alt_name:");
    let (settings, warnings) = folder.takes(asked(names));
    assert_eq!(warnings, [""; 0]);
    let uri = AltName::Uri("spiffe://example.com/orders".into());
    assert_eq!(
        settings.callers["acme"].proof,
        CallerProof::ClientCertificate(CertificateProof::SubjectAltName(vec![
            AltName::Dns("partner.example.com".into()),
            uri
        ]))
    );
    assert_eq!(settings.listeners.public.unwrap().client_ca_file, Some(folder.path("tls/cert.pem")));
}

#[test]
fn jwts_of_callers_are_made_for_us_by_an_issuer_that_exists() {
    let folder = folder();
    let jwt = |fields: &str| idp(&callers(&format!("jwt: {{ {fields} }}")), OURS);
    folder.refuses(jwt("issuer: ipd, subject: [a]"), "unknown_name", "did you mean `idp`?");
    folder.refuses(jwt("issuer: moving, subject: [a]"), "not_a_jwt_issuer", "profile: jwt");
    folder.refuses(jwt("subject: [a]"), "missing_field", "issuer:");
    for unbound in ["", ", issuer: a", ", audience: a"] {
        let text = idp(&callers("jwt: { issuer: idp, subject: [a] }"), unbound);
        folder.refuses(text, "any_audience", "audience:");
    }
    folder.refuses(jwt("issuer: idp, subject: []"), "empty_list", "name 1 to 64");
    folder.refuses(jwt("issuer: idp, subject: [a, a]"), "duplicate", "take one");
    folder.refuses(jwt("issuer: idp, claims: { sub: a }"), "bad_name", "subject:");
    folder.refuses(jwt("issuer: idp, claims: { aud: a }"), "bad_name", "under `issuers`");
    folder.refuses(jwt("issuer: idp, claims: { roles: [] }"), "empty_list", "name 1 to 64");
    folder.refuses(jwt("issuer: idp, claims: { roles: { a: b } }"), "invalid_value", "");
    folder.refuses(jwt("issuer: idp, audience: a"), "unknown_field", "it belongs to the issuer");
    assert_eq!(folder.takes(jwt("issuer: idp")).1, ["any_subject"]);
    let (settings, warnings) = folder.takes(jwt(
        "issuer: idp, subject: [orders], claims: { roles: [read, write], level: 2, \"https://a/b\": true }",
    ));
    assert_eq!(warnings, [""; 0]);
    let CallerProof::Jwt(jwt) = &settings.callers["acme"].proof else { panic!() };
    assert_eq!(jwt.claims["roles"], [ClaimValue::Text("read".into()), ClaimValue::Text("write".into())]);
    assert_eq!(
        (&jwt.claims["level"][..], &jwt.claims["https://a/b"][..]),
        (&[ClaimValue::Number(2)][..], &[ClaimValue::Bool(true)][..])
    );
    assert_eq!(jwt.from, [CredentialSource::Bearer]);
}

#[test]
fn webhooks_have_private_secrets_and_a_bounded_time() {
    let folder = folder();
    let hook = |fields: &str| callers(&format!("webhook: {{ secret_file: secrets/hook.secret, {fields} }}"));
    folder.refuses(hook("tolerance: 5m"), "missing_field", "stripe, github");
    folder.refuses(hook("scheme: stripee"), "invalid_value", "did you mean `stripe`?");
    folder.refuses(hook("scheme: stripe, tolerance: 9s"), "out_of_bounds", "10s to 1h");
    folder.refuses(hook("scheme: stripe, tolerance: 2h"), "out_of_bounds", "10s to 1h");
    folder.refuses(hook("scheme: stripe, tolerance: 0s"), "invalid_value", "");
    folder.refuses(hook("scheme: github, tolerance: 5m"), "does_nothing", "take the line out");
    folder.refuses(hook("scheme: stripe, header: X-Signature"), "does_nothing", "scheme: hmac");
    folder.refuses(hook("scheme: hmac"), "missing_field", "X-Signature");
    folder.refuses(hook("scheme: hmac, header: X-S, timestamp_header: x-s"), "duplicate", "each");
    folder.refuses(
        hook("scheme: hmac, header: X-S, signed: \"{timestamp}.{body}\""),
        "unsigned_time",
        "timestamp_header",
    );
    folder.refuses(
        hook("scheme: hmac, header: X-S, timestamp_header: X-T, signed: \"{body}\""),
        "unsigned_time",
        "{timestamp}",
    );
    folder.refuses(hook("scheme: hmac, header: X-S, signed: \"{payload}\""), "invalid_value", "{body}");
    folder.refuses(hook("scheme: stripe, max_body: 33MiB"), "out_of_bounds", "bytes");
    folder.refuses(hook("scheme: stripe, max_body: 512B"), "out_of_bounds", "bytes");
    folder.refuses(callers("webhook: { scheme: stripe }"), "missing_field", "secret_file:");
    folder.refuses(callers("webhook: { scheme: stripe, secret_files: [] }"), "empty_list", "being replaced");
    let twice = "webhook: { scheme: stripe, secret_files: [secrets/hook.secret, secrets/hook.secret] }";
    folder.refuses(callers(twice), "duplicate", "take one");
    for (text, mode, code, remedy) in [
        (WEBHOOK, 0o644, "unreadable_file", "chmod 600"),
        ("short", 0o600, "bad_secret_file", "16 to 512"),
        ("two lines\nof it and more", 0o600, "bad_secret_file", "one line"),
        ("", 0o600, "bad_secret_file", "one line"),
    ] {
        folder.write("secrets/hook.secret", text, mode);
        folder.refuses(hook("scheme: stripe"), code, remedy);
    }
    folder.write("secrets/hook.secret", "sixteen-letters!!", 0o600);
    folder.refuses(hook("scheme: standard"), "bad_secret_file", "base64");
    for bad in [
        "fifteen-letters",
        " a blank before it",
        "a blank behind it ",
        "two lines\nof a secret",
        "a tab\tin the middle",
    ] {
        folder.write("secrets/hook.secret", bad, 0o600);
        folder.refuses(hook("scheme: github"), "bad_secret_file", "as the sender shows it");
    }
    folder.write("secrets/hook.secret", "It's a Secret to Everybody\n", 0o600);
    let CallerProof::Webhook(github) = &folder.takes(hook("scheme: github")).0.callers["acme"].proof else { panic!() };
    assert_eq!(github.secrets[0].expose(), b"It's a Secret to Everybody");
    folder.write("secrets/hook.secret", format!("{WEBHOOK}\n"), 0o600);
    folder.takes(hook("scheme: standard"));

    let (settings, warnings) = folder.takes(hook("scheme: stripe"));
    assert_eq!(warnings, [""; 0]);
    let CallerProof::Webhook(stripe) = &settings.callers["acme"].proof else { panic!() };
    assert_eq!(
        (stripe.header.as_str(), stripe.tolerance, stripe.max_body),
        ("stripe-signature", Duration::from_secs(300), 64 << 10)
    );
    assert_eq!(stripe.secrets[0].expose(), WEBHOOK.as_bytes());
    assert!(stripe.has_time());
    assert!(!format!("{settings:?}").contains(WEBHOOK), "a secret never prints");
    assert!(settings.sources.contains(&folder.path("secrets/hook.secret")), "it is watched");

    let fields = "scheme: hmac, header: X-S, encoding: base64, prefix: \"v0=\", timestamp_header: X-T, signed: \"v0:{timestamp}:{body}\"";
    let (settings, _) = folder.takes(hook(fields));
    let CallerProof::Webhook(own) = &settings.callers["acme"].proof else { panic!() };
    let WebhookScheme::Hmac(hmac) = &own.scheme else { panic!() };
    assert_eq!((hmac.encoding, hmac.prefix.as_str()), (SignatureEncoding::Base64, "v0="));
    assert!(own.has_time());
    assert_eq!(folder.takes(hook("scheme: hmac, header: X-S")).1, ["replayable"]);
}

#[test]
fn what_proves_two_callers_proves_none() {
    let folder = folder();
    let two = |one: &str, other: &str| {
        knowing(
            &with(
                "state: { dir: state }",
                &format!("state: {{ dir: state }}\ncallers:\n  one: {{ {one} }}\n  two: {{ {other} }}"),
            ),
            "one, two",
        )
    };
    let bearer = format!("bearer: {{ sha256: [{}] }}", hash());
    let told = folder.refuses(two(&bearer, &bearer), "same_proof", "its own secret");
    assert!(told.contains("`two` proves `one`") || told.contains("what proves `two`"), "{told}");
    let hook = "webhook: { scheme: stripe, secret_file: secrets/hook.secret }";
    folder.refuses(two(hook, hook), "same_proof", "its own secret");
    folder.takes(two(&bearer, hook));
}

#[test]
fn routes_know_callers_by_name() {
    let folder = folder();
    let good = callers(&format!("bearer: {{ sha256: [{}] }}", hash()));
    folder.refuses(good.replace("callers: [acme]", "callers: [acne]"), "unknown_name", "did you mean `acme`?");
    folder.refuses(good.replace("callers: [acme]", "callers: [acme, acme]"), "duplicate", "take one");
    folder.refuses(
        good.replace("callers: [acme]", "callers: []").replace("caller: any", "method: GET"),
        "empty_list",
        "name those",
    );
    folder.refuses(
        good.replace("callers: [acme]", "callers: acme").replace("caller: any", "method: GET"),
        "invalid_value",
        "[acme]",
    );
    let named = folder.load(good.replace("caller: any", "caller: [acne]")).err().unwrap().to_string();
    assert!(named.contains("acne"), "{named}");
}

#[test]
fn a_policy_file_may_name_the_callers_of_every_route_that_uses_it() {
    let folder = folder();
    folder.write(
        "policies/old.yaml",
        "default: block\nrules:\n  - { name: genuine, when: { verdict: attested }, then: allow }\n  - { name: acme, when: { verdict: any, caller: acme }, then: allow }\n",
        0o644,
    );
    let acme = callers(&format!("bearer: {{ sha256: [{}] }}", hash()));
    let told = folder.load(&acme).err().unwrap().to_string();
    assert!(told.contains("`old-shop`"), "no route that uses it knows him: {told}");
    let shared = acme.replace(
        "  old-shop:\n",
        "  orders:\n    match: { host: api.example.com, path: /orders }\n    upstream: shop\n    callers: [acme]\n    policy: policies/old.yaml\n  old-shop:\n",
    );
    let (settings, warnings) = folder.takes(shared);
    assert_eq!(warnings, [""; 0]);
    assert!(settings.route("old-shop").unwrap().callers.is_empty());
}

#[test]
fn a_user_is_vouched_for_by_another_than_the_app() {
    let folder = folder();
    let user = |fields: &str| {
        let own = "    match: { host: api.example.com, path: \"/**\" }\n";
        idp(&with(own, &format!("{own}    user: {{ {fields} }}\n")), OURS)
    };
    folder.refuses(user("required: true"), "missing_field", "issuer:");
    folder.refuses(user("issuer: own"), "unknown_name", "our own tokens are for apps");
    folder.refuses(user("issuer: moving"), "not_a_jwt_issuer", "profile: jwt");
    folder.refuses(user("issuer: idp, from: [Assay-Token]"), "same_place", "User-Token");
    folder.refuses(user("issuer: idp, claims: { a: b }"), "unknown_field", "rules ask for them");
    folder.refuses(user("issuer: idp, required: yes"), "invalid_value", "write true");
    folder.refuses(
        idp(
            &with(
                "token: { issuer: moving, bind: [Authorization] }",
                "token: { issuer: idp }\n    user: { issuer: idp, from: [User-Token] }",
            ),
            OURS,
        ),
        "same_issuer",
        "your users' tokens",
    );
    let (settings, warnings) = folder.takes(user("issuer: idp, required: true"));
    assert_eq!(warnings, [""; 0]);
    let expected = UserSource { issuer: "idp".into(), from: vec![CredentialSource::Bearer], required: true };
    assert_eq!(settings.route("shop-api").unwrap().user, Some(expected));
}

#[test]
fn a_secret_in_a_header_condition_is_shown_in_no_report() {
    let folder = folder();
    let rule = |rest: &str| {
        format!(
            "{{ name: partner, when: {{ verdict: missing, header: {{ X-Partner: sk-live-12345 }}{rest} }}, then: allow }}"
        )
    };
    let here = with(
        "        - { name: genuine, when: { verdict: attested }, then: allow }\n",
        &format!("        - {}\n", rule("")),
    );
    let told = folder.refuses(here, "credential_header", "`callers:`");
    assert!(!told.contains("sk-live"), "{told}");
    folder.write("policies/old.yaml", format!("default: block\nrules:\n  - {}\n", rule(", paht: /a")), 0o644);
    let told = folder.load(crate::folder::GOOD).unwrap_err().to_string();
    assert!(told.contains("no field `paht`") && !told.contains("sk-live"), "{told}");
}

/// On the other route it would pass for an app, and open its key.
#[test]
fn who_vouches_for_apps_on_any_route_vouches_for_no_user_and_no_caller() {
    let folder = folder();
    let apps = |issuer: &str, text: &str| {
        text.replace("token: { issuer: moving, bind: [Authorization] }", &format!("token: {{ issuer: {issuer} }}"))
    };
    let own = "    match: { host: api.example.com, path: \"/**\" }\n";
    let user = idp(&with(own, &format!("{own}    user: {{ issuer: idp }}\n")), OURS);
    let caller = idp(&callers("jwt: { issuer: idp, subject: [orders] }"), OURS);
    for text in [&user, &caller] {
        let told = folder.refuses(apps("idp", text), "same_issuer", "another `audience`");
        assert!(told.contains("route `old-shop`"), "{told}");
        // Also under another name.
        let twin = "issuers:\n  twin: { profile: jwt, keys: { jwks_file: idp.jwks }, max_lifetime: 1h";
        let alias = |ours: &str| text.replace("issuers:\n", &format!("{twin}{ours} }}\n"));
        folder.refuses(apps("twin", &alias(OURS)), "same_issuer", "another `audience`");
        folder.takes(apps("twin", &alias(", issuer: https://idp.example.com, audience: apps")));
    }
}

#[test]
fn a_candidate_is_another_policy_with_its_own_problems() {
    let folder = folder();
    let candidate = |value: &str| {
        with("    policy: policies/old.yaml\n", &format!("    policy: policies/old.yaml\n    candidate: {value}\n"))
    };
    folder.refuses(candidate("policies/old.yaml"), "does_nothing", "to be tried");
    folder.refuses(candidate("policies/none.yaml"), "unreadable_file", "relative");
    folder.refuses(candidate("[a]"), "wrong_type", "policies/shop.yaml");
    folder.write(
        "policies/next.yaml",
        "default: block\nrules: [{ name: a, when: { verdict: atested }, then: allow }]\n",
        0o644,
    );
    let told = folder.load(candidate("policies/next.yaml")).err().unwrap().to_string();
    assert!(told.contains("next.yaml:1:") || told.contains("next.yaml:2:"), "{told}");
    folder.write("policies/next.yaml", "default: block\nrules: [{ name: newer, when: { verdict: attested, app_version: { min: \"3.2\" } }, then: allow }]\n", 0o644);
    let (settings, _) = folder.takes(candidate("policies/next.yaml"));
    let route = settings.route("old-shop").unwrap();
    assert_eq!(route.candidate.as_ref().unwrap().rule_names().collect::<Vec<_>>(), ["newer"]);
    assert_eq!(route.policy.rule_names().collect::<Vec<_>>(), ["genuine"]);
    assert!(settings.sources.contains(&folder.path("policies/next.yaml")));
}

#[test]
fn the_example_of_partners_loads_without_a_warning() {
    let folder = folder();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/configurations");
    let certificate = std::fs::read(folder.path("tls/cert.pem")).unwrap();
    folder.write("tls/fullchain.pem", &certificate, 0o644);
    folder.write("tls/partners-ca.pem", &certificate, 0o644);
    folder.write("tls/privkey.pem", std::fs::read(folder.path("tls/key.pem")).unwrap(), 0o600);
    folder.write("secrets/service-unlock.key", std::fs::read(folder.path("secrets/kek.key")).unwrap(), 0o600);
    folder.write("secrets/stripe.secret", WEBHOOK, 0o600);
    for name in ["rules/datacentres.yaml", "lists/datacentres.txt", "accounts.jwks"] {
        std::fs::create_dir_all(folder.path(name).parent().unwrap()).unwrap();
        folder.write(name, std::fs::read(root.join(name)).unwrap(), 0o644);
    }
    let (settings, warnings) = folder.takes(std::fs::read_to_string(root.join("partners.yaml")).unwrap());
    assert_eq!(warnings, [""; 0]);
    let shop = settings.route("shop").unwrap();
    assert_eq!(shop.policy.rule_names().next(), Some("datacentres"), "included in its place");
    assert!(shop.candidate.is_some() && shop.user.is_some() && shop.guard.is_some());
    assert_eq!((settings.callers.len(), shop.callers.len()), (3, 2));
    assert!(shop.policy.uses_list("datacentres") && shop.policy.uses_list("offices"));
    let again = settings::load_bundle(&folder.path("assay.yaml"), &settings.bundle, &settings::Overrides::default());
    assert_eq!(again.unwrap_or_else(|report| panic!("{report}")).settings.digest, settings.digest);
}
