use proptest::prelude::*;

use super::*;
use crate::RecipeText;
use crate::kit::{SECRET, Sample};

fn query(name: &str) -> RecipeText {
    RecipeText::Query { name: name.to_owned(), template: "{key}".to_owned() }
}

fn segment(at: u8) -> RecipeText {
    RecipeText::PathSegment { at, template: "bot{key}".to_owned() }
}

fn sent(target: &str, text: &RecipeText) -> String {
    Sample::get(target).with(text, SECRET).unwrap().target.unwrap()
}

#[test]
fn refuses_names_that_are_none_and_segments_that_are_not_counted_so() {
    for name in ["", "a b", "a[]", "a=b", "a&b", "%6b", "a;b", &"a".repeat(65)] {
        assert!(matches!(Query::parse(name, "{key}"), Err(RecipeError::Member { member: "name", .. })), "{name:?}");
    }
    for at in [0, 17, 255] {
        assert!(matches!(PathSegment::parse(at, "{key}"), Err(RecipeError::Member { member: "at", .. })));
    }
}

#[test]
fn the_key_is_the_last_parameter_and_the_client_s_own_is_gone_in_every_spelling() {
    assert_eq!(sent("/maps", &query("key")), "/maps?key=sk-0123456789abcdef");
    assert_eq!(sent("/maps?q=a%20b", &query("key")), "/maps?q=a%20b&key=sk-0123456789abcdef");
    for own in ["key=mine", "KEY=mine", "%6bey=mine", "%256bey=mine", "key[]=mine", "key", "+key=mine", "api_key=mine"]
    {
        for target in [format!("/m?{own}"), format!("/m?{own}&q=1"), format!("/m?q=1&{own}"), format!("/m?q=1;{own}")] {
            let sent = sent(&target, &query("key"));
            assert!(!sent.contains("mine") && sent.matches("key").count() == 1, "{target}: {sent}");
        }
    }
}

#[test]
fn what_would_mean_something_in_a_target_is_escaped() {
    let with = |text: &RecipeText| Sample::get("/v1").with(text, b"a/b?c#d&e=f %+;\"<>:@g").unwrap().target.unwrap();
    assert_eq!(with(&query("key")), "/v1?key=a%2Fb%3Fc%23d%26e%3Df%20%25%2B%3B%22%3C%3E%3A%40g");
    assert_eq!(with(&segment(1)), "/bota%2Fb%3Fc%23d%26e%3Df%20%25%2B%3B%22%3C%3E:%40g/v1");
}

#[test]
fn the_key_is_the_segment_that_the_recipe_says() {
    for (target, at, expected) in [
        ("/getMe", 1, "/botsk-0123456789abcdef/getMe"),
        ("/a/b?q=1", 2, "/a/botsk-0123456789abcdef/b?q=1"),
        ("/a/b", 3, "/a/b/botsk-0123456789abcdef"),
        ("/a/", 2, "/a/botsk-0123456789abcdef/"),
        ("/", 1, "/botsk-0123456789abcdef"),
        ("/a?", 1, "/botsk-0123456789abcdef/a?"),
    ] {
        assert_eq!(sent(target, &segment(at)), expected, "{target} {at}");
    }
    for (target, at) in [("/", 2), ("/a", 3), ("/a/", 3), ("/a/b", 16)] {
        assert_eq!(Sample::get(target).with(&segment(at), SECRET), Err(ApplyError::PathTooShort), "{target} {at}");
    }
}

proptest! {
    #[test]
    fn whatever_the_key_the_rest_of_the_target_stays_and_the_key_decodes_to_itself(
        key in "[ -~]{16,40}", path in "(/[a-z0-9._~%-]{1,6}){1,4}", at in 1_u8..=4,
    ) {
        prop_assume!(key.trim() == key);
        let text = RecipeText::PathSegment { at, template: "{key}".to_owned() };
        match Sample::get(&path).with(&text, key.as_bytes()) {
            Err(error) => {
                prop_assert_eq!(error, ApplyError::PathTooShort);
                prop_assert!(path.matches('/').count() + 1 < usize::from(at));
            }
            Ok(seen) => {
                let target = seen.target.unwrap();
                let mut segments: Vec<&str> = target.split('/').collect();
                let own = segments.remove(usize::from(at));
                prop_assert_eq!(percent::decode(own, false).collect::<Vec<_>>(), key.as_bytes());
                prop_assert_eq!(segments.join("/"), path);
            }
        }
    }

    #[test]
    fn a_server_that_takes_the_first_or_the_last_parameter_finds_our_key(
        key in "[ -~]{16,40}", others in "[a-ceky=&;%0-9+\\[]{0,40}",
    ) {
        prop_assume!(key.trim() == key);
        let seen = Sample::get(&format!("/m?{others}")).with(&query("key"), key.as_bytes()).unwrap();
        let target = seen.target.unwrap();
        let query = target.split_once('?').unwrap().1;
        let own: Vec<_> = query
            .split(['&', ';'])
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .filter(|(name, _)| crate::slots::is_parameter(name, "key"))
            .collect();
        prop_assert_eq!(own.len(), 1);
        prop_assert_eq!(percent::decode(own[0].1, true).collect::<Vec<_>>(), key.as_bytes());
    }
}
