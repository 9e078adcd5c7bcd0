//! Credential slots: what a client may not bring to a route that injects. In: the name of a header, query parameter or
//! field, as received. Out: whether it has to go.
//!
//! Two kinds have to go: what proves a caller (his own key beside ours would choose whose account is used), and what
//! chooses an account under our key (`Stripe-Account`). On a route that injects they come from the gateway or not at all.
//! Names are compared as lenient servers do: in any case, `_` as `-`; parameters decoded, also twice, without `[]` behind.

mod well_known;

use http::HeaderName;

use crate::percent;

/// Where a recipe's credential stands, and where the same vendor would take another one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slots {
    headers: Vec<HeaderName>,
    /// Folded, as [`fold_parameter`] gives them.
    query: Vec<String>,
}

impl Slots {
    /// Slots of these headers and query parameters, beside the well-known ones.
    pub(crate) fn new(headers: impl IntoIterator<Item = HeaderName>, query: &[&str]) -> Self {
        let fold =
            |name: &&str| String::from_utf8_lossy(&fold_parameter(name.bytes()).collect::<Vec<_>>()).into_owned();
        Self { headers: headers.into_iter().collect(), query: query.iter().map(fold).collect() }
    }

    /// Whether a client's header of this name has to go.
    pub fn is_header(&self, name: &str) -> bool {
        is_well_known_header(name) || self.headers.iter().any(|own| is_same_slot(name, own.as_str()))
    }

    /// The headers that the recipe itself writes.
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// The query parameters that the recipe itself writes: in lower case, with `-` for `_`.
    pub fn query(&self) -> &[String] {
        &self.query
    }

    /// Whether a client's query parameter or form field of this name, as it is escaped, has to go.
    pub fn is_query(&self, name: &str) -> bool {
        self.has(percent::decode(name, true)) || name.contains('%') && self.has(percent::decode(name, true).again())
    }

    /// Whether a decoded name is one of the slots.
    fn has(&self, name: impl Iterator<Item = u8> + Clone) -> bool {
        let slots = || well_known::QUERY.iter().copied().chain(self.query.iter().map(String::as_str));
        let mut buffer = [0; USUAL];
        // Folded once for all slots; a name too long for that, for each.
        match folded_into(name.clone(), &mut buffer) {
            Some(folded) => slots().any(|slot| slot.as_bytes() == folded),
            None => slots().any(|slot| fold_parameter(name.clone()).eq(slot.bytes())),
        }
    }

    /// The query without the parameters that have to go; `None`, and nothing allocated, where there are none.
    ///
    /// `;` ends a parameter as `&` does: some servers read it so, and none may find a slot behind it.
    pub fn strip_query(&self, query: &str) -> Option<String> {
        let goes = |part: &&str| self.is_query(part.split_once('=').map_or(*part, |(name, _)| name));
        if !query.split(['&', ';']).any(|part| goes(&part)) {
            return None;
        }
        let mut kept = String::with_capacity(query.len());
        for part in query.split_inclusive(['&', ';']) {
            if !goes(&part.trim_end_matches(['&', ';'])) {
                kept.push_str(part);
            }
        }
        let end = kept.trim_end_matches(['&', ';']).len();
        kept.truncate(end);
        Some(kept)
    }
}

/// Whether a client's header of this name has to be removed where the key goes into `recipe_header`.
pub fn is_credential_slot(name: &str, recipe_header: &HeaderName) -> bool {
    is_well_known_header(name) || is_same_slot(name, recipe_header.as_str())
}

/// Whether two header names are one slot to a lenient server: `X_API_Key` and `x-api-key`.
pub fn is_same_slot(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(one, other)| fold_byte(one) == fold_byte(other))
}

/// Longer than names of parameters are; longer ones are compared more slowly.
const USUAL: usize = 64;

/// The folded form in `buffer`; `None` where there is not room for it.
fn folded_into(name: impl Iterator<Item = u8>, buffer: &mut [u8; USUAL]) -> Option<&[u8]> {
    let mut len = 0;
    for byte in fold_parameter(name) {
        *buffer.get_mut(len)? = byte;
        len += 1;
    }
    buffer.get(..len)
}

/// Whether an escaped parameter name stands for `slot`, which is folded.
#[cfg(test)]
pub(crate) fn is_parameter(escaped: &str, slot: &str) -> bool {
    fold_parameter(percent::decode(escaped, true)).eq(slot.bytes())
        || escaped.contains('%') && fold_parameter(percent::decode(escaped, true).again()).eq(slot.bytes())
}

/// As PHP and Rack read names: without spaces in front, up to a `[` or NUL; `.` and spaces inside as `_`.
fn fold_parameter(name: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    let name = name.skip_while(|byte| *byte == b' ').take_while(|byte| *byte != b'[' && *byte != 0);
    name.map(|byte| if byte == b'.' || byte == b' ' { b'-' } else { fold_byte(byte) })
}

/// Whether a header of this name proves a caller, or chooses an account, at some well-known API.
pub fn is_well_known_header(name: &str) -> bool {
    let mut folded = [0; well_known::LONGEST_HEADER];
    let Some(folded) = folded.get_mut(..name.len()) else { return false };
    folded.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = fold_byte(from));
    std::str::from_utf8(folded).is_ok_and(well_known::is_header)
}

const fn fold_byte(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests;
