//! Names, files and words that the operator chooses.

use std::path::PathBuf;

use super::{text::text_type, units::shown};
use crate::shape::Fault;

text_type!(
    /// The name of a route, upstream, issuer, key or key set.
    Name(String), "a name",
    {
        "type": "string",
        "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$",
        "description": "A name: lower-case letters, digits, `.`, `_`, `-`; at most 64.",
    },
    name
);

text_type!(
    /// The path of a file or folder, relative to the configuration file.
    FilePath(PathBuf), "the path of a file",
    { "type": "string", "minLength": 1, "description": "A path, relative to this file." },
    path
);

text_type!(
    /// A claim value that is compared exactly: `iss`, `aud`.
    ClaimText(String), "a text",
    { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$" },
    claim
);

/// Checks a name; also for the keys of tables.
pub(crate) fn name(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && text.len() <= 64 && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    let fault = Fault::new(format!("`{}` can't be a name", shown(text)));
    let lower = text.to_lowercase().replace(' ', "-");
    Err(if text.contains(" /") {
        // Where operations are listed, names and calls stand side by side.
        fault.hint(format!("a call stands in braces: {{ call: {} }}", shown(text)))
    } else if lower != text && name(&lower).is_ok() {
        fault.hint(format!("write {lower}"))
    } else {
        fault.hint("a name has lower-case letters, digits, `.`, `_`, `-`, starts with a letter or digit, and is at most 64 long")
    })
}

pub(crate) fn path(text: &str) -> Result<PathBuf, Fault> {
    if text.is_empty() {
        return Err(Fault::new("this path is empty").hint("write the path of the file, relative to this one"));
    }
    if text.chars().any(char::is_control) || text.len() > 4096 {
        return Err(Fault::new(format!("`{}` can't be a path", shown(text))));
    }
    if text.starts_with("~/") {
        return Err(Fault::new("`~` is not expanded here").hint("write the whole path, or one relative to this file"));
    }
    if text.contains("${") {
        return Err(Fault::new("variables are not expanded here").hint("write the path, relative to this file"));
    }
    Ok(PathBuf::from(text))
}

fn claim(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Fault::new(format!("`{}` can't be the value of a claim", shown(text)))
            .hint("1 to 256 printable ASCII characters without spaces, as `https://api.example.com/assay`"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_differs_by_case_is_told_how_to_write_it() {
        assert_eq!(name("Shop API").unwrap_err().hint.unwrap(), "write shop-api");
        for bad in ["", "-a", ".a", "a/b", "ä", "a b", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(name("0.shop_api-2").is_ok());
    }

    #[test]
    fn paths_are_not_expanded() {
        for bad in ["", "~/key", "${HOME}/key", "a\nb", "a\0b"] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }
}
