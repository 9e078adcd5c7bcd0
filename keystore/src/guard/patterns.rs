//! The forms in which a key comes back. In: a secret and what it was rendered to. Out: every form we look for, without
//! duplicates; none shorter than 16 bytes for a secret of 16.
//!
//! A key of letters, digits, `-` and `_` looks the same in most escapings, so the usual key has about ten forms.

use data_encoding::{BASE64, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};
use zeroize::Zeroizing;

/// Shortest form that is looked for.
pub(super) const MIN_LEN: usize = 16;

/// A form: key material, wiped when dropped.
pub(super) type Pattern = Zeroizing<Vec<u8>>;

/// All forms of all secrets, each with its rendered value.
pub(super) fn of_all(secrets: &[(&[u8], &[u8])]) -> Vec<Pattern> {
    let mut forms = Vec::new();
    for (secret, rendered) in secrets {
        add_forms(&mut forms, secret);
        // `Bearer <key>` is found by its key. Only what hides the key (a basic credential) is a form of its own.
        if !secret.is_empty() && !rendered.windows(secret.len()).any(|part| part == *secret) {
            add_forms(&mut forms, rendered);
        }
    }
    forms.sort_unstable_by(|one, other| one.as_slice().cmp(other.as_slice()));
    forms.dedup();
    forms
}

fn add_forms(forms: &mut Vec<Pattern>, secret: &[u8]) {
    let mut add = |form: Pattern| forms.push(form);
    add(Zeroizing::new(secret.to_vec()));
    add(Zeroizing::new(HEXLOWER.encode(secret).into_bytes()));
    add(Zeroizing::new(HEXUPPER.encode(secret).into_bytes()));
    for before in 0..3 {
        let standard = aligned(&BASE64, secret, before);
        add(escape(&standard, |byte, out| percent(byte, is_unreserved, Case::Upper, out)));
        add(escape(&standard, |byte, out| json(byte, Json::Slash, out)));
        add(standard);
        add(aligned(&BASE64URL_NOPAD, secret, before));
    }
    // What no encoder has to escape looks the same in all of the weaker ones: signatures are often of this kind.
    let plain = secret.iter().all(u8::is_ascii_alphanumeric);
    for case in [Case::Upper, Case::Lower] {
        let weaker = if plain { &[] } else { KEPT.as_slice() };
        for keeps in weaker.iter().copied().chain([nothing as fn(u8) -> bool]) {
            let once = escape(secret, |byte, out| percent(byte, keeps, case, out));
            add(escape(&once, |byte, out| percent(byte, is_unreserved, case, out)));
            // Forms write a space as a plus sign.
            add(escape(&once, |byte, out| out.push(if byte == b' ' { b'+' } else { byte })));
            add(once);
        }
        if plain {
            continue;
        }
        for level in [Json::Minimal, Json::Slash, Json::Html(case), Json::HtmlSlash(case), Json::All(case)] {
            let once = escape(secret, |byte, out| json(byte, level, out));
            // JSON within a JSON string.
            add(escape(&once, |byte, out| json(byte, Json::Minimal, out)));
            add(once);
        }
        for level in [Html::Named, Html::Strict(case), Html::All(case), Html::AllDecimal] {
            add(escape(secret, |byte, out| html(byte, level, out)));
        }
    }
}

/// The secret in base64 behind `before` bytes of something else: those characters that the secret alone decides, all of
/// whose six bits lie in it.
fn aligned(alphabet: &Encoding, secret: &[u8], before: usize) -> Pattern {
    let mut text = Zeroizing::new(Vec::with_capacity(before + secret.len()));
    text.resize(before, 0);
    text.extend_from_slice(secret);
    let encoded = Zeroizing::new(alphabet.encode(&text));
    let (first, last) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
    Zeroizing::new(encoded.as_bytes().get(first..last).unwrap_or_default().to_vec())
}

/// Writes each byte as `how` says: at most six bytes for one, so that the buffer never moves and leaves a copy behind.
fn escape(text: &[u8], how: impl Fn(u8, &mut Vec<u8>)) -> Pattern {
    let mut escaped = Zeroizing::new(Vec::with_capacity(text.len() * 6));
    text.iter().for_each(|byte| how(*byte, &mut escaped));
    escaped
}

#[derive(Clone, Copy)]
enum Case {
    Upper,
    Lower,
}

/// What encoders leave as it is, from the strictest on: RFC 3986 unreserved; JavaScript's `encodeURIComponent`;
/// HTML forms; a path, slashes kept; a path segment as Go writes it; JavaScript's `encodeURI`. Beside them: [`nothing`].
const KEPT: [fn(u8) -> bool; 6] = [
    is_unreserved,
    |byte| is_unreserved(byte) || b"!*'()".contains(&byte),
    |byte| byte.is_ascii_alphanumeric() || b" *-._".contains(&byte),
    |byte| is_unreserved(byte) || byte == b'/',
    |byte| is_unreserved(byte) || b"$&+=:@".contains(&byte),
    |byte| is_unreserved(byte) || b"!*'();/?:@&=+$,#".contains(&byte),
];

/// Some encoders escape every byte.
fn nothing(_byte: u8) -> bool {
    false
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent(byte: u8, keeps: fn(u8) -> bool, case: Case, out: &mut Vec<u8>) {
    if keeps(byte) {
        out.push(byte);
    } else {
        numbered(b"%", byte, case, b"", out);
    }
}

/// How much a JSON writer escapes.
#[derive(Clone, Copy)]
enum Json {
    /// Quote and backslash (RFC 8259, section 7).
    Minimal,
    /// And the slash, as PHP does.
    Slash,
    /// And what matters in HTML, by number, as .NET and Go do.
    Html(Case),
    /// Both, as PHP with `JSON_HEX_*`.
    HtmlSlash(Case),
    /// All but letters and digits.
    All(Case),
}

fn json(byte: u8, level: Json, out: &mut Vec<u8>) {
    match (level, byte) {
        (Json::Html(case) | Json::HtmlSlash(case), b'<' | b'>' | b'&' | b'\'' | b'"' | b'+' | b'`') => {
            numbered(b"\\u00", byte, case, b"", out);
        }
        (Json::All(case), _) if !byte.is_ascii_alphanumeric() => numbered(b"\\u00", byte, case, b"", out),
        (Json::Slash | Json::HtmlSlash(_), b'/') | (_, b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
        // Keys in PEM have several lines.
        (_, b'\n') => out.extend_from_slice(b"\\n"),
        (_, b'\r') => out.extend_from_slice(b"\\r"),
        (_, b'\t') => out.extend_from_slice(b"\\t"),
        _ => out.push(byte),
    }
}

/// How much an HTML writer escapes.
#[derive(Clone, Copy)]
enum Html {
    /// `& < > "` by name and `'` as `&#39;`.
    Named,
    /// And `' / = ` and the grave accent by hexadecimal number, as OWASP advises.
    Strict(Case),
    /// All but letters and digits, by hexadecimal number.
    All(Case),
    /// The same, by decimal number.
    AllDecimal,
}

fn html(byte: u8, level: Html, out: &mut Vec<u8>) {
    match (level, byte) {
        (Html::All(case), _) if !byte.is_ascii_alphanumeric() => numbered(b"&#x", byte, case, b";", out),
        (Html::AllDecimal, _) if !byte.is_ascii_alphanumeric() => {
            out.extend_from_slice(b"&#");
            let digits = [byte / 100, byte / 10 % 10, byte % 10].map(|digit| b'0' + digit);
            // No zeros in front.
            out.extend(digits.iter().skip_while(|digit| **digit == b'0'));
            out.push(b';');
        }
        (Html::Strict(case), b'\'' | b'/' | b'=' | b'`') => numbered(b"&#x", byte, case, b";", out),
        (Html::Named | Html::Strict(_), b'&') => out.extend_from_slice(b"&amp;"),
        (Html::Named | Html::Strict(_), b'<') => out.extend_from_slice(b"&lt;"),
        (Html::Named | Html::Strict(_), b'>') => out.extend_from_slice(b"&gt;"),
        (Html::Named | Html::Strict(_), b'"') => out.extend_from_slice(b"&quot;"),
        (Html::Named, b'\'') => out.extend_from_slice(b"&#39;"),
        _ => out.push(byte),
    }
}

/// A byte by its hexadecimal number.
fn numbered(before: &[u8], byte: u8, case: Case, after: &[u8], out: &mut Vec<u8>) {
    let digits = match case {
        Case::Upper => b"0123456789ABCDEF",
        Case::Lower => b"0123456789abcdef",
    };
    out.extend_from_slice(before);
    for nibble in [byte >> 4, byte & 15] {
        out.push(digits.get(usize::from(nibble)).copied().unwrap_or_default());
    }
    out.extend_from_slice(after);
}
