use proptest::prelude::*;

use super::*;
use crate::kit::{NOW, SECRET, Sample};

fn all() -> Vec<(&'static str, &'static str, Needs)> {
    vec![
        (
            r#"{"kind":"header","name":"authorization","template":"Bearer {key}"}"#,
            "header authorization",
            Needs::Nothing,
        ),
        (r#"{"kind":"query","name":"key","template":"{key}"}"#, "query key", Needs::Nothing),
        (r#"{"kind":"path_segment","at":1,"template":"bot{key}"}"#, "path_segment 1", Needs::Nothing),
        (r#"{"kind":"basic","user":"{key}","password":""}"#, "basic authorization", Needs::Nothing),
        (r#"{"kind":"cookie","name":"Session","template":"{key}"}"#, "cookie Session", Needs::Nothing),
        (r#"{"kind":"json_field","pointer":"/auth/key","template":"{key}"}"#, "json_field /auth/key", Needs::WholeBody),
        (r#"{"kind":"form_field","name":"api_key","template":"{key}"}"#, "form_field api_key", Needs::WholeBody),
        (
            r#"{"kind":"oauth2_client_credentials","token_endpoint":"https://a.example/t","client_id":"me","authentication":"basic","name":"authorization","template":"Bearer {token}"}"#,
            "oauth2_client_credentials authorization from https://a.example/t",
            Needs::Minted,
        ),
        (
            r#"{"kind":"jwt_bearer","token_endpoint":"https://a.example/t","issuer":"me","algorithm":"ES256","lifetime_secs":300,"name":"authorization","template":"Bearer {token}"}"#,
            "jwt_bearer authorization from https://a.example/t",
            Needs::Minted,
        ),
        (
            r#"{"kind":"jwt_bearer","issuer":"me","algorithm":"ES256","lifetime_secs":300,"name":"authorization","template":"Bearer {token}"}"#,
            "jwt_bearer authorization",
            Needs::Nothing,
        ),
        (
            r#"{"kind":"hmac","algorithm":"sha256","secret":"text","encoding":"hex","message":"{path}","timestamp":"unix","name":"x-signature","template":"{signature}"}"#,
            "hmac x-signature",
            Needs::Nothing,
        ),
        (
            r#"{"kind":"aws_sigv4","region":"eu-central-1","service":"s3","place":"header","headers":["content-type"],"large_body":"unsigned"}"#,
            "aws_sigv4 s3 eu-central-1",
            Needs::BodyHash { large: LargeBody::Unsigned },
        ),
        (
            r#"{"kind":"aws_sigv4","region":"us-east-1","service":"s3","place":{"query":{"expires_secs":60}},"large_body":"unsigned"}"#,
            "aws_sigv4 s3 us-east-1",
            Needs::Nothing,
        ),
        (r#"{"kind":"client_certificate"}"#, "client_certificate", Needs::ClientCertificate),
    ]
}

fn read(json: &str) -> RecipeText {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn every_kind_reads_and_writes_its_canonical_text() {
    for (json, description, needs) in all() {
        let recipe = Recipe::parse(&read(json)).unwrap();
        assert_eq!(serde_json::to_string(&recipe.to_text()).unwrap(), json);
        assert_eq!(recipe.describe(), description);
        assert_eq!(recipe.needs(), needs, "{json}");
        assert_eq!(Recipe::parse(&recipe.to_text()).unwrap(), recipe);
        assert_eq!(recipe.token_endpoint().is_some(), needs == Needs::Minted);
    }
}

#[test]
fn members_that_no_kind_knows_are_refused() {
    for (json, ..) in all() {
        let more = json.replacen('{', r#"{"more":1,"#, 1);
        assert!(serde_json::from_str::<RecipeText>(&more).is_err(), "{more}");
    }
    assert!(serde_json::from_str::<RecipeText>(r#"{"kind":"none"}"#).is_err());
}

#[test]
fn writings_of_one_recipe_are_one_recipe() {
    let one = r#"{"kind":"aws_sigv4","region":"a","service":"b","place":"header","headers":["Content-Type","Accept","accept"],"large_body":"refuse"}"#;
    let other = r#"{"kind":"aws_sigv4","region":"a","service":"b","place":"header","headers":["accept","content-type"],"large_body":"refuse"}"#;
    assert_eq!(Recipe::parse(&read(one)).unwrap(), Recipe::parse(&read(other)).unwrap());
    let one = all()[7]
        .0
        .replace("https://a.example/t", "https://A.example.:443/t")
        .replace("authorization\",", "Authorization\",");
    assert_eq!(Recipe::parse(&read(&one)).unwrap(), Recipe::parse(&read(all()[7].0)).unwrap());
}

#[test]
fn what_a_client_may_not_send_is_what_the_recipe_writes() {
    let slots = |at: usize| Recipe::parse(&read(all()[at].0)).unwrap().slots().clone();
    assert!(slots(1).is_query("KEY") && slots(6).is_query("api%5Fkey") && !slots(0).is_query("key"));
    assert!(slots(10).is_header("X_Signature") && !slots(0).is_header("x-signature"));
    assert!(slots(11).is_header("x-amz-date") && slots(11).is_query("X-Amz-Expires"));
    // S3 reads a chunked upload by it: it is replaced when the request is signed, and not taken away before.
    assert!(!slots(11).is_header("x-amz-content-sha256"));
}

#[test]
fn every_kind_refuses_secrets_that_are_too_short_or_too_long() {
    for (json, ..) in all() {
        let recipe = Recipe::parse(&read(json)).unwrap();
        assert_eq!(recipe.credential(&[b'a'; 15]).unwrap_err(), SecretError::TooShort { len: 15 });
        assert_eq!(recipe.credential(&[b'a'; 8_193]).unwrap_err(), SecretError::TooLong { len: 8_193 });
    }
}

#[test]
fn recipes_that_mint_nothing_read_no_answers() {
    let recipe = Recipe::parse(&read(all()[0].0)).unwrap();
    assert_eq!(recipe.read_token_answer(200, b"{}", NOW).unwrap_err(), TokenError::NotMinted);
    let credential = recipe.credential(SECRET).unwrap();
    assert!(credential.token_request(NOW, &attest_core::random::SystemRandom).unwrap().is_none());
}

#[test]
fn a_static_header_allocates_nothing() {
    let credential = Recipe::parse(&read(all()[0].0)).unwrap().credential(SECRET).unwrap();
    let sample = Sample::get("/v1");
    let draft = sample.draft();
    drop(credential.apply(&draft));
    assert_eq!(allocation_counter::measure(|| drop(credential.apply(&draft))).count_total, 0);
}

#[test]
fn nothing_that_is_printed_has_the_secret_in_it() {
    let secret = b"AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG";
    for (json, ..) in all() {
        let recipe = Recipe::parse(&read(json)).unwrap();
        let Ok(credential) = recipe.credential(secret) else { continue };
        let sample = Sample::post("/v1?a=b", "application/json", "{}");
        let printed = format!("{credential:?} {:?} {:?}", credential.apply(&sample.draft()), sample.draft());
        assert!(!printed.contains("wJalr"), "{printed}");
    }
}

proptest! {
    #[test]
    fn no_secret_and_no_draft_makes_a_recipe_panic(
        secret in proptest::collection::vec(any::<u8>(), 16..80),
        printable in "[ -~]{16,80}",
        target in "/[a-z/%?&=+;.0-9]{0,30}",
        body in "[ -~]{0,40}",
    ) {
        for (json, ..) in all() {
            let recipe = Recipe::parse(&read(json)).unwrap();
            for secret in [&secret[..], printable.as_bytes()] {
                if let Ok(credential) = recipe.credential(secret) {
                    let _ = credential.apply(&Sample::get(&target).draft());
                    let _ = credential.apply(&Sample::post(&target, "application/json", &body).draft());
                }
            }
        }
    }
}
