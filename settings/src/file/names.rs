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

text_type!(
    /// SHA-256 of a certificate: `sha256:` and 64 hexadecimal digits.
    Sha256([u8; 32]), "a SHA-256 such as `sha256:3f1c…`",
    {
        "type": "string",
        "pattern": "^sha256:([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$",
        "description": "`sha256:` and 64 hexadecimal digits; colons between bytes are fine.",
    },
    sha256
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
    Err(if lower != text && name(&lower).is_ok() {
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

fn sha256(text: &str) -> Result<[u8; 32], Fault> {
    let wrong = || {
        Fault::new("this is not a SHA-256")
            .hint("write \"sha256:\" and 64 hexadecimal digits, as `keytool -list -v` or the store's console shows them")
    };
    let digits: String = text.strip_prefix("sha256:").ok_or_else(wrong)?.chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(wrong());
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        if pair.starts_with('+') {
            return Err(wrong());
        }
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(out)
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

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let plain = format!("sha256:{}", "0a".repeat(32));
        let colons = format!("sha256:{}", ["0A"; 32].join(":"));
        assert_eq!(sha256(&plain).unwrap(), [10; 32]);
        assert_eq!(sha256(&colons).unwrap(), [10; 32]);
        for bad in ["", "0a", "sha256:", "sha256:zz", "sha1:0a0a", &format!("sha256:{}", "+a".repeat(32)), &format!("sha256:{}é", "0".repeat(62))] {
            assert!(sha256(bad).is_err(), "{bad:?}");
        }
    }
}
