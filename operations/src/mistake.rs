//! What is wrong with rules as they were written.

use crate::pointer::NotAPointer;

/// One thing wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In which list of rules.
    pub rule: Rule,
    /// Which of the list's entries, from 0.
    pub index: usize,
    /// What is wrong.
    pub why: Why,
}

/// The lists that rules stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `to`
    To,
    /// `query.allow`
    QueryAllow,
    /// `query.fixed`
    QueryFixed,
    /// `query.forbid`
    QueryForbid,
    /// `body.limit`
    Limit,
    /// `body.type`
    Type,
    /// `body.required`
    Required,
    /// `body.fixed`
    Fixed,
    /// `body.cap`
    Cap,
    /// `body.one_of`
    OneOf,
    /// `body.forbid`
    Forbid,
    /// `body.only`
    Only,
    /// `body.conditional`
    Conditional,
}

/// What can be wrong.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Not the path of a field.
    #[error("`{pointer}` is not the path of a field: {why}")]
    Pointer {
        /// As it was written.
        pointer: String,
        /// Why.
        why: NotAPointer,
    },
    /// A name that no parameter can have.
    #[error("a parameter has a name of 1 to 64 printable characters, without spaces")]
    ParameterName,
    /// A value that can't be sent as the operator wrote it.
    #[error("a value of a parameter or a field has at most 1024 characters, and none is a control character")]
    Value,
    /// A list without entries, or a list of values without one.
    #[error("the list is empty")]
    Empty,
    /// Two rules about one field, or parameter, that can't both hold.
    #[error("`{one}` is ruled twice: {first} and {second} can't both hold")]
    Conflict {
        /// The field or parameter.
        one: String,
        /// The list of the first rule.
        first: &'static str,
        /// The list of the second.
        second: &'static str,
    },
    /// A rule that no request can meet: `only` shuts its field out.
    #[error("`{0}` is not in a field of `only`")]
    OutsideOnly(String),
    /// `only` has members of the root alone.
    #[error("`only` lists members of the body itself: `/model`, not fields inside of them")]
    OnlyTop,
    /// A rule that does nothing beside another.
    #[error("`{0}` is shut out already, since it is not in the list")]
    Idle(String),
    /// A cap that is no number from zero up.
    #[error("a cap is a number from 0 to 9007199254740991")]
    Cap,
    /// A list or an object where a form can hold a text only.
    #[error("a form's field holds a text, a number, true or false")]
    NotInAForm,
    /// Rules on a body of any type.
    #[error("rules about fields need the type json or form")]
    RulesOfAnyType,
    /// Rules on bodies larger than can be judged whole.
    #[error("a body with rules is judged whole, and is at most 64KiB")]
    TooLargeToJudge,
    /// Zero.
    #[error("a limit of zero takes no body at all")]
    ZeroLimit,
    /// Too many rules.
    #[error("more than {0} rules")]
    TooMany(usize),
    /// A `to` that is neither one path nor the whole rest of one.
    #[error("`to` is one path, as `call` is; or both end in `/**` and have no other `*`")]
    To,
}

impl Mistake {
    pub(crate) fn new(rule: Rule, index: usize, why: Why) -> Self {
        Self { rule, index, why }
    }
}

impl Rule {
    /// Its key in the configuration.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::QueryAllow => "allow",
            Self::QueryFixed | Self::Fixed => "fixed",
            Self::QueryForbid | Self::Forbid => "forbid",
            Self::Limit => "limit",
            Self::Type => "type",
            Self::Required => "required",
            Self::Cap => "cap",
            Self::OneOf => "one_of",
            Self::Only => "only",
            Self::Conditional => "conditional",
        }
    }
}
