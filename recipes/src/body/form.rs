//! One field of a form. In: a form as the client sent it. Out: the same without that field in any spelling, and with it
//! once, at the end.

use zeroize::Zeroizing;

use super::{changed, whole};
use crate::draft::{ApplyError, Changes, Draft};
use crate::error::{RecipeError, SecretError};
use crate::secret::{Secrets, text_secret};
use crate::slots::Slots;
use crate::target::{pair, parameter_name};
use crate::template::Template;

const TYPE: &str = "application/x-www-form-urlencoded";

/// Where the field goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FormField {
    name: String,
    template: Template,
}

impl FormField {
    pub(crate) fn parse(name: &str, template: &str) -> Result<Self, RecipeError> {
        Ok(Self { name: parameter_name(name)?.to_owned(), template: Template::parse(template, "key")? })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(FormPair, Secrets), SecretError> {
        let pair = pair(&self.name, &self.template.fill(text_secret(secret)?.as_bytes()));
        Ok((FormPair { pair, slots: Slots::new([], &[&self.name]) }, Secrets::of(secret)))
    }
}

/// `name=value`, escaped.
pub(crate) struct FormPair {
    pair: Zeroizing<Vec<u8>>,
    slots: Slots,
}

impl FormPair {
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        let body = whole(draft, |media_type| media_type == TYPE)?;
        let form = std::str::from_utf8(body.unwrap_or_default()).map_err(|_| ApplyError::BodyForm)?;
        let stripped = self.slots.strip_query(form);
        let kept = stripped.as_deref().unwrap_or(form);
        let mut out = Zeroizing::new(Vec::with_capacity(kept.len() + 1 + self.pair.len()));
        if !kept.is_empty() {
            out.extend_from_slice(kept.as_bytes());
            out.push(b'&');
        }
        out.extend_from_slice(&self.pair);
        Ok(changed(out, body.is_none().then_some(TYPE)))
    }
}
