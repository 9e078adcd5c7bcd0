//! One JSON line a request, without ever making a request wait.
//!
//! In comes a line, formatted in place; out goes a write of many lines at once, from one thread. Between
//! the two is one buffer of bounded size: when whoever reads our output is slower than we are, lines
//! are dropped and counted, requests go on. No line holds a token, a key, a body or a query value:
//! its writer is never given one.

use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use attest_core::time::UnixTime;

/// Bytes that may wait for the writer.
const ROOM: usize = 4 << 20;
/// How long the writer gathers lines before it writes: at most this late is a line.
const GATHER: Duration = Duration::from_millis(10);

/// The line buffer and its writer. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Vec<u8>>,
    filled: Condvar,
    stop: AtomicBool,
    dropped: AtomicU64,
}

/// Joins the writer when the process ends, so that the last lines are written.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Option<Arc<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl AccessLog {
    /// No log at all.
    pub(crate) fn disabled() -> (Self, Writer) {
        (Self(None), Writer { shared: None, thread: None })
    }

    /// A log that writes to `out`.
    ///
    /// # Errors
    /// When the writer's thread can't be started.
    pub(crate) fn to(out: impl Write + Send + 'static) -> std::io::Result<(Self, Writer)> {
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Vec::with_capacity(64 << 10)),
            filled: Condvar::new(),
            stop: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        let drained = shared.clone();
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(move || drained.drain(out))?;
        Ok((Self(Some(shared.clone())), Writer { shared: Some(shared), thread: Some(thread) }))
    }

    /// Whether lines go anywhere: who asks can save making them.
    pub(crate) fn enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Appends the line that `write` makes. It may write several fields; the newline is added here.
    pub(crate) fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(shared) = &self.0 else { return };
        let mut waiting = shared.lock();
        if waiting.len() >= ROOM {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = waiting.is_empty();
        write(&mut waiting);
        waiting.push(b'\n');
        drop(waiting);
        if first {
            shared.filled.notify_one();
        }
    }

    /// Lines dropped because the buffer was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.dropped.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self, mut out: impl Write) {
        let mut lines = Vec::with_capacity(64 << 10);
        loop {
            {
                let mut waiting = self.lock();
                while waiting.is_empty() {
                    if self.stop.load(Ordering::Acquire) {
                        return;
                    }
                    waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
            }
            let mut waiting = self.lock();
            if !self.stop.load(Ordering::Acquire) {
                // More lines come while the lock is free; the end of the process wakes this early.
                (waiting, _) = self.filled.wait_timeout(waiting, GATHER).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut *waiting, &mut lines);
            drop(waiting);
            // Nobody is left to tell: a reader that went away must not end the gateway.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            lines.shrink_to(1 << 20);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let (Some(shared), Some(thread)) = (self.shared.take(), self.thread.take()) {
            shared.stop.store(true, Ordering::Release);
            // The lock is taken so that the writer is either before its test of `stop`, or asleep.
            drop(shared.lock());
            shared.filled.notify_one();
            let _ = thread.join();
        }
    }
}

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

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn drops_lines_rather_than_grow_without_bound() {
        struct Stuck;
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                std::thread::park();
                Ok(0)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (log, writer) = AccessLog::to(Stuck).unwrap();
        for _ in 0..20_000 {
            log.line(|out| out.extend_from_slice(&[b'x'; 1024]));
        }
        assert!(log.dropped() > 0);
        std::mem::forget(writer);
    }

    #[test]
    fn writes_the_last_line_before_it_ends() {
        let sink = Sink::default();
        let (log, writer) = AccessLog::to(sink.clone()).unwrap();
        for n in 0..100 {
            log.line(|out| {
                let mut line = Line::new(out);
                line.number(field!("n"), n).text(field!("t"), "a\"b\\c\u{1}\n").close();
            });
        }
        drop(writer);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 100);
        for (n, line) in text.lines().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["n"], n);
            assert_eq!(value["t"], "a\"b\\c\u{1}\n");
        }
    }

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
