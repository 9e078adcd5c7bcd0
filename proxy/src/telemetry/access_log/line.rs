//! One line of the access log, formatted in place.
//!
//! In come the members of one JSON object, one after the other; out go their bytes at the end of a buffer. Names are fixed
//! words, texts are escaped, numbers are written without the formatting machinery: this runs on every request.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use attest_core::time::UnixTime;

/// The name of a member with all that stands around it, written in one piece. Made by [`field!`].
#[derive(Clone, Copy)]
pub(crate) struct Field(pub &'static str);

/// The name of a member: a word that needs no escaping.
macro_rules! field {
    ($name:literal) => {
        $crate::telemetry::access_log::Field(concat!(",\"", $name, "\":"))
    };
}
pub(crate) use field;

/// Writes the members of one JSON object.
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Line<'a> {
    /// Opens the object.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// A member with a text, escaped.
    pub(crate) fn text(&mut self, name: Field, value: &str) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        escape(self.out, value);
        self.out.push(b'"');
        self
    }

    /// A member with a text, if there is one.
    pub(crate) fn text_if(&mut self, name: Field, value: Option<&str>) -> &mut Self {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.text(name, value);
        }
        self
    }

    /// A member with a whole number.
    pub(crate) fn number(&mut self, name: Field, value: impl Into<i64>) -> &mut Self {
        self.name(name);
        decimal(self.out, value.into());
        self
    }

    /// A member with a whole number, if there is one.
    pub(crate) fn number_if(&mut self, name: Field, value: Option<impl Into<i64>>) -> &mut Self {
        if let Some(value) = value {
            self.number(name, value);
        }
        self
    }

    /// A member with a time in milliseconds, three digits after the point.
    pub(crate) fn millis(&mut self, name: Field, value: Duration) -> &mut Self {
        let micros = i64::try_from(value.as_micros()).unwrap_or(i64::MAX);
        self.name(name);
        decimal(self.out, micros / 1000);
        let rest = micros % 1000;
        let digit = |digit: i64| b'0' + u8::try_from(digit).unwrap_or(0);
        self.out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10 % 10), digit(rest % 10)]);
        self
    }

    /// A member that is true; where it is not, there is none.
    pub(crate) fn flag_if(&mut self, name: Field, holds: bool) -> &mut Self {
        if holds {
            self.name(name);
            self.out.extend_from_slice(b"true");
        }
        self
    }

    /// A member with a moment: seconds since 1970 with milliseconds.
    pub(crate) fn seconds(&mut self, name: Field, moment: UnixTime) -> &mut Self {
        self.millis(name, Duration::from_micros(u64::try_from(moment.millis()).unwrap_or(0)))
    }

    /// A member with 16 hexadecimal digits.
    pub(crate) fn hex(&mut self, name: Field, value: u64) -> &mut Self {
        self.name(name);
        let mut text = [b'"'; 18];
        for (place, shift) in text.iter_mut().skip(1).zip((0..64).step_by(4).rev()) {
            let digit = u8::try_from(value >> shift & 15).unwrap_or(0);
            *place = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
        }
        self.out.extend_from_slice(&text);
        self
    }

    /// A member with anything whose text needs no escaping.
    pub(crate) fn shown(&mut self, name: Field, value: impl std::fmt::Display) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        let _ = write!(self.out, "{value}");
        self.out.push(b'"');
        self
    }

    /// A member with an address.
    pub(crate) fn address(&mut self, name: Field, address: IpAddr) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        match address {
            // By hand: nearly every line has one, and `Display` costs as much as five other members.
            IpAddr::V4(v4) => {
                for (n, octet) in v4.octets().into_iter().enumerate() {
                    if n > 0 {
                        self.out.push(b'.');
                    }
                    decimal(self.out, octet.into());
                }
            }
            IpAddr::V6(v6) => {
                let _ = write!(self.out, "{v6}");
            }
        }
        self.out.push(b'"');
        self
    }

    /// Opens a nested object, has it filled, closes it.
    pub(crate) fn object(&mut self, name: Field, fill: impl FnOnce(&mut Line<'_>)) -> &mut Self {
        self.name(name);
        let mut inner = Line::new(self.out);
        fill(&mut inner);
        inner.close();
        self
    }

    /// Closes the object.
    pub(crate) fn close(&mut self) {
        match self.out.get_mut(self.start) {
            // Every member begins with a comma; the first one opens the object instead.
            Some(first) => *first = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    fn name(&mut self, name: Field) {
        self.out.extend_from_slice(name.0.as_bytes());
    }
}

/// JSON string escaping, RFC 8259 section 7. Text that needs none is copied at once.
fn escape(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => {
                let _ = write!(out, "\\u{byte:04x}");
            }
            _ => out.push(byte),
        }
    }
}

/// Whether nothing in it needs an escape; eight bytes at a time, as all lines are made of such text.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte below `n` (at most 0x80) borrows from its high bit, unless that was set before.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, rest) = text.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| {
        let word = u64::from_ne_bytes(*word);
        found | below(word, 0x20) | is(word, b'"') | is(word, b'\\')
    });
    found & HIGHS == 0 && rest.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
}

/// A whole number in decimal, without the formatting machinery: this runs a dozen times a request.
fn decimal(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [b'0'; 20];
    let mut rest = value.unsigned_abs();
    let mut from = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        from -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_needs_an_escape_is_found_wherever_it_stands() {
        for byte in 0..=127_u8 {
            for at in 0..20 {
                let mut text = *b"abcdefghijklmnopqrst";
                text[at] = byte;
                let expected = byte >= 0x20 && byte != b'"' && byte != b'\\';
                assert_eq!(is_plain(&text), expected, "{byte} at {at}");
            }
        }
        assert!(is_plain("größer, 日本語 und so".as_bytes()));
    }

    #[test]
    fn numbers_and_nested_objects_are_json() {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        line.flag_if(field!("yes"), true)
            .flag_if(field!("no"), false)
            .number(field!("least"), i64::MIN)
            .number(field!("zero"), 0)
            .millis(field!("ms"), Duration::from_micros(1_234_056))
            .object(field!("empty"), |_| {})
            .object(field!("key"), |key| {
                key.text(field!("name"), "n").number(field!("version"), 2);
            })
            .close();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&value["yes"], value.get("no")), (&serde_json::json!(true), None));
        assert_eq!(value["least"], i64::MIN);
        assert_eq!(value["ms"], 1234.056);
        assert_eq!(value["key"]["version"], 2);
        assert_eq!(value["empty"], serde_json::json!({}));
    }
}
