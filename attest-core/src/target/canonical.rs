//! The path in normal form, or the reason why it has none.
//!
//! In: raw path text. Out: `None` when it is in normal form already, else the normal form. Proven: no dot or empty
//! segments, no escape that decodes to something unreserved, no escape that a second decoding would find.

use super::{TargetError, TargetOptions};

/// The normal form of a path pattern, as policies, operations and key bounds write it; `*` and `**` are kept.
///
/// # Errors
/// The [`TargetError`] that a request with this path would get, so that no pattern is written which nothing can match.
pub fn canonical_pattern(pattern: &str) -> Result<String, TargetError> {
    let allow = TargetOptions { allow_encoded_slash: true };
    Ok(canonical_path(pattern, allow)?.unwrap_or_else(|| pattern.to_owned()))
}

/// `None`: `path` is canonical as it stands.
pub(super) fn canonical_path(path: &str, options: TargetOptions) -> Result<Option<String>, TargetError> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(TargetError::NotAPath);
    }
    // The usual path has no escape and one look is enough.
    let mut escaped = false;
    for byte in bytes {
        escaped |= *byte == b'%';
        check_raw(*byte)?;
    }
    let canonical = if escaped { rewrite_escapes(bytes, options)? } else { None };
    check_segments(canonical.as_deref().unwrap_or(path))?;
    Ok(canonical)
}

/// A query goes upstream as it came; only what could break a request line or a parser is refused.
pub(super) fn check_query(query: &str) -> Result<(), TargetError> {
    let mut rest = query.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                (_, rest) = escape(after)?;
            }
            0..=0x1f | 0x7f => return Err(TargetError::ControlByte),
            b' ' | b'#' | 0x80.. => return Err(TargetError::ForbiddenCharacter),
            _ => {}
        }
    }
    Ok(())
}

/// RFC 3986 pchar and `/`; `;` is one too, but what follows it is parameters to some and path to others.
fn check_raw(byte: u8) -> Result<(), TargetError> {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Ok(()),
        b'/' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => Ok(()),
        b';' => Err(TargetError::Semicolon),
        b'\\' => Err(TargetError::Backslash),
        0..=0x1f | 0x7f => Err(TargetError::ControlByte),
        _ => Err(TargetError::ForbiddenCharacter),
    }
}

fn rewrite_escapes(path: &[u8], options: TargetOptions) -> Result<Option<String>, TargetError> {
    let mut out = String::with_capacity(path.len());
    let mut changed = false;
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            out.push(char::from(*byte));
            continue;
        }
        let (decoded, after) = escape(after)?;
        match decoded {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(decoded));
                changed = true;
            }
            b'/' | b'\\' if !options.allow_encoded_slash => return Err(TargetError::EncodedSlash),
            0..=0x1f | 0x7f => return Err(TargetError::ControlByte),
            0x80.. => {
                rest = push_utf8_escapes(rest, &mut out)?;
                continue;
            }
            _ => push_escape(decoded, &mut out),
        }
        rest = after;
    }
    // On the result, so that `%25%32%46` is seen for what it is.
    if out.match_indices("%25").any(|(at, _)| out.as_bytes().get(at + 3..).is_some_and(starts_with_two_hex_digits)) {
        return Err(TargetError::DoubleEscape);
    }
    changed |= out.as_bytes() != path;
    Ok(changed.then_some(out))
}

/// `rest` begins behind the `%` of an escape of 0x80 or more: takes the whole character, which must be UTF-8 in its
/// shortest form (`%C0%AE` was a dot to servers that we remember).
fn push_utf8_escapes<'a>(rest: &'a [u8], out: &mut String) -> Result<&'a [u8], TargetError> {
    let (lead, mut rest) = escape(rest)?;
    let mut character = [lead, 0, 0, 0];
    let length = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Err(TargetError::NotUtf8),
    };
    for slot in character.iter_mut().take(length).skip(1) {
        let after_percent = rest.strip_prefix(b"%").ok_or(TargetError::NotUtf8)?;
        (*slot, rest) = escape(after_percent)?;
    }
    let character = character.get(..length).unwrap_or_default();
    std::str::from_utf8(character).map_err(|_| TargetError::NotUtf8)?;
    for byte in character {
        push_escape(*byte, out);
    }
    Ok(rest)
}

fn check_segments(path: &str) -> Result<(), TargetError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(TargetError::DotSegment),
            "" if segments.peek().is_some() => return Err(TargetError::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

/// `rest` begins behind a `%`: the byte, and what follows the two digits.
fn escape(rest: &[u8]) -> Result<(u8, &[u8]), TargetError> {
    let ([high, low], after) = rest.split_first_chunk::<2>().ok_or(TargetError::BrokenEscape)?;
    let (high, low) = (hex_digit(*high), hex_digit(*low));
    match (high, low) {
        (Some(high), Some(low)) => Ok((high << 4 | low, after)),
        _ => Err(TargetError::BrokenEscape),
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn starts_with_two_hex_digits(text: &[u8]) -> bool {
    matches!(text, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn push_escape(byte: u8, out: &mut String) {
    out.push('%');
    for nibble in [byte >> 4, byte & 0xf] {
        out.extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()));
    }
}
