//! What a request is made of, as routes name it: paths, methods, headers, places of a token.

use attest_core::target::PathGlob;
use http::{HeaderName, Method};

use super::{text::text_type, units::shown};
use crate::{model::Source, shape::Fault};

text_type!(
    /// A pattern over canonical paths.
    Paths(PathGlob), "a path such as \"/v1/**\"",
    {
        "type": "string",
        "pattern": "^/",
        "description": "A path; `*` is one segment or a part of one, a trailing `/**` any rest.",
        "examples": ["/**", "/v1/*/items"],
    },
    paths
);

text_type!(
    /// A path prefix of whole segments.
    Prefix(String), "a path prefix such as `/openai`",
    { "type": "string", "pattern": "^(/[A-Za-z0-9._~-]+)+$", "description": "A path prefix of whole segments, without a slash at its end." },
    prefix
);

text_type!(
    /// `POST /v1/chat/completions`
    Call((Method, PathGlob)), "a method and a path such as `POST /v1/embeddings`",
    {
        "type": "string",
        "pattern": "^[A-Z]+ /",
        "description": "Method and path as the upstream sees it: POST /v1/embeddings.",
        "examples": ["POST /v1/embeddings", "GET /v1/files/*"],
    },
    call
);

text_type!(
    /// A header whose value tokens are bound to.
    Header(HeaderName), "the name of a header",
    { "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "description": "The name of a header." },
    header
);

text_type!(
    /// One place where a token may be.
    Place(Source), "a header name, `bearer` or `query:NAME`",
    {
        "type": "string",
        "minLength": 1,
        "description": "The name of a header; `bearer` for Authorization: Bearer; `query:NAME` for a query parameter.",
        "examples": ["Assay-Token", "bearer"],
    },
    place
);

fn paths(text: &str) -> Result<PathGlob, Fault> {
    PathGlob::parse(text).map_err(|error| {
        let fault = Fault::new(format!("`{}` is not a path pattern: {error}", shown(text)));
        if text.starts_with('/') {
            fault.hint("`*` is one segment or a part of one, `/**` stands at the end only; no `//`, `..`, `;`, `?` or encoded slash")
        } else {
            fault.hint(format!("a path starts with `/`: write \"/{}\"", shown(text.trim_start_matches("**/").trim_start_matches('*'))))
        }
    })
}

pub(crate) fn prefix(text: &str) -> Result<String, Fault> {
    let fault = || Fault::new(format!("`{}` is not a path prefix", shown(text)));
    if text == "/" {
        return Err(fault().hint("to change nothing, take the line out"));
    }
    if let Some(without) = text.strip_suffix('/') {
        return Err(fault().hint(format!("write it without the slash at its end: {without}")));
    }
    let Some(rest) = text.strip_prefix('/') else { return Err(fault().hint(format!("write /{}", shown(text)))) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~');
    let good = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(plain);
    if text.len() > 256 || !rest.split('/').all(good) {
        return Err(fault().hint("whole segments of letters, digits, `.`, `_`, `-`, `~`: /openai/v1"));
    }
    Ok(text.to_owned())
}

fn call(text: &str) -> Result<(Method, PathGlob), Fault> {
    const METHODS: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let fault = || Fault::new(format!("`{}` is not a method and a path", shown(text)));
    let Some((method, path)) = text.split_once(' ') else {
        return Err(fault().hint(if text.starts_with('/') {
            format!("write the method too: GET {}", shown(text))
        } else {
            "write POST /v1/embeddings".to_owned()
        }));
    };
    let Some(known) = METHODS.iter().find(|known| known.as_str() == method) else {
        let upper = method.to_uppercase();
        return Err(fault().hint(if METHODS.iter().any(|known| known.as_str() == upper) {
            format!("write {upper} {}", shown(path.trim()))
        } else {
            "the method is one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()
        }));
    };
    Ok((known.clone(), paths(path.trim_start())?))
}

pub(crate) fn header(text: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        Fault::new(format!("`{}` is not the name of a header", shown(text))).hint(match text.split_once(':') {
            Some((name, _)) => format!("write the name alone: {}", shown(name)),
            None => "letters, digits and `-`, as Assay-Token".to_owned(),
        })
    })
}

/// Headers that belong to the connection, to routing or to us: a token can't be in them.
const NOT_FOR_TOKENS: [&str; 15] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

pub(crate) fn place(text: &str) -> Result<Source, Fault> {
    if text == "bearer" {
        return Ok(Source::Bearer);
    }
    if let Some(name) = text.strip_prefix("query:") {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            return Err(
                Fault::new(format!("`{}` is not the name of a query parameter", shown(name))).hint("write query:token")
            );
        }
        return Ok(Source::Query(name.to_owned()));
    }
    let name = header(text)?;
    let refuse = |hint: &str| Err(Fault::new(format!("a token can't be in `{}`", shown(text))).hint(hint));
    match name.as_str() {
        "authorization" => refuse("write bearer: the token then stands in Authorization: Bearer …"),
        "query" => refuse("write query:NAME, with the name of the parameter"),
        name if name.starts_with("x-assay-") => {
            refuse("headers that begin with X-Assay- are ours, and removed from requests; write Assay-Token")
        }
        name if NOT_FOR_TOKENS.contains(&name) => refuse("write a header of its own, as Assay-Token, or bearer"),
        _ => Ok(Source::Header(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn operations_need_a_method_in_capitals_and_a_path() {
        assert!(call("/v1/x").unwrap_err().hint.unwrap().contains("GET /v1/x"));
        assert!(call("post /v1/x").unwrap_err().hint.unwrap().contains("POST /v1/x"));
        for bad in ["", "POST", "FETCH /x", "POST x", "POST /a//b", "POST /a?b", "CONNECT /", "TRACE /"] {
            assert!(call(bad).is_err(), "{bad:?}");
        }
        let (method, path) = call("POST /v1/chat/completions").unwrap();
        assert!(method == Method::POST && path.matches("/v1/chat/completions"));
    }

    #[test]
    fn a_token_is_not_looked_for_where_it_can_not_be() {
        assert!(place("Authorization").unwrap_err().hint.unwrap().contains("write bearer"));
        for bad in ["", "Host", "cookie", "X-Assay-Verdict", "Assay-Token: x", "query:", "query:a&b", "query"] {
            assert!(place(bad).is_err(), "{bad:?}");
        }
        assert_eq!(place("bearer").unwrap(), Source::Bearer);
        assert_eq!(place("query:token").unwrap(), Source::Query("token".into()));
        assert_eq!(place("Approov-Token").unwrap(), Source::Header(HeaderName::from_static("approov-token")));
    }

    #[test]
    fn prefixes_are_whole_plain_segments() {
        for bad in ["", "/", "openai", "/a/", "//a", "/a/../b", "/a%2fb", "/a b", "/*"] {
            assert!(prefix(bad).is_err(), "{bad:?}");
        }
        assert_eq!(prefix("/openai/v1").unwrap(), "/openai/v1");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = (paths(&text), prefix(&text), call(&text), header(&text), place(&text));
        }
    }
}
