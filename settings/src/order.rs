//! The order in which routes are tried: most specific host, then most specific path.
//!
//! In: routes in any order. Out: the same, so that the first whose pattern matches is the route. The order of the file plays no
//! part: moving a route in the file never changes an answer.

use std::cmp::Reverse;

use crate::model::{HostPattern, RouteSettings};

/// Sorts `routes`, most specific first.
pub(crate) fn sort(routes: &mut [RouteSettings]) {
    routes.sort_by_cached_key(|route| {
        (host_rank(&route.matcher.host), path_rank(route.matcher.path.as_str()), route.name.clone())
    });
}

/// Exact hosts, then suffixes with the longer first, then any.
fn host_rank(host: &HostPattern) -> (u8, Reverse<usize>) {
    match host {
        HostPattern::Exact(_) => (0, Reverse(0)),
        HostPattern::Suffix(suffix) => (1, Reverse(suffix.len())),
        HostPattern::Any => (2, Reverse(0)),
    }
}

/// Segment by segment: a fixed one before one with `*` in it (more fixed characters first) before `*` before any rest.
fn path_rank(pattern: &str) -> Vec<(u8, Reverse<usize>)> {
    let (fixed, any_rest) = match pattern.strip_suffix("/**") {
        Some(fixed) => (fixed, true),
        None => (pattern, false),
    };
    let segment = |segment: &str| match segment {
        "*" => (2, Reverse(0)),
        part if part.contains('*') => (1, Reverse(part.len())),
        _ => (0, Reverse(0)),
    };
    let mut rank: Vec<_> = fixed.split('/').skip(1).map(segment).collect();
    rank.push((if any_rest { 3 } else { 0 }, Reverse(0)));
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_specific_paths_come_first() {
        let ordered = ["/a/b", "/a/img-*", "/a/i*", "/a/*", "/a/**", "/*/b", "/*/**", "/**"];
        for pair in ordered.windows(2) {
            assert!(path_rank(pair[0]) < path_rank(pair[1]), "{pair:?}");
        }
        assert!(path_rank("/a") < path_rank("/a/**"));
    }

    #[test]
    fn exact_hosts_come_before_longer_suffixes_before_any() {
        let exact = HostPattern::Exact("a.example.com".into());
        let long = HostPattern::Suffix(".eu.example.com".into());
        let short = HostPattern::Suffix(".example.com".into());
        assert!(host_rank(&exact) < host_rank(&long));
        assert!(host_rank(&long) < host_rank(&short));
        assert!(host_rank(&short) < host_rank(&HostPattern::Any));
    }
}
