//! A preset, and the same with its parameters filled in.

use std::collections::BTreeMap;

use attest_core::target::PathGlob;
use http::{HeaderName, Method};
use operations::QueryText;
use recipes::RecipeText;

use crate::operation::OperationText;
use crate::table::Call;
use crate::vendors;

/// A well-known API.
pub struct Preset {
    pub(crate) name: &'static str,
    pub(crate) vendor: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) origin: fn(&Values<'_>) -> String,
    pub(crate) recipe: fn(&Values<'_>) -> RecipeText,
    pub(crate) secret: &'static str,
    pub(crate) calls: &'static [Call],
    pub(crate) may_allow_all: bool,
}

/// What a preset has to be told.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in `with:`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// What could stand there.
    pub example: &'static str,
    /// Its value where none is given; absent: it has to be given.
    pub default: Option<&'static str>,
    /// Where it goes: into a path and a host name, or into the recipe alone.
    pub(crate) kind: Kind,
}

/// Which characters a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One segment of a path or one label of a host: letters, digits, `-`, `_`, `.`; 1 to 128.
    Word,
    /// `https://…`; the recipe checks it.
    Url,
}

/// Why a value was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadValue {
    /// It has to be given.
    #[error("the preset `{preset}` has to be told its `{name}`")]
    Missing {
        /// The preset.
        preset: &'static str,
        /// The parameter.
        name: &'static str,
        /// What could stand there.
        example: &'static str,
    },
    /// No such parameter.
    #[error("the preset `{preset}` has no parameter `{name}`")]
    Unknown {
        /// The preset.
        preset: &'static str,
        /// As it was written.
        name: String,
        /// Those that it has.
        known: Vec<&'static str>,
    },
    /// Not a value that can stand in a path, a host name or a recipe.
    #[error("`{name}` is 1 to 128 letters, digits, `-`, `_` and `.`")]
    Value {
        /// The parameter.
        name: &'static str,
    },
}

/// The values of a preset's parameters, defaults included.
pub(crate) struct Values<'a>(&'a BTreeMap<&'static str, String>);

impl Values<'_> {
    /// The value of a parameter that the preset has.
    pub(crate) fn of(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// `text` with values in place of `{name}`.
    fn filled(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

/// All presets, in the order of the pages.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    vendors::ALL.iter().copied()
}

/// The preset of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Preset> {
    all().find(|preset| preset.name == name)
}

impl Preset {
    /// Its name in `preset:`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whose API it is.
    #[must_use]
    pub fn vendor(&self) -> &'static str {
        self.vendor
    }

    /// What has to be typed for a key: where the vendor's console has it.
    #[must_use]
    pub fn secret(&self) -> &'static str {
        self.secret
    }

    /// What it has to be told.
    #[must_use]
    pub fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    /// Names of its operations, each with what it does.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.calls.iter().map(|call| (call.name, call.what))
    }

    /// Whether `operations: all` may be typed: never where one operation moves money.
    #[must_use]
    pub fn may_allow_all(&self) -> bool {
        self.may_allow_all
    }

    /// Fills in its parameters.
    ///
    /// # Errors
    /// The first value that is missing, unknown or of other characters.
    pub fn with(&'static self, given: &BTreeMap<String, String>) -> Result<Configured, BadValue> {
        if let Some(name) = given.keys().find(|name| self.parameters.iter().all(|parameter| parameter.name != **name)) {
            let known = self.parameters.iter().map(|parameter| parameter.name).collect();
            return Err(BadValue::Unknown { preset: self.name, name: name.clone(), known });
        }
        let mut values = BTreeMap::new();
        for parameter in self.parameters {
            let value = given.get(parameter.name).map(String::as_str).or(parameter.default);
            let missing = BadValue::Missing { preset: self.name, name: parameter.name, example: parameter.example };
            let value = value.ok_or(missing)?;
            if !parameter.kind.takes(value) {
                return Err(BadValue::Value { name: parameter.name });
            }
            values.insert(parameter.name, value.to_owned());
        }
        Ok(Configured { preset: self, values })
    }
}

impl std::fmt::Debug for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Preset").field(&self.name).finish()
    }
}

impl Kind {
    fn takes(self, value: &str) -> bool {
        match self {
            Self::Word => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                (1..=128).contains(&value.len()) && value.bytes().all(plain) && !value.bytes().all(|byte| byte == b'.')
            }
            Self::Url => value.len() <= 512 && value.bytes().all(|byte| byte.is_ascii_graphic()),
        }
    }
}

/// A preset with its parameters filled in.
#[derive(Clone, Debug)]
pub struct Configured {
    preset: &'static Preset,
    values: BTreeMap<&'static str, String>,
}

impl Configured {
    /// Which preset it is.
    #[must_use]
    pub fn preset(&self) -> &'static Preset {
        self.preset
    }

    /// What it was told: names and values of its parameters, those left out that have their defaults.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let default =
            |name: &str| self.preset.parameters.iter().find(|one| one.name == name).and_then(|one| one.default);
        self.values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(move |(name, value)| default(name) != Some(value))
    }

    /// `https://` and the host of the API.
    #[must_use]
    pub fn origin(&self) -> String {
        (self.preset.origin)(&Values(&self.values))
    }

    /// How the credential gets into a request.
    #[must_use]
    pub fn recipe(&self) -> RecipeText {
        (self.preset.recipe)(&Values(&self.values))
    }

    /// The operation of this name.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<OperationText> {
        self.preset.calls.iter().find(|call| call.name == name).and_then(|call| self.filled(call))
    }

    /// All operations, by name; of those that are one call with different rules the first.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, OperationText)> {
        let mut seen: Vec<&str> = Vec::new();
        let once = self.preset.calls.iter().filter(move |call| {
            let new = !seen.contains(&call.call);
            seen.push(call.call);
            new
        });
        once.filter_map(|call| Some((call.name, self.filled(call)?)))
    }

    /// Methods and paths of all operations: the bounds of a key that is put with this preset.
    #[must_use]
    pub fn bounds(&self) -> (Vec<String>, Vec<String>) {
        let (mut methods, mut paths) = (Vec::new(), Vec::new());
        for (_, operation) in self.operations() {
            for (list, one) in [(&mut methods, operation.method.as_str()), (&mut paths, operation.path.as_str())] {
                if !list.iter().any(|own: &String| own == one) {
                    list.push(one.to_owned());
                }
            }
        }
        (methods, paths)
    }

    /// Nothing where the data is wrong, which a test over all of it refuses.
    fn filled(&self, call: &Call) -> Option<OperationText> {
        let values = Values(&self.values);
        let (method, path) = call.call.split_once(' ')?;
        let mut query = QueryText::only(call.query.iter().copied());
        query.fixed = call.query_fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Some(OperationText {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            path: PathGlob::parse(&values.filled(path)).ok()?,
            query,
            headers: call.headers.iter().map(|name| HeaderName::from_static(name)).collect(),
            body: call.body.text(),
        })
    }
}

impl PartialEq for Configured {
    fn eq(&self, other: &Self) -> bool {
        self.preset.name == other.preset.name && self.values == other.values
    }
}

impl Eq for Configured {}

#[cfg(test)]
mod tests;
