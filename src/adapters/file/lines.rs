//! Lines of a file within a limit, and how far they reach.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Far longer than the line of any record that a log takes.
const LINE_LEN_MAX: u64 = 256 * 1024 * 1024;

const BUFFER_LEN: usize = 256 * 1024;

/// Reads line after line.
pub(super) struct Lines {
    file: BufReader<File>,
    line: Vec<u8>,
}

/// A line without its end.
pub(super) struct Whole<'a> {
    pub(super) text: &'a [u8],
    /// Whether it had an end: the last line of a file that was cut off has none.
    pub(super) has_end: bool,
}

impl Lines {
    /// From `at` on, in bytes.
    pub(super) fn from(mut file: File, at: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { file: BufReader::with_capacity(BUFFER_LEN, file), line: Vec::new() })
    }

    /// The next line; none at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Whole<'_>>> {
        self.line.clear();
        let mut limited = self.file.by_ref().take(LINE_LEN_MAX);
        if limited.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        if let Some(text) = self.line.strip_suffix(b"\n") {
            return Ok(Some(Whole { text, has_end: true }));
        }
        if self.line.len() as u64 == LINE_LEN_MAX {
            return Err(io::Error::other("a line is longer than any that was ever written"));
        }
        Ok(Some(Whole { text: &self.line, has_end: false }))
    }
}
