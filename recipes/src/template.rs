//! Templates: text with one place in it. In: the text. Out: a [`Template`]; proven between: printable ASCII, at most 256
//! bytes, no space at an end, and the place exactly once.

use zeroize::Zeroizing;

use crate::error::RecipeError;

/// Longest template, in bytes.
pub(crate) const MAX_TEMPLATE: usize = 256;

/// Text before and after the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    before: String,
    after: String,
}

impl Template {
    /// Parses a template with the place `{what}`.
    pub(crate) fn parse(text: &str, what: &'static str) -> Result<Self, RecipeError> {
        check_text(text)?;
        let place = format!("{{{what}}}");
        let mut parts = text.split(&place);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(before), Some(after), None) => Ok(Self { before: before.to_owned(), after: after.to_owned() }),
            _ => Err(RecipeError::NotOnePlace { what, times: text.matches(&place).count() }),
        }
    }

    /// The text with `middle` in its place. Memory is allocated once, so that no copy stays behind.
    pub(crate) fn fill(&self, middle: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.before.len() + middle.len() + self.after.len()));
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(middle);
        out.extend_from_slice(self.after.as_bytes());
        out
    }
}

/// Whether a text can be a template or a part of one.
pub(crate) fn check_text(text: &str) -> Result<(), RecipeError> {
    if text.len() > MAX_TEMPLATE || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(RecipeError::NotPrintable);
    }
    if text.trim() != text {
        return Err(RecipeError::OuterSpace);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_no_place_two_places_line_ends_and_outer_spaces() {
        let refused = |text: &str| Template::parse(text, "key").unwrap_err();
        assert_eq!(refused("Bearer"), RecipeError::NotOnePlace { what: "key", times: 0 });
        assert_eq!(refused("{key}{key}"), RecipeError::NotOnePlace { what: "key", times: 2 });
        assert_eq!(refused("{KEY}"), RecipeError::NotOnePlace { what: "key", times: 0 });
        assert_eq!(refused("a\r\nb: {key}"), RecipeError::NotPrintable);
        assert_eq!(refused("ключ {key}"), RecipeError::NotPrintable);
        assert_eq!(refused(&format!("{}{{key}}", "a".repeat(252))), RecipeError::NotPrintable);
        assert_eq!(refused("{key} "), RecipeError::OuterSpace);
    }

    #[test]
    fn fills_its_one_place_even_with_text_that_looks_like_one() {
        let template = Template::parse("a {key} b", "key").unwrap();
        assert_eq!(&template.fill(b"{key}")[..], b"a {key} b");
    }
}
