//! A token from its request to its header.

use attest_core::random::SeededRandom;
use attest_core::time::UnixTime;
use recipes::{Changes, Needs, Recipe, RecipeText, TokenError};

const NOW: UnixTime = UnixTime::from_secs(1_440_938_160);

const TEXT: &str = r#"{
    "kind": "oauth2_client_credentials",
    "token_endpoint": "https://auth.example.com/oauth/token",
    "client_id": "gateway",
    "authentication": "body",
    "parameters": { "audience_id": "7" },
    "name": "Authorization",
    "template": "Bearer {token}"
}"#;

fn recipe() -> Recipe {
    Recipe::parse(&serde_json::from_str::<RecipeText>(TEXT).unwrap()).unwrap()
}

#[test]
fn a_token_is_asked_for_read_and_sent() {
    let credential = recipe().credential(b"client-secret-0123456789").unwrap();
    assert_eq!(credential.recipe().needs(), Needs::Minted);
    let request = credential.token_request(NOW, &SeededRandom::new(1)).unwrap().unwrap();
    let endpoint = (request.endpoint.host(), request.endpoint.port(), request.endpoint.path());
    assert_eq!(endpoint, ("auth.example.com", 443, "/oauth/token"));
    let form = "grant_type=client_credentials&audience_id=7&client_id=gateway&client_secret=client-secret-0123456789";
    assert_eq!(std::str::from_utf8(&request.body).unwrap(), form);

    let answer = br#"{"access_token":"minted-0123456789","token_type":"Bearer","expires_in":3600}"#;
    let token = credential.recipe().read_token_answer(200, answer, NOW).unwrap();
    assert_eq!(token.expires_at().secs(), NOW.secs() + 3_600);
    match credential.apply_minted(&token) {
        Changes::Header(name, value) => {
            assert_eq!((name.as_str(), value.as_bytes()), ("authorization", &b"Bearer minted-0123456789"[..]));
            assert!(value.is_sensitive());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_endpoint_says_is_not_repeated() {
    let error = recipe().read_token_answer(500, b"client-secret-0123456789", NOW).unwrap_err();
    assert_eq!(error, TokenError::Refused { status: 500, code: None });
    assert!(!error.to_string().contains("secret"));
}
