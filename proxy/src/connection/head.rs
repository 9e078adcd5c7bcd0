//! The head scanner: reads an HTTP/1 request head before anybody else does.
//!
//! In: the bytes of one request from its first on, as they gather. Out: where the head ends, how the body is framed, and the
//! [`HeadFindings`]. Proven between: a head that ends within its byte limit was seen whole, line by line, by us, before
//! any parser that is more lenient made sense of it.
//!
//! It is not a second parser. It looks at the request line and at four fields; everything else is a search for the
//! next line feed. Whatever it does not understand it passes on, and Pingora's parser refuses it.

use memchr::{memchr, memchr_iter, memrchr};

use super::findings::{HeadFinding, HeadFindings};

/// More field lines than this are a finding. Browsers send fewer than 40.
pub const MAX_FIELD_LINES: u32 = 100;

/// How the body that follows a head is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body follows.
    None,
    /// Exactly this many bytes, at least one.
    Length(u64),
    /// Chunks until the last one.
    Chunked,
}

/// The answer of [`HeadScanner::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The head is not whole.
    More,
    /// The head is whole and this long; 1 or more.
    End(usize),
    /// The head is longer than the limit.
    TooLarge,
}

/// State over one request head. Reset it by making a new one.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    findings: HeadFindings,
    /// What was searched for line ends.
    searched: usize,
    /// Where the first unfinished line begins.
    line_start: usize,
    fields: u32,
    length: Option<u64>,
    seen_request_line: bool,
    seen_length: bool,
    seen_encoding: bool,
    seen_host: bool,
    upgrade: bool,
}

impl HeadScanner {
    /// Reads on in `head`, which is all that came so far; `limit` bounds the whole head, blank lines before it included.
    ///
    /// Call it again with more after it answered [`Fed::More`], and no more after any other answer.
    pub(crate) fn feed(&mut self, head: &[u8], limit: usize) -> Fed {
        let fresh = head.get(self.searched..).unwrap_or_default();
        for newline in memchr_iter(b'\n', fresh) {
            let newline = self.searched + newline;
            let end = newline + 1;
            if end > limit {
                return Fed::TooLarge;
            }
            let line = head.get(self.line_start..newline).unwrap_or_default();
            self.line_start = end;
            if self.line(line) {
                self.finish(head.get(..end).unwrap_or_default());
                return Fed::End(end);
            }
        }
        if head.len() > limit {
            return Fed::TooLarge;
        }
        if !self.seen_request_line && !is_plausible(head) {
            // Another protocol altogether, TLS perhaps: it shall be told so now and not when its time is over.
            self.findings.insert(HeadFinding::BadRequestLine);
            return Fed::End(head.len());
        }
        self.searched = head.len();
        Fed::More
    }

    /// What was found so far; complete once the head has ended.
    pub(crate) fn findings(&self) -> HeadFindings {
        self.findings
    }

    /// How the body is framed; meaningful once the head has ended without an invalid finding.
    pub(crate) fn framing(&self) -> Framing {
        match (self.seen_encoding, self.length) {
            (true, _) => Framing::Chunked,
            (false, None | Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
        }
    }

    /// Whether the request asks for an upgrade of the connection.
    pub(crate) fn asks_upgrade(&self) -> bool {
        self.upgrade
    }

    /// One line without its LF. True: the head ends here.
    fn line(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or_else(|| {
            self.findings.insert(HeadFinding::BareLineFeed);
            line
        });
        match line.first() {
            // RFC 9112, section 2.2: blank lines before a request line are to be ignored.
            None => return self.seen_request_line,
            Some(_) if !self.seen_request_line => self.request_line(line),
            Some(b' ' | b'\t') => self.findings.insert(HeadFinding::ObsFold),
            Some(first) => self.field(first | 0x20, line),
        }
        false
    }

    fn request_line(&mut self, line: &[u8]) {
        self.seen_request_line = true;
        let (Some(first), Some(last)) = (memchr(b' ', line), memrchr(b' ', line)) else {
            return self.findings.insert(HeadFinding::BadRequestLine);
        };
        let method = line.get(..first).unwrap_or_default();
        let target = line.get(first + 1..last).unwrap_or_default();
        self.target(method, target);
        match line.get(last + 1..).unwrap_or_default() {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.findings.insert(HeadFinding::Http10),
            _ => self.findings.insert(HeadFinding::BadVersion),
        }
    }

    fn target(&mut self, method: &[u8], target: &[u8]) {
        let (mut space, mut control, mut high, mut fragment) = (false, false, false, false);
        for &byte in target {
            space |= byte == b' ';
            control |= (byte < b' ') | (byte == 0x7f);
            high |= byte > 0x7f;
            fragment |= byte == b'#';
        }
        let form = match target.first() {
            Some(b'/') => true,
            Some(b'*') => target.len() == 1 && method == b"OPTIONS",
            // Pingora answers CONNECT itself; its authority form is no business of later stages.
            Some(_) => {
                strip_name(target, b"http://").or(strip_name(target, b"https://")).is_some() || method == b"CONNECT"
            }
            None => false,
        };
        for (found, finding) in [
            (space || method.is_empty() || target.is_empty(), HeadFinding::BadRequestLine),
            (control, HeadFinding::ControlInTarget),
            (high, HeadFinding::NonAsciiTarget),
            (fragment, HeadFinding::FragmentInTarget),
            (!form, HeadFinding::TargetForm),
        ] {
            if found {
                self.findings.insert(finding);
            }
        }
    }

    /// `first` is the line's first byte in lower case: it tells nearly all fields apart without a comparison.
    fn field(&mut self, first: u8, line: &[u8]) {
        self.fields += 1;
        if self.fields > MAX_FIELD_LINES {
            self.findings.insert(HeadFinding::TooManyFields);
        }
        match first {
            b'h' => {
                let is_host = strip_name(line, b"host:").is_some();
                if is_host && self.seen_host {
                    self.findings.insert(HeadFinding::DuplicateHost);
                }
                self.seen_host |= is_host;
            }
            b'c' => {
                if let Some(value) = strip_name(line, b"content-length:") {
                    self.content_length(value.trim_ascii());
                }
            }
            b't' => {
                if let Some(value) = strip_name(line, b"transfer-encoding:") {
                    let again = std::mem::replace(&mut self.seen_encoding, true);
                    if again || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                        self.findings.insert(HeadFinding::BadTransferEncoding);
                    }
                }
            }
            b'u' if strip_name(line, b"upgrade:").is_some() => self.upgrade = true,
            _ => {}
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        if std::mem::replace(&mut self.seen_length, true) {
            self.findings.insert(HeadFinding::DuplicateLength);
        }
        self.length = decimal(value);
        if self.length.is_none() {
            self.findings.insert(HeadFinding::BadLength);
        }
    }

    fn finish(&mut self, head: &[u8]) {
        if memchr(0, head).is_some() {
            self.findings.insert(HeadFinding::Nul);
        }
        let old = self.findings.contains(HeadFinding::Http10);
        if !self.seen_host && !old && !self.findings.contains(HeadFinding::BadVersion) {
            self.findings.insert(HeadFinding::NoHost);
        }
        if self.seen_length && self.seen_encoding {
            self.findings.insert(HeadFinding::LengthAndEncoding);
        }
        // RFC 9112, section 6.1: transfer codings came with HTTP/1.1.
        if self.seen_encoding && old {
            self.findings.insert(HeadFinding::BadTransferEncoding);
        }
    }
}

/// Whether the first byte, blank lines aside, can begin a method.
fn is_plausible(head: &[u8]) -> bool {
    head.iter().find(|byte| !matches!(byte, b'\r' | b'\n')).is_none_or(u8::is_ascii_graphic)
}

/// What follows `name` (in lower case, its colon included), if the line begins with it.
fn strip_name<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(rest)
}

/// Plain decimal digits, below 2^63 so that sums of two can't overflow.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit).filter(|sum| *sum < 1 << 63)
    })
}

#[cfg(test)]
mod tests;
