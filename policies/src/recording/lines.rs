//! The lines of a file that may be huge, one at a time.
//!
//! In: a reader. Out: each line, or that it is too long to be one. Proven: no more than one line's length is held, however long the file or
//! a line of it.

use std::io::{BufRead, Read as _};

use super::{Broken, MAX_LINE};

/// Calls `each` for every line that is not empty, with its number (from 1).
///
/// # Errors
/// What the reader says; lines before that have been given.
pub fn for_each_line(
    mut from: impl BufRead,
    mut each: impl FnMut(u64, Result<&[u8], Broken>),
) -> Result<(), std::io::Error> {
    let room = MAX_LINE as u64 + 1;
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        // One more than a line may have, so that a longer one is told from one that just fits.
        if from.by_ref().take(room).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        if line.len() > MAX_LINE {
            each(number, Err(Broken::TooLong));
            if !ended {
                from.skip_until(b'\n')?;
            }
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if !line.iter().all(u8::is_ascii_whitespace) {
            each(number, Ok(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        // A reader that hands out a few bytes at a time.
        let slow = std::io::BufReader::with_capacity(7, text);
        for_each_line(slow, |number, line| found.push((number, line.ok().map(<[u8]>::to_vec)))).unwrap();
        found
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_one_read() {
        let mut text = vec![b'x'; MAX_LINE + 1];
        text.extend_from_slice(b"\nok\n");
        assert_eq!(lines(&text), [(1, None), (2, Some(b"ok".to_vec()))]);
        let mut text = vec![b'x'; MAX_LINE * 3];
        text.extend_from_slice(b"\nok");
        assert_eq!(lines(&text), [(1, None), (2, Some(b"ok".to_vec()))]);
    }

    #[test]
    fn a_line_of_just_the_length_is_one() {
        let mut text = vec![b'x'; MAX_LINE];
        text.extend_from_slice(b"\n\n \r\nlast\r\n");
        let found = lines(&text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1.as_ref().map(Vec::len), Some(MAX_LINE));
        assert_eq!(found[1], (4, Some(b"last".to_vec())));
    }

    proptest! {
        #[test]
        fn short_lines_come_out_as_they_went_in(text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'{')], 0..400)) {
            let expected: Vec<Vec<u8>> = text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
            let found: Vec<Vec<u8>> = lines(&text).into_iter().map(|(_, line)| line.unwrap()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
