//! Words of the language as they stand in a record: written as they are said, refused when they are not known.

use std::fmt::Display;

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::tier::Tier;
use attest_core::token::asv::DeviceState;
use attest_core::verdict::Verdict;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::class::{Action, Class};

/// Something that is one of a few words.
pub(crate) trait Word: Sized + Copy {
    fn word(self) -> &'static str;
    fn of(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($name:ident from $all:expr),* $(,)?) => { $(
        impl Word for $name {
            fn word(self) -> &'static str {
                self.as_str()
            }

            fn of(word: &str) -> Option<Self> {
                $all.into_iter().find(|one| one.as_str() == word)
            }
        }
    )* };
}

words!(
    Verdict from Verdict::ALL,
    Tier from Tier::ALL,
    DeviceState from DeviceState::ALL,
    Class from Class::ALL,
    Action from [Action::Allow, Action::Deprioritize, Action::Block],
);

/// `#[serde(with = "one")]`: one word.
pub(crate) mod one {
    use super::*;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn serialize<T: Word, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.word().serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        T::of(&text).ok_or_else(|| unknown(text))
    }
}

/// `#[serde(with = "maybe")]`: one word or none.
pub(crate) mod maybe {
    use super::*;

    pub(crate) fn serialize<T: Word, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Word::word).serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        match Option::<String>::deserialize(from)? {
            Some(text) => T::of(&text).map(Some).ok_or_else(|| unknown(text)),
            None => Ok(None),
        }
    }
}

/// `#[serde(with = "kinds")]`: a list of kinds of Evidence.
pub(crate) mod kinds {
    use super::*;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn serialize<S: Serializer>(value: &EvidenceKinds, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(value.iter().map(EvidenceKind::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<EvidenceKinds, D::Error> {
        let mut kinds = EvidenceKinds::EMPTY;
        for text in Vec::<String>::deserialize(from)? {
            kinds.insert(text.parse::<EvidenceKind>().map_err(|_| unknown(text))?);
        }
        Ok(kinds)
    }
}

fn unknown<E: Error>(text: impl Display) -> E {
    let short: String = text.to_string().chars().take(40).collect();
    E::custom(format!("`{short}` is not a word of this language"))
}
