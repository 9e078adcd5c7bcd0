//! Names that a lenient reader takes for one another.
//!
//! Go's JSON reader ignores case, protobuf's takes `maxOutputTokens` for `max_output_tokens`, PHP makes `a.b` into `a_b`. A
//! rule about one spelling must not be dodged by another.

/// Whether two names are one to some reader: equal once only their letters and digits count, in any case.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    let mut one = folded(one).peekable();
    // Names of signs alone have nothing to compare by.
    one.peek().is_some() && one.eq(folded(other))
}

fn folded(name: &str) -> impl Iterator<Item = char> + '_ {
    // Up, then down: the long s and the Kelvin sign are letters to readers that fold.
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_alike() {
        for other in ["maxTokens", "MAX_TOKENS", "max-tokens", "max.tokens", "max_to\u{212A}ens", "max_token\u{17f}"] {
            assert!(alike("max_tokens", other), "{other}");
        }
        for other in ["max_token", "max_tokens2", "", "_", "tokens_max"] {
            assert!(!alike("max_tokens", other), "{other}");
        }
        assert!(!alike("$", "_") && !alike("", ""));
    }
}
