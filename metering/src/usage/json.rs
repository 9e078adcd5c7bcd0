//! Finds the usage in JSON of any size, in constant memory.
//!
//! In: pieces of text. Out: the numbers of usage objects that stand where APIs put them: `usage`, `usageMetadata`,
//! `message.usage`, `response.usage` of a document, or of an element of a list of documents. What a model or a client
//! wrote is inside strings or deeper, and never taken for one.
//!
//! It reads what is well-formed and does not check that it is. Where it meets something that JSON has no place for, or
//! deeper than [`DEEPEST`], it looks at nothing more of that document: what is not understood is not reported.

use memchr::memchr2;

use super::Found;

/// Open lists and objects at most.
const DEEPEST: u32 = 128;
/// Levels at which a usage object can stand, and itself.
const LEVELS: usize = 5;
/// The longest name, or number, that is told apart from another.
const LONGEST: usize = 40;
/// Above it a number is no count of tokens.
const MOST_TOKENS: u64 = 1 << 53;

#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    depth: u32,
    /// A bit for each open level: whether it is a list.
    lists: u128,
    roles: [Role; LEVELS],
    /// The name of the member whose value is read.
    key: Text,
    number: Text,
    found: Found,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Value,
    Key,
    InKey,
    EscapeInKey,
    Colon,
    InString,
    EscapeInString,
    InNumber,
    InWord,
    After,
    /// Nothing that is understood.
    Lost,
}

/// What an open level is to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Other,
    /// A list of documents.
    Documents,
    Document,
    /// `message` of a stream's first event: its usage is not the last word.
    Message,
    /// `response` of a stream's last event.
    Response,
    Usage {
        is_final: bool,
    },
}

/// A short text, as far as it fits.
#[derive(Debug)]
struct Text {
    bytes: [u8; LONGEST],
    length: usize,
    fits: bool,
}

impl Scanner {
    pub(super) fn push(&mut self, mut rest: &[u8]) {
        while let Some((byte, after)) = rest.split_first() {
            rest = match self.state {
                State::InString | State::InKey => self.in_string(rest),
                State::Lost => return,
                State::InNumber if is_of_number(*byte) => {
                    self.number.add(&[*byte]);
                    after
                }
                State::InNumber => {
                    // The byte that ends a number is read once more, as what comes after.
                    self.end_number();
                    rest
                }
                State::InWord if byte.is_ascii_lowercase() => after,
                State::InWord => {
                    self.state = State::After;
                    rest
                }
                _ => {
                    self.one(*byte);
                    after
                }
            };
        }
    }

    /// A new document begins; what was found stays.
    pub(super) fn begin_document(&mut self) {
        if self.state == State::InNumber {
            self.end_number();
        }
        (self.state, self.depth) = (State::Value, 0);
    }

    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    pub(super) fn is_between_documents(&self) -> bool {
        self.depth == 0 && matches!(self.state, State::Value | State::After)
    }

    /// The rest of a string, up to what ends it or needs a look.
    fn in_string<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let is_key = self.state == State::InKey;
        let at = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let (text, rest) = rest.split_at(at);
        if is_key {
            self.key.add(text);
        }
        let Some((end, after)) = rest.split_first() else { return rest };
        self.state = match (end, is_key) {
            (b'"', true) => State::Colon,
            (b'"', false) => State::After,
            (_, true) => State::EscapeInKey,
            (_, false) => State::EscapeInString,
        };
        after
    }

    fn one(&mut self, byte: u8) {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.state {
            // The digits of `\u` are text like any other.
            State::EscapeInString => self.state = State::InString,
            State::EscapeInKey => {
                // No API writes a name of ours with an escape.
                self.key.fits = false;
                self.state = State::InKey;
            }
            _ if is_blank => {}
            State::Value => self.value(byte),
            State::Key => match byte {
                b'"' => {
                    self.key.clear();
                    self.state = State::InKey;
                }
                b'}' => self.close(false),
                _ => self.state = State::Lost,
            },
            State::Colon if byte == b':' => self.state = State::Value,
            State::After => match byte {
                b',' if self.depth > 0 => self.state = if self.in_list() { State::Value } else { State::Key },
                b'}' => self.close(false),
                b']' => self.close(true),
                // The next document.
                _ if self.depth == 0 => self.value(byte),
                _ => self.state = State::Lost,
            },
            _ => self.state = State::Lost,
        }
    }

    fn value(&mut self, byte: u8) {
        match byte {
            b'{' => self.open(false),
            b'[' => self.open(true),
            b']' => self.close(true),
            b'"' => self.state = State::InString,
            b'-' | b'0'..=b'9' => {
                self.number.clear();
                self.number.add(&[byte]);
                self.state = State::InNumber;
            }
            b't' | b'f' | b'n' => self.state = State::InWord,
            _ => self.state = State::Lost,
        }
    }

    fn open(&mut self, is_list: bool) {
        if self.depth >= DEEPEST {
            self.state = State::Lost;
            return;
        }
        let role = self.role_of_next(is_list);
        let bit = 1_u128 << self.depth;
        self.lists = if is_list { self.lists | bit } else { self.lists & !bit };
        if let Some(slot) = self.roles.get_mut(level(self.depth)) {
            *slot = role;
        }
        if let Role::Usage { is_final: true } = role {
            self.found.is_final = true;
        }
        self.depth += 1;
        self.state = if is_list { State::Value } else { State::Key };
    }

    fn close(&mut self, is_list: bool) {
        if self.depth == 0 || self.in_list() != is_list {
            self.state = State::Lost;
            return;
        }
        self.depth -= 1;
        self.state = State::After;
    }

    /// What a level that opens here is: by the one around it, and its name.
    fn role_of_next(&self, is_list: bool) -> Role {
        let Some(around) = self.depth.checked_sub(1) else {
            return if is_list { Role::Documents } else { Role::Document };
        };
        if is_list {
            return Role::Other;
        }
        let around = self.roles.get(level(around)).copied().unwrap_or_default();
        match (around, self.key.get()) {
            (Role::Documents, _) => Role::Document,
            (Role::Document, Some(b"usage" | b"usageMetadata")) | (Role::Response, Some(b"usage")) => {
                Role::Usage { is_final: true }
            }
            (Role::Document, Some(b"message")) => Role::Message,
            (Role::Document, Some(b"response")) => Role::Response,
            (Role::Message, Some(b"usage")) => Role::Usage { is_final: false },
            _ => Role::Other,
        }
    }

    fn in_list(&self) -> bool {
        self.depth.checked_sub(1).is_some_and(|level| self.lists & (1 << level) != 0)
    }

    fn end_number(&mut self) {
        self.state = State::After;
        let Some(innermost) = self.depth.checked_sub(1) else { return };
        if let Some(Role::Usage { .. }) = self.roles.get(level(innermost))
            && let (Some(field), Some(value)) = (self.key.get(), self.number.get().and_then(count))
        {
            self.found.note(field, value);
        }
    }
}

impl Text {
    fn clear(&mut self) {
        (self.length, self.fits) = (0, true);
    }

    fn add(&mut self, text: &[u8]) {
        let end = self.length.saturating_add(text.len());
        match self.bytes.get_mut(self.length..end) {
            Some(place) => {
                place.copy_from_slice(text);
                self.length = end;
            }
            None => self.fits = false,
        }
    }

    fn get(&self) -> Option<&[u8]> {
        if self.fits { self.bytes.get(..self.length) } else { None }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], length: 0, fits: true }
    }
}

fn level(depth: u32) -> usize {
    usize::try_from(depth).unwrap_or(usize::MAX)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')
}

/// A number of tokens. What is no whole number of them, or of no sensible size, is none.
fn count(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let whole = match text.split_once('.') {
        // `12.0` is how some serialisers write 12.
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    whole.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok())?.filter(|count| *count <= MOST_TOKENS)
}
