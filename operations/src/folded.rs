//! Names that a lenient reader takes for one another.
//!
//! Go's JSON reader ignores case, protobuf's takes `maxOutputTokens` for `max_output_tokens`, PHP makes `a.b` into `a_b`. A
//! rule about one spelling must not be dodged by another. Readers in C end a name at a NUL.

/// Whether two names are one to some reader: equal once only their letters and digits count, in any case.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    let first =
        |name: &str| name.bytes().find(|byte| !byte.is_ascii_punctuation()).map(|byte| byte.to_ascii_lowercase());
    if let (Some(one), Some(other)) = (first(one), first(other))
        && one != other
        && one.is_ascii_alphanumeric()
        && other.is_ascii_alphanumeric()
    {
        // Nearly all names, of which a client may send thousands, for each of a dozen rules.
        return false;
    }
    let mut one = folded(one).peekable();
    // Names of signs alone have nothing to compare by.
    one.peek().is_some() && one.eq(folded(other))
}

fn folded(name: &str) -> impl Iterator<Item = char> + '_ {
    // Up, then down: the long s and the Kelvin sign are letters to readers that fold.
    let name = name.chars().take_while(|c| *c != '\0');
    name.filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_alike() {
        for other in [
            "maxTokens",
            "MAX_TOKENS",
            "max-tokens",
            "max.tokens",
            "max_to\u{212A}ens",
            "max_token\u{17f}",
            "max_tokens\0x",
        ] {
            assert!(alike("max_tokens", other), "{other}");
        }
        for other in ["max_token", "max_tokens2", "", "_", "tokens_max"] {
            assert!(!alike("max_tokens", other), "{other}");
        }
        assert!(!alike("$", "_") && !alike("", "") && !alike("\0", "") && !alike("\0a", "a"));
        for (one, other) in
            [("\u{17f}ervice", "service"), ("_\u{212A}ey", "key"), ("\u{a0}key", "_key"), (" key", "key")]
        {
            assert!(alike(one, other) && alike(other, one), "{one:?}");
        }
    }
}
