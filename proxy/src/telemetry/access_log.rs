//! One JSON line a request, without ever making a request wait.
//!
//! In comes a line, formatted in place; out goes a write of many lines at once, from one thread. Between
//! the two is one buffer of bounded size: when whoever reads our output is slower than we are, lines
//! are dropped and counted, requests go on. No line holds a token, a key, a body or a query value:
//! its writer is never given one.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

mod line;

pub(crate) use line::{Field, Line, field};

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
}
