//! Bytes to a tree.

use super::{Json, Number};

/// How deep values may lie in one another.
pub const MOST_DEPTH: usize = 64;

/// Why bytes are not JSON as it is taken here.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotJson {
    /// Not UTF-8, or with a byte order mark (RFC 8259, section 8.1).
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Not the grammar of RFC 8259.
    #[error("it breaks the grammar at byte {0}")]
    Grammar(usize),
    /// A member stands twice in its object: readers differ in which one counts (RFC 8259, section 4).
    #[error("a member stands twice, up to byte {0}")]
    Twice(usize),
    /// Deeper than 64.
    #[error("it is too deep")]
    TooDeep,
    /// An escape that is half a character (RFC 8259, section 8.2).
    #[error("it has half a character at byte {0}")]
    Surrogate(usize),
    /// A number that no double holds: readers differ in what they make of it (RFC 8259, section 6).
    #[error("it has a number out of range, up to byte {0}")]
    Range(usize),
    /// Well-formed, and no object.
    #[error("it is no object")]
    NotAnObject,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Json, NotJson> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotJson::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        return Err(NotJson::NotUtf8);
    }
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at == text.len() { Ok(value) } else { Err(reader.grammar()) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn grammar(&self) -> NotJson {
        NotJson::Grammar(self.at)
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn need(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.take(byte) { Ok(()) } else { Err(self.grammar()) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        if depth > MOST_DEPTH {
            return Err(NotJson::TooDeep);
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Json, NotJson> {
        for (word, value) in [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.grammar())
    }

    fn list(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.need(b'[')?;
        self.blanks();
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            self.need(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.need(b'{')?;
        self.blanks();
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.need(b':')?;
            members.push((name, self.value(depth + 1)?));
            self.blanks();
            if self.take(b'}') {
                break;
            }
            self.need(b',')?;
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, two] if one == two)) {
            return Err(NotJson::Twice(self.at));
        }
        Ok(Json::Object(members))
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Result<Number, NotJson> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let number = Number(self.text.get(start..self.at).unwrap_or_default().into());
        if number.as_f64().is_finite() { Ok(number) } else { Err(NotJson::Range(self.at)) }
    }

    /// One digit at least.
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.grammar()) }
    }

    /// RFC 8259, section 7.
    fn string(&mut self) -> Result<String, NotJson> {
        self.need(b'"')?;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).ok_or(self.grammar())?;
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            if self.take(b'"') {
                return Ok(text);
            }
            // A control character is neither, and stands here only as an escape.
            self.need(b'\\')?;
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let escaped = self.peek().ok_or(self.grammar())?;
        let simple = match escaped {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.grammar()),
        };
        self.at += 1;
        Ok(simple)
    }

    fn unicode(&mut self) -> Result<char, NotJson> {
        let start = self.at;
        let half = NotJson::Surrogate(start);
        let high = self.unit()?;
        if !(0xd800..0xe000).contains(&high) {
            return char::from_u32(high).ok_or(half);
        }
        if high >= 0xdc00 || !self.take(b'\\') || self.peek() != Some(b'u') {
            return Err(half);
        }
        let low = self.unit()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(half);
        }
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(half)
    }

    /// `uXXXX`
    fn unit(&mut self) -> Result<u32, NotJson> {
        self.need(b'u')?;
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(self.grammar())?;
        self.at += 4;
        Ok(unit)
    }
}
