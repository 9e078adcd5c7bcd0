use super::*;
use proptest::prelude::*;

fn path(text: &str) -> Result<String, TargetError> {
    let path_and_query = PathAndQuery::try_from(text).map_err(|_| TargetError::ForbiddenCharacter)?;
    let target = Target::parse(&Method::GET, Scheme::Https, "a.example", &path_and_query, TargetOptions::default())?;
    Ok(target.path_and_query().to_string())
}

fn authority(text: &str) -> Result<(String, Option<u16>), TargetError> {
    let root = PathAndQuery::from_static("/");
    let target = Target::parse(&Method::GET, Scheme::Https, text, &root, TargetOptions::default())?;
    Ok((target.host().to_owned(), target.port()))
}

#[test]
fn refuses_what_two_parsers_could_read_differently() {
    use TargetError as E;
    for (text, why) in [
        ("/a/../b", E::DotSegment),
        ("/a/..", E::DotSegment),
        ("/./a", E::DotSegment),
        ("/v1/catalogue/%2e%2e/chat", E::DotSegment),
        ("/v1/.%2E/chat", E::DotSegment),
        ("/a%2Fb", E::EncodedSlash),
        ("/a%5cb", E::EncodedSlash),
        ("/a\\b", E::Backslash),
        ("//a", E::EmptySegment),
        ("/a//b", E::EmptySegment),
        ("/a//", E::EmptySegment),
        ("/a;b", E::Semicolon),
        ("/..;/a", E::Semicolon),
        ("/a%00", E::ControlByte),
        ("/a%0d%0aX", E::ControlByte),
        ("/a%7f", E::ControlByte),
        ("/a%", E::BrokenEscape),
        ("/a%2", E::BrokenEscape),
        ("/a%zz", E::BrokenEscape),
        ("/a%252e%252e", E::DoubleEscape),
        ("/a%25%32%46", E::DoubleEscape),
        ("/a%c0%ae", E::NotUtf8),
        ("/a%c3", E::NotUtf8),
        ("/a%c3x", E::NotUtf8),
        ("/a%ed%a0%80", E::NotUtf8),
        ("/a%80", E::NotUtf8),
        ("/a|b", E::ForbiddenCharacter),
        ("/a?x=%", E::BrokenEscape),
        ("/a?x=%g0", E::BrokenEscape),
        ("*", E::NotAPath),
    ] {
        assert_eq!(path(text), Err(why), "{text}");
    }
}

#[test]
fn brings_equivalent_texts_into_one_form() {
    for (text, canonical) in [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/%61%7E%2d%5F%2e%30", "/a~-_.0"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%3ab", "/a%3Ab"),
        ("/a:b@c", "/a:b@c"),
        ("/a%25", "/a%25"),
        ("/a%25zz", "/a%25zz"),
        ("/a...", "/a..."),
        ("/a?b=%2f//../;%252e", "/a?b=%2f//../;%252e"),
        ("/%61?", "/a?"),
    ] {
        assert_eq!(path(text).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn an_encoded_slash_stands_where_the_route_allows_it() {
    let given = PathAndQuery::from_static("/files/a%2fb");
    let allow = TargetOptions { allow_encoded_slash: true };
    let target = Target::parse(&Method::GET, Scheme::Http, "a", &given, allow).unwrap();
    assert_eq!(target.path(), "/files/a%2Fb");
}

#[test]
fn refuses_authorities_that_are_more_than_host_and_port() {
    for text in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a:",
        "a:0",
        "a:65536",
        "a:+80",
        "a:80:80",
        "u@a",
        "a b",
        "a/b",
        "[::1",
        "[::1]x",
        "[fe80::1%25eth0]",
        "::1",
        "a%2e",
        "ä.example",
    ] {
        assert_eq!(authority(text), Err(TargetError::BadAuthority), "{text}");
    }
    assert_eq!(authority(&"a".repeat(256)), Err(TargetError::BadAuthority));
}

#[test]
fn one_host_has_one_text() {
    assert_eq!(authority("API.Example.COM."), Ok(("api.example.com".into(), None)));
    assert_eq!(authority("a:443"), Ok(("a".into(), None)));
    assert_eq!(authority("a:8443"), Ok(("a".into(), Some(8443))));
    assert_eq!(authority("[0:0::1]:80"), Ok(("[::1]".into(), Some(80))));
    assert_eq!(canonical_host("A.b."), Ok("a.b".into()));
    assert_eq!(canonical_host("a:1"), Err(TargetError::BadAuthority));
}

#[test]
fn debug_hides_the_query() {
    let given = PathAndQuery::from_static("/a?token=secret");
    let target = Target::parse(&Method::GET, Scheme::Https, "h:1", &given, TargetOptions::default()).unwrap();
    assert_eq!(format!("{target:?}"), "GET https://h:1/a");
}

fn glob(text: &str) -> PathGlob {
    text.parse().unwrap()
}

#[test]
fn refuses_patterns_that_nothing_can_match() {
    for text in ["/a/**/b", "/a**", "/**/", "/***"] {
        assert_eq!(PathGlob::parse(text), Err(NotAGlob::DoubleStar), "{text}");
    }
    assert_eq!(PathGlob::parse("a/*"), Err(NotAGlob::Path(TargetError::NotAPath)));
    assert_eq!(PathGlob::parse("/a/../b"), Err(NotAGlob::Path(TargetError::DotSegment)));
}

#[test]
fn globs_match_segment_by_segment() {
    for (pattern, yes, no) in [
        ("/**", vec!["/", "/a", "/a/b/"], vec![]),
        ("/a/**", vec!["/a", "/a/", "/a/b", "/a/b/c/"], vec!["/", "/ab", "/A"]),
        ("/a/*", vec!["/a/b", "/a/*"], vec!["/a", "/a/", "/a/b/", "/a/b/c"]),
        ("/img-*", vec!["/img-", "/img-1"], vec!["/img", "/img-1/"]),
        ("/*.js", vec!["/.js", "/a.js.js"], vec!["/a.jsx"]),
        ("/a*b*c", vec!["/abc", "/axbxc", "/abbcc"], vec!["/acb", "/ab", "/ac"]),
        ("/a*a", vec!["/aa", "/aba"], vec!["/a"]),
        ("/a", vec!["/a"], vec!["/a/", "/b"]),
        ("/", vec!["/"], vec!["/a"]),
        ("/v1/%7euser/**", vec!["/v1/~user"], vec!["/v1/user"]),
    ] {
        for path in yes {
            assert!(glob(pattern).matches(path), "{pattern} {path}");
        }
        for path in no {
            assert!(!glob(pattern).matches(path), "{pattern} {path}");
        }
    }
}

#[test]
fn within_never_stretches_a_bound() {
    for (inner, outer, expected) in [
        ("/a/**", "/a/**", true),
        ("/a/b/**", "/a/**", true),
        ("/a", "/a/**", true),
        ("/a/", "/a/**", true),
        ("/a/**", "/a/b/**", false),
        ("/a/**", "/a/*", false),
        ("/a/*", "/a/**", true),
        ("/a/b", "/a/*", true),
        ("/a/", "/a/*", false),
        ("/a/*", "/a/b", false),
        ("/a/img-*", "/a/*", true),
        ("/a/img-1", "/a/img-*", true),
        ("/a/img-*", "/a/img-*", true),
        ("/a/*", "/a/img-*", false),
        ("/b", "/a", false),
        ("/x/**", "/**", true),
    ] {
        assert_eq!(glob(inner).is_within(&glob(outer)), expected, "{inner} in {outer}");
    }
    assert_eq!(glob("/a/b/img-*").literal_prefix(), "/a/b");
    assert_eq!(glob("/**").literal_prefix(), "");
    assert_eq!(glob("/a/**").literal_prefix(), "/a");
    assert!(glob("/a").is_literal() && !glob("/a/**").is_literal());
}

proptest! {
    #[test]
    fn the_canonical_form_is_canonical(text in "/[a-b./%25cC3Ae9~;*-]{0,24}") {
        if let Ok(once) = path(&text) {
            prop_assert_eq!(path(&once), Ok(once.clone()));
            let as_path = PathAndQuery::try_from(once.as_str()).unwrap();
            prop_assert_eq!(canonical::canonical_path(as_path.path(), TargetOptions::default()), Ok(None));
        }
    }

    #[test]
    fn no_text_panics_and_none_gets_through_with_a_dot_segment(text in "\\PC{0,40}", host in "\\PC{0,20}") {
        if let Ok(canonical) = canonical::canonical_path(&text, TargetOptions { allow_encoded_slash: true }) {
            let result = canonical.unwrap_or(text);
            prop_assert!(result.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(result.is_ascii());
        }
        let _ = authority(&host);
        let _ = canonical::check_query(&host);
    }

    #[test]
    fn within_means_matched_by_both(
        inner in "/[ab*]{1,3}(/[ab*]{1,2}){0,2}(/\\*\\*)?",
        outer in "/[ab*]{1,3}(/[ab*]{1,2}){0,2}(/\\*\\*)?",
        probe in "/[ab]{1,3}(/[ab]{0,2}){0,2}",
    ) {
        if let (Ok(inner), Ok(outer)) = (PathGlob::parse(&inner), PathGlob::parse(&outer))
            && inner.is_within(&outer)
            && inner.matches(&probe)
        {
            prop_assert!(outer.matches(&probe), "{inner} {outer} {probe}");
        }
    }
}
