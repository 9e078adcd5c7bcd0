use attest_core::random::SeededRandom;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

use super::*;
use crate::kit::{NOW, Sample, p256};
use crate::{ApplyError, Recipe, RecipeText};

const ENDPOINT: &str = "https://auth.example.com/oauth/token";

fn text(authentication: ClientAuthentication) -> RecipeText {
    RecipeText::Oauth2ClientCredentials {
        token_endpoint: ENDPOINT.to_owned(),
        client_id: "my app".to_owned(),
        authentication,
        algorithm: (authentication == ClientAuthentication::PrivateKeyJwt).then_some(JwtAlgorithm::ES256),
        key_id: (authentication == ClientAuthentication::PrivateKeyJwt).then(|| "k1".to_owned()),
        scope: Some("read write".to_owned()),
        audience: None,
        parameters: BTreeMap::from([("resource".to_owned(), "https://api.example.com/".to_owned())]),
        name: "Authorization".to_owned(),
        template: "Bearer {token}".to_owned(),
    }
}

fn request(text: &RecipeText, secret: &[u8]) -> TokenRequest {
    let credential = Recipe::parse(text).unwrap().credential(secret).unwrap();
    credential.token_request(NOW, &SeededRandom::new(1)).unwrap().unwrap()
}

fn body(request: &TokenRequest) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

fn authorization(request: &TokenRequest) -> Option<&str> {
    let header = request.headers.iter().find(|(name, _)| name == "authorization");
    header.map(|(_, value)| value.to_str().unwrap())
}

fn changed(change: impl FnOnce(&mut RecipeText)) -> Result<Recipe, RecipeError> {
    let mut text = text(ClientAuthentication::Basic);
    change(&mut text);
    Recipe::parse(&text)
}

#[test]
fn refuses_endpoints_in_the_clear_and_urls_with_more_in_them() {
    for bad in [
        "http://auth.example.com/token",
        "https://auth.example.com",
        "https://user@auth.example.com/token",
        "https://auth.example.com/token?a=b",
        "https://auth.example.com/token#x",
        "https://auth.example.com/../token",
        "https://auth.example.com//token",
        "https://auth.example.com/%74oken",
        "https://auth.example.com:0/token",
        "https://auth.example.com:+443/token",
        "https://auth.example.com:/token",
        "ftp://auth.example.com/token",
        "https:///token",
        "auth.example.com/token",
    ] {
        let set = |text: &mut RecipeText| match text {
            RecipeText::Oauth2ClientCredentials { token_endpoint, .. } => *token_endpoint = bad.to_owned(),
            _ => unreachable!(),
        };
        assert!(matches!(changed(set), Err(RecipeError::NotAnEndpoint { .. })), "{bad}");
    }
    for good in ["http://127.0.0.1:8080/t", "http://[::1]:1/t", "http://localhost/t", "https://a.example:8443/t/v2.0"] {
        assert_eq!(TokenEndpoint::parse(good).unwrap().to_string(), good);
    }
    assert_eq!(
        TokenEndpoint::parse("https://AUTH.example.com.:443/t").unwrap().to_string(),
        "https://auth.example.com/t"
    );
}

#[test]
fn refuses_parameters_that_say_again_what_members_say() {
    for name in ["grant_type", "client_secret", "scope", "client_assertion", "a b", ""] {
        let set = |text: &mut RecipeText| match text {
            RecipeText::Oauth2ClientCredentials { parameters, .. } => {
                parameters.insert(name.to_owned(), "x".to_owned());
            }
            _ => unreachable!(),
        };
        assert!(matches!(changed(set), Err(RecipeError::Member { .. })), "{name}");
    }
}

#[test]
fn refuses_an_algorithm_without_an_assertion_and_an_assertion_without_one() {
    for (way, algorithm_text) in [
        (ClientAuthentication::Basic, Some(JwtAlgorithm::RS256)),
        (ClientAuthentication::PrivateKeyJwt, None),
        (ClientAuthentication::PrivateKeyJwt, Some(JwtAlgorithm::HS256)),
    ] {
        let set = |text: &mut RecipeText| match text {
            RecipeText::Oauth2ClientCredentials { authentication, algorithm, .. } => {
                (*authentication, *algorithm) = (way, algorithm_text);
            }
            _ => unreachable!(),
        };
        assert!(matches!(changed(set), Err(RecipeError::Member { member: "algorithm", .. })), "{way:?}");
    }
}

/// RFC 6749 section 4.4.2.
#[test]
fn basic_is_what_the_rfc_s_example_says() {
    let text = RecipeText::Oauth2ClientCredentials {
        token_endpoint: ENDPOINT.to_owned(),
        client_id: "s6BhdRkqt3".to_owned(),
        authentication: ClientAuthentication::Basic,
        algorithm: None,
        key_id: None,
        scope: None,
        audience: None,
        parameters: BTreeMap::new(),
        name: "authorization".to_owned(),
        template: "Bearer {token}".to_owned(),
    };
    let recipe = Recipe::parse(&text).unwrap();
    let crate::recipe::Kind::ClientCredentials(kind, _) = recipe.kind() else { unreachable!() };
    // The example's secret is shorter than a record's may be.
    let (client, _) = kind.ready(b"gX1fBat3bV").unwrap();
    let request = client.token_request(NOW, &SeededRandom::new(1)).unwrap();
    assert_eq!(authorization(&request), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
    assert_eq!(body(&request), "grant_type=client_credentials");
}

#[test]
fn basic_escapes_both_halves_and_sends_what_the_recipe_fixes() {
    let request = request(&text(ClientAuthentication::Basic), b"s3cret:with/+colon ok");
    let basic = BASE64.decode(&authorization(&request).unwrap().as_bytes()[6..]).unwrap();
    assert_eq!(String::from_utf8(basic).unwrap(), "my%20app:s3cret%3Awith%2F%2Bcolon%20ok");
    let form = "grant_type=client_credentials&scope=read%20write&resource=https%3A%2F%2Fapi.example.com%2F";
    assert_eq!(body(&request), form);
    assert_eq!(request.endpoint.to_string(), ENDPOINT);
    assert!(request.headers.iter().all(|(name, value)| name != "authorization" || value.is_sensitive()));
    assert!(!format!("{request:?}").contains("s3cret"));
}

#[test]
fn in_the_body_the_secret_is_a_parameter_and_nowhere_else() {
    let request = request(&text(ClientAuthentication::Body), b"s3cret-0123456789&x=y");
    assert_eq!(authorization(&request), None);
    assert!(body(&request).ends_with("&client_id=my%20app&client_secret=s3cret-0123456789%26x%3Dy"));
}

#[test]
fn an_assertion_is_signed_for_this_endpoint_and_good_for_one_use() {
    attest_core::install_crypto();
    let (private, public) = p256();
    let text = text(ClientAuthentication::PrivateKeyJwt);
    let credential = Recipe::parse(&text).unwrap().credential(private.as_bytes()).unwrap();
    let random = SeededRandom::new(1);
    let assertion = || {
        let request = credential.token_request(NOW, &random).unwrap().unwrap();
        assert!(body(&request).contains("&client_id=my%20app&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth"));
        body(&request).split_once("client_assertion=").unwrap().1.to_owned()
    };
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[ENDPOINT]);
    validation.validate_exp = false;
    let decoded =
        |token: &str| decode::<Value>(token.as_bytes(), &DecodingKey::from_ec_der(&public), &validation).unwrap();
    let (one, two) = (decoded(&assertion()), decoded(&assertion()));
    assert_eq!(one.header.kid.as_deref(), Some("k1"));
    assert_eq!((&one.claims["iss"], &one.claims["sub"]), (&"my app".into(), &"my app".into()));
    assert_eq!(one.claims["exp"], NOW.secs() + 300);
    assert_ne!(one.claims["jti"], two.claims["jti"]);
}

#[test]
fn the_secret_itself_never_goes_to_the_api() {
    let sample = Sample::get("/v1");
    assert_eq!(sample.with(&text(ClientAuthentication::Basic), b"s3cret-0123456789"), Err(ApplyError::NeedsToken));
}
