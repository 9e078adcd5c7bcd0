//! What an API says that a request used, read out of its answer while the answer goes by.
//!
//! In: the pieces of a body, wherever it is cut. Out: a number of tokens, and whether it is the last word on them. Not one
//! byte is held back or changed, and memory does not grow with the body: the JSON is scanned, never built.
//!
//! | API | where | read as |
//! | --- | --- | --- |
//! | OpenAI and alike | `usage.total_tokens`, or prompt and completion tokens | one report, in a stream the last chunk |
//! | OpenAI Responses | `usage`, in a stream `response.usage` of the last event | one report |
//! | Anthropic | `usage.input_tokens`, `output_tokens`, cache tokens; in a stream `message.usage` at the start, `usage` at the end | totals so far: the start alone is not the last word |
//! | Gemini | `usageMetadata.totalTokenCount`; in a stream in every chunk | totals so far |
//!
//! None of them reports differences to be added up: each report is of the whole answer so far. So of each field the
//! largest value stands. A field of that name anywhere else (in what the model wrote, in a tool's arguments) is not looked at.

use std::fmt;

mod events;
mod json;

use events::Events;
use json::Scanner;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json` and alike: one document, or one after the other.
    Json,
    /// `text/event-stream`: a document in each event.
    EventStream,
}

impl Format {
    /// The format that a `Content-Type` names; nothing where no usage can be read.
    #[must_use]
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let json: [&[u8]; 3] = [b"application/json", b"application/x-ndjson", b"application/jsonl"];
        if kind.eq_ignore_ascii_case(b"text/event-stream") {
            Some(Self::EventStream)
        } else if json.iter().any(|name| kind.eq_ignore_ascii_case(name))
            || kind.len() > 5 && kind.get(kind.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case(b"+json"))
        {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// What was reported so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Tokens, of question and answer together.
    pub tokens: u64,
    /// Whether it is the last word, if the body ends here and was whole. Else more may have been used.
    pub is_final: bool,
}

/// Reads the usage out of one body.
pub struct UsageReader(Inner);

enum Inner {
    Json(Scanner),
    Events(Events),
}

impl UsageReader {
    /// For a body that is written so.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self(match format {
            Format::Json => Inner::Json(Scanner::default()),
            Format::EventStream => Inner::Events(Events::default()),
        })
    }

    /// The next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Inner::Json(scanner) => scanner.push(piece),
            Inner::Events(events) => events.push(piece),
        }
    }

    /// What was reported so far; nothing while nothing was.
    #[must_use]
    pub fn reported(&self) -> Option<Reported> {
        match &self.0 {
            Inner::Json(scanner) => {
                let reported = scanner.found().reported()?;
                // Half a document may hold more.
                Some(Reported { is_final: reported.is_final && scanner.is_between_documents(), ..reported })
            }
            Inner::Events(events) => events.found().reported(),
        }
    }
}

impl fmt::Debug for UsageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UsageReader").field(&self.reported()).finish()
    }
}

/// The largest value of each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    total: Option<u64>,
    input: Option<u64>,
    output: Option<u64>,
    cache_write: Option<u64>,
    cache_read: Option<u64>,
    is_final: bool,
}

impl Found {
    /// A field of a usage object.
    fn note(&mut self, field: &[u8], value: u64) {
        let slot = match field {
            b"total_tokens" | b"totalTokenCount" => &mut self.total,
            b"input_tokens" | b"prompt_tokens" | b"promptTokenCount" => &mut self.input,
            b"output_tokens" | b"completion_tokens" | b"candidatesTokenCount" => &mut self.output,
            // Anthropic counts these beside its input tokens; whoever gives a total has them in it.
            b"cache_creation_input_tokens" => &mut self.cache_write,
            b"cache_read_input_tokens" => &mut self.cache_read,
            _ => return,
        };
        *slot = (*slot).max(Some(value));
    }

    fn reported(&self) -> Option<Reported> {
        let sum = |parts: &[Option<u64>]| parts.iter().flatten().copied().reduce(u64::saturating_add);
        let parts = sum(&[self.input, self.output]);
        let tokens = match self.total {
            Some(total) => total.max(parts.unwrap_or(0)),
            None => sum(&[parts, self.cache_write, self.cache_read])?,
        };
        Some(Reported { tokens, is_final: self.is_final })
    }
}

#[cfg(test)]
mod tests;
