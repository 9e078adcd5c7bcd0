//! Names that a lenient reader takes for one another.
//!
//! Go's JSON reader ignores case, protobuf's takes `maxOutputTokens` for `max_output_tokens`, PHP makes `a.b` into `a_b`. A
//! rule about one spelling must not be dodged by another. Readers in C end a name at a NUL.

/// Whether two names are one to some reader: equal once only their letters and digits count, in any case.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        // Nearly all names. A client may send thousands, each of which is held against each rule.
        let mut one = plain(one).peekable();
        return one.peek().is_some() && one.eq(plain(other));
    }
    let mut one = folded(one).peekable();
    // Names of signs alone have nothing to compare by.
    one.peek().is_some() && one.eq(folded(other))
}

fn plain(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().take_while(|byte| *byte != 0).filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase())
}

fn folded(name: &str) -> impl Iterator<Item = char> + '_ {
    // Up, then down: the long s and the Kelvin sign are letters to readers that fold.
    let name = name.chars().take_while(|c| *c != '\0');
    name.filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_short_way_is_the_long_one(one in "[a-cA-C0-1_. \\x00]{0,6}", other in "[a-cA-C0-1_. \\x00]{0,6}") {
            let mut long = folded(&one).peekable();
            let long = long.peek().is_some() && long.eq(folded(&other));
            proptest::prop_assert_eq!(alike(&one, &other), long);
        }
    }

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
