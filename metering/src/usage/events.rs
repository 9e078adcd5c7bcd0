//! Server-sent events: a JSON document in the data of each.
//!
//! In: pieces of a stream. Out: what the scanner of JSON found in its events. Lines end with LF, CR or both; the data of
//! one event may stand on several lines. Data that is no JSON (`[DONE]`) is looked at and left.
//!
//! Source: the HTML standard, section 9.2.6 ("Interpreting an event stream").

use memchr::memchr2;

use super::Found;
use super::json::Scanner;

#[derive(Debug, Default)]
pub(super) struct Events {
    scanner: Scanner,
    place: Place,
    /// The byte before was a CR: an LF right after it belongs to it.
    after_cr: bool,
}

/// Where in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many bytes of a byte order mark, which may stand at the very beginning.
    Mark(usize),
    /// So many bytes of `data:`.
    Name(usize),
    /// Right behind `data:`, where one blank may stand.
    Blank,
    Data,
    /// Another field, or a comment.
    Other,
}

const MARK: &[u8] = b"\xEF\xBB\xBF";
const NAME: &[u8] = b"data:";

impl Default for Place {
    fn default() -> Self {
        Self::Mark(0)
    }
}

impl Events {
    pub(super) fn push(&mut self, mut rest: &[u8]) {
        while let Some((byte, after)) = rest.split_first() {
            let (byte, is_end) = (*byte, matches!(byte, b'\n' | b'\r'));
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                rest = after;
                continue;
            }
            rest = match self.place {
                _ if is_end => {
                    self.end_line();
                    self.after_cr = byte == b'\r';
                    after
                }
                Place::Mark(seen) if MARK.get(seen) == Some(&byte) => {
                    self.place = if seen + 1 == MARK.len() { Place::Name(0) } else { Place::Mark(seen + 1) };
                    after
                }
                Place::Mark(0) => {
                    self.place = Place::Name(0);
                    rest
                }
                Place::Name(seen) if NAME.get(seen) == Some(&byte) => {
                    self.place = if seen + 1 == NAME.len() { Place::Blank } else { Place::Name(seen + 1) };
                    after
                }
                Place::Blank if byte == b' ' => {
                    self.place = Place::Data;
                    after
                }
                Place::Blank => {
                    self.place = Place::Data;
                    rest
                }
                Place::Mark(_) | Place::Name(_) => {
                    self.place = Place::Other;
                    after
                }
                Place::Data | Place::Other => {
                    let (line, after) = rest.split_at(memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()));
                    if self.place == Place::Data {
                        self.scanner.push(line);
                    }
                    after
                }
            };
        }
    }

    pub(super) fn found(&self) -> &Found {
        self.scanner.found()
    }

    fn end_line(&mut self) {
        match self.place {
            // An empty line ends the event.
            Place::Name(0) | Place::Mark(0) => self.scanner.begin_document(),
            // The lines of one event are joined by a line feed.
            Place::Blank | Place::Data => self.scanner.push(b"\n"),
            Place::Mark(_) | Place::Name(_) | Place::Other => {}
        }
        self.place = Place::Name(0);
    }
}
