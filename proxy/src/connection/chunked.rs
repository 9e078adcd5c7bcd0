//! The chunk scanner: finds the end of a chunked request body, strictly, as its bytes pass.
//!
//! In: body bytes in whatever pieces they come. Out: how many of them are well formed, and whether the body ended.
//! Proven between: each size line, each CRLF and each trailer line is exactly what RFC 9112, section 7.1 allows, with
//! nothing left to a lenient reader: no bare line feed, no blank space, no empty or unbalanced extension.

use memchr::memchr;

/// The longest size line with its extensions, and the longest trailer line, in bytes.
const MAX_LINE: usize = 1024;
/// The most trailer lines; they are dropped anyway.
const MAX_TRAILERS: u32 = 32;
/// Digits of a chunk size: up to 60 bits, so that no sum overflows.
const MAX_SIZE_DIGITS: usize = 15;

/// The answer of [`ChunkScanner::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// All bytes are body, which goes on.
    More,
    /// The body ends after this many bytes.
    End(usize),
    /// The byte at this place breaks the coding; those before it may stand.
    Broken(usize),
}

/// State over one chunked body.
#[derive(Debug, Default)]
pub(crate) struct ChunkScanner {
    at: At,
    /// The unfinished line, never longer than [`MAX_LINE`].
    line: Vec<u8>,
    trailers: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    SizeLine,
    Data(u64),
    DataEnd,
    Trailer,
}

impl ChunkScanner {
    /// Reads the next piece. Call it no more after it answered other than [`Chunks::More`].
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Chunks {
        let mut rest = piece;
        while !rest.is_empty() {
            let done = piece.len() - rest.len();
            match self.at {
                At::Data(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    rest = rest.get(take..).unwrap_or_default();
                    let left = left - take as u64;
                    self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                }
                At::SizeLine | At::DataEnd | At::Trailer => {
                    let newline = memchr(b'\n', rest);
                    let part = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
                    if self.line.len() + part.len() > MAX_LINE {
                        return Chunks::Broken(done);
                    }
                    self.line.extend_from_slice(part);
                    let Some(newline) = newline else {
                        // What can't become a CRLF is refused at once: the client may never send the line feed.
                        return if self.at == At::DataEnd && self.line != b"\r" {
                            Chunks::Broken(done)
                        } else {
                            Chunks::More
                        };
                    };
                    rest = rest.get(newline + 1..).unwrap_or_default();
                    match self.end_of_line() {
                        None => return Chunks::Broken(done),
                        Some(true) => return Chunks::End(piece.len() - rest.len()),
                        Some(false) => self.line.clear(),
                    }
                }
            }
        }
        Chunks::More
    }

    /// Takes the finished line; `None` breaks the body, true ends it.
    fn end_of_line(&mut self) -> Option<bool> {
        let line = self.line.strip_suffix(b"\r")?;
        match self.at {
            At::SizeLine => {
                self.at = match chunk_size(line)? {
                    0 => At::Trailer,
                    size => At::Data(size),
                };
            }
            At::DataEnd => {
                if !line.is_empty() {
                    return None;
                }
                self.at = At::SizeLine;
            }
            At::Trailer => {
                if line.is_empty() {
                    return Some(true);
                }
                self.trailers += 1;
                if self.trailers > MAX_TRAILERS || !is_field_line(line) {
                    return None;
                }
            }
            // Data has no lines; `feed` never asks.
            At::Data(_) => return None,
        }
        Some(false)
    }
}

/// `1*HEXDIG *( ";" token [ "=" ( token / quoted-string ) ] )`, without the blank space that RFC 9112 calls bad.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, mut rest) = line.split_at_checked(digits)?;
    if size.is_empty() || size.len() > MAX_SIZE_DIGITS {
        return None;
    }
    while let Some((b';', extension)) = rest.split_first() {
        rest = token(extension)?;
        if let Some((b'=', value)) = rest.split_first() {
            rest = match value.split_first() {
                Some((b'"', quoted)) => quoted_string(quoted)?,
                _ => token(value)?,
            };
        }
    }
    if !rest.is_empty() {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// What follows a token of at least one byte.
fn token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|byte| is_token(**byte)).count();
    if length == 0 { None } else { text.get(length..) }
}

/// What follows the closing quote.
fn quoted_string(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            0..=8 | 10..=31 | 127 => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return text.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// `token ":" value`, the value without control bytes.
fn is_field_line(line: &[u8]) -> bool {
    match token(line).and_then(<[u8]>::split_first) {
        Some((b':', value)) => value.iter().all(|byte| !matches!(byte, 0..=8 | 10..=31 | 127)),
        _ => false,
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(body: &[u8]) -> Chunks {
        ChunkScanner::default().feed(body)
    }

    #[test]
    fn refuses_what_lenient_readers_let_through() {
        for body in [
            b"3\nfoo\r\n0\r\n\r\n".as_slice(),
            b"3 \r\nfoo\r\n0\r\n\r\n",
            b" 3\r\nfoo\r\n0\r\n\r\n",
            b"3;\r\nfoo\r\n0\r\n\r\n",
            b"3;a=\"b\r\nfoo\r\n0\r\n\r\n",
            b"3;a b\r\nfoo\r\n0\r\n\r\n",
            b"3 ext\r\nfoo\r\n0\r\n\r\n",
            b"0x3\r\nfoo\r\n0\r\n\r\n",
            b"-3\r\nfoo\r\n0\r\n\r\n",
            b"\r\nfoo\r\n0\r\n\r\n",
            b"3\r\nfoo\n0\r\n\r\n",
            b"3\r\nfoo0\r\n\r\n",
            b"3\r\nfoo\r\n\r\n",
            b"3\r\nfoo\r\n0\r\n\n",
            b"3\r\nfoo\r\n0\r\nno field\r\n\r\n",
            b"3\r\nfoo\r\n0\r\n folded\r\n\r\n",
            b"1000000000000000\r\n",
            b"3\r\r;ABCD\r\nfoo\r\n0\r\n\r\n",
        ] {
            assert!(matches!(scan(body), Chunks::Broken(_)), "{:?}", body.escape_ascii().to_string());
        }
        assert!(matches!(scan(&[b'1'; MAX_LINE + 1]), Chunks::Broken(0)));
    }

    #[test]
    fn ends_where_the_body_ends() {
        for body in [
            b"0\r\n\r\n".as_slice(),
            b"3\r\nfoo\r\n0\r\n\r\n",
            b"3;a;b=c;d=\"e \\\" f\"\r\nfoo\r\n000\r\n\r\n",
            b"00A\r\n0123456789\r\n0\r\nA: b\r\nC:\r\n\r\n",
        ] {
            assert_eq!(scan(body), Chunks::End(body.len()), "{:?}", body.escape_ascii().to_string());
            assert_eq!(scan(&[body, b"GET"].concat()), Chunks::End(body.len()));
        }
    }

    proptest! {
        #[test]
        fn the_pieces_make_no_difference(
            body in proptest::collection::vec(proptest::sample::select(b"013a\r\n\r\n;=\"x ".to_vec()), 0..60),
            cut in 0_usize..60,
        ) {
            let whole = scan(&body);
            let (first, second) = body.split_at(cut.min(body.len()));
            let mut pieces = ChunkScanner::default();
            let parted = match pieces.feed(first) {
                Chunks::More => match pieces.feed(second) {
                    Chunks::End(n) => Chunks::End(first.len() + n),
                    other => other,
                },
                other => other,
            };
            // Where it broke may differ by what was already passed on; whether it broke may not.
            prop_assert_eq!(std::mem::discriminant(&whole), std::mem::discriminant(&parted));
            if matches!(whole, Chunks::End(_)) {
                prop_assert_eq!(whole, parted);
            }
        }

        #[test]
        fn whatever_is_split_into_chunks_ends_at_its_end(data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8)) {
            let mut body = Vec::new();
            for chunk in &data {
                body.extend(format!("{:x}\r\n", chunk.len()).bytes());
                body.extend(chunk);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            prop_assert_eq!(scan(&body), Chunks::End(body.len()));
        }
    }
}
