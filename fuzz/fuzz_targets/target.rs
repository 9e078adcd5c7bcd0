//! Attacks: the canonical target, and the path patterns that policies, operations and key bounds are made of. Input:
//! authority, path with query, two patterns; a line each.
//!
//! Holds: canonical means canonical (the same again is the same); nothing two parsers could read differently is left in
//! it; strict takes nothing that lax refuses; patterns survive printing; and a pattern that lies within another matches
//! nothing that the other doesn't.
#![no_main]

use assay_fuzz::halves;
use attest_core::target::{PathGlob, Scheme, Target, TargetError, TargetOptions, canonical_host};
use http::Method;
use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;

const STRICT: TargetOptions = TargetOptions { allow_encoded_slash: false };
const LAX: TargetOptions = TargetOptions { allow_encoded_slash: true };

fuzz_target!(|data: &[u8]| {
    let (authority, rest) = halves(data, b'\n');
    let (path, rest) = halves(rest, b'\n');
    let (one, other) = halves(rest, b'\n');
    let Ok(authority) = std::str::from_utf8(authority) else { return };
    let globs = [one, other].map(|text| std::str::from_utf8(text).ok().and_then(glob));
    let Ok(path) = PathAndQuery::try_from(path) else { return };

    let strict = parse(authority, &path, STRICT);
    let lax = parse(authority, &path, LAX);
    if let Ok(target) = &strict {
        assert_eq!(Ok(target), lax.as_ref());
        assert!(
            !target.path().to_ascii_uppercase().contains("%2F") && !target.path().to_ascii_uppercase().contains("%5C")
        );
    }
    let Ok(target) = lax else { return };
    is_canonical(&target);
    let own = PathGlob::parse(target.path());
    if let Ok(own) = own {
        assert!(own.matches(target.path()), "a path matches itself as a pattern");
    }
    let [one, other] = &globs;
    for glob in globs.iter().flatten() {
        matches_as_it_says(glob, target.path());
    }
    if let (Some(one), Some(other)) = (one, other)
        && one.is_within(other)
        && one.matches(target.path())
    {
        assert!(other.matches(target.path()), "{one} lies within {other}, which does not match {}", target.path());
    }
});

fn parse(authority: &str, path: &PathAndQuery, options: TargetOptions) -> Result<Target, TargetError> {
    Target::parse(&Method::GET, Scheme::Https, authority, path, options)
}

fn is_canonical(target: &Target) {
    assert_eq!(canonical_host(target.host()).as_deref(), Ok(target.host()));
    let authority = match target.port() {
        Some(port) => format!("{}:{port}", target.host()),
        None => target.host().to_owned(),
    };
    assert_eq!(parse(&authority, target.path_and_query(), LAX).as_ref(), Ok(target));
    let path = target.path();
    assert!(path.starts_with('/') && path.is_ascii() && !path.contains("//") && !path.contains([';', '\\', '\x7f']));
    assert!(path.bytes().all(|byte| byte > b' '));
    assert!(path.split('/').all(|segment| !matches!(segment, "." | "..")));
    assert!(!path.contains("%2e") && !path.contains("%2E"));
}

fn glob(text: &str) -> Option<PathGlob> {
    let glob = PathGlob::parse(text).ok()?;
    assert_eq!(PathGlob::parse(glob.as_str()).as_ref(), Ok(&glob));
    assert!(glob.is_within(&glob) || glob.as_str().matches('*').count() > 1);
    Some(glob)
}

fn matches_as_it_says(glob: &PathGlob, path: &str) {
    if glob.matches(path) {
        assert!(path.starts_with(glob.literal_prefix()));
        assert!(!glob.is_literal() || glob.as_str() == path);
    } else {
        assert!(!glob.is_literal() || glob.as_str() != path);
    }
}
