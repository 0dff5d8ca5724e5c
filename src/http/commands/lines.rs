//! The lines of a body that is still being sent.
//!
//! Memory stays bounded whatever is sent: a line that is too long is passed over, not kept.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::super::problem::Problem;

/// Reads a body line by line.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Bytes at the buffer's start that are known to hold no end of a line.
    looked_at: usize,
    /// The number of the line at the buffer's start, from 1.
    number: u64,
    is_too_long: bool,
    is_ended: bool,
    len_max: usize,
    silence_max: Duration,
}

/// A line with its number, from 1, or why it cannot be read.
pub(super) type Line = (u64, Result<Bytes, Problem>);

impl Lines {
    pub(super) fn of(body: Body, len_max: usize, silence_max: Duration) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            looked_at: 0,
            number: 1,
            is_too_long: false,
            is_ended: false,
            len_max,
            silence_max,
        }
    }

    /// The next line that is not empty; none after the end of the body, or when it broke off.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Some(line);
            }
            if self.is_ended {
                return self.last();
            }
            if let Err(problem) = self.read().await {
                self.is_ended = true;
                self.buffer.clear();
                self.looked_at = 0;
                self.is_too_long = false;
                return Some((self.number, Err(problem)));
            }
        }
    }

    /// Waits for the first bytes: a client that asks whether to send gets its answer by that.
    pub(super) async fn begin(&mut self) -> Result<(), Problem> {
        self.read().await
    }

    async fn read(&mut self) -> Result<(), Problem> {
        let frame = tokio::time::timeout(self.silence_max, self.body.frame()).await;
        let frame = frame.map_err(|_| Problem::BatchSilent { ms: self.silence_max.as_millis() })?;
        match frame {
            None => self.is_ended = true,
            Some(Ok(frame)) => {
                // Trailers are no part of the content.
                if let Ok(data) = frame.into_data() {
                    self.buffer.extend_from_slice(&data);
                }
            }
            Some(Err(_)) => return Err(Problem::BodyBroken),
        }
        Ok(())
    }

    /// The next whole line of the buffer that is not empty.
    fn cut(&mut self) -> Option<Line> {
        loop {
            let rest = &self.buffer[self.looked_at..];
            let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
                self.pass_over_what_is_too_long();
                return None;
            };
            let line = self.buffer.split_to(self.looked_at + at + 1).freeze();
            let number = self.number;
            self.number += 1;
            self.looked_at = 0;
            let is_too_long =
                std::mem::take(&mut self.is_too_long) || line.len() > self.len_max + 1;
            if is_too_long {
                return Some((number, Err(Problem::LineTooLong { max: self.len_max })));
            }
            if !line.trim_ascii().is_empty() {
                return Some((number, Ok(line)));
            }
        }
    }

    fn pass_over_what_is_too_long(&mut self) {
        if self.is_too_long || self.buffer.len() > self.len_max {
            self.is_too_long = true;
            self.buffer.clear();
        }
        self.looked_at = self.buffer.len();
    }

    /// The last line, which needs no end of its own.
    fn last(&mut self) -> Option<Line> {
        if std::mem::take(&mut self.is_too_long) {
            return Some((self.number, Err(Problem::LineTooLong { max: self.len_max })));
        }
        let line = self.buffer.split().freeze();
        self.looked_at = 0;
        (!line.trim_ascii().is_empty()).then_some((self.number, Ok(line)))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn all(pieces: &[&'static str]) -> Vec<String> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece)).collect();
        let mut lines = Lines::of(Body::from_stream(stream::iter(pieces)), 5, SECOND);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().await {
            let line = line.map(|line| String::from_utf8_lossy(line.trim_ascii()).into_owned());
            all.push(format!("{number} {}", line.unwrap_or_else(|_| "too long".to_owned())));
        }
        all
    }

    #[tokio::test]
    async fn lines_are_cut_wherever_the_body_is() {
        assert_eq!(all(&["ab\ncd", "e\n", "\n", "f"]).await, ["1 ab", "2 cde", "4 f"]);
        assert_eq!(all(&["a\r\n", "12345\n", "12345"]).await, ["1 a", "2 12345", "3 12345"]);
        assert_eq!(all(&[]).await, [""; 0]);
        assert_eq!(all(&["\n", " \n"]).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        assert_eq!(all(&["123456\nb\n"]).await, ["1 too long", "2 b"]);
        let pieces = ["a\n123", "456", "789", "0\nb\n", "1234567"];
        assert_eq!(all(&pieces).await, ["1 a", "2 too long", "3 b", "4 too long"]);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_gives_no_half_line() {
        let parts = [Ok("a\n{}"), Err(std::io::Error::other("gone"))];
        let mut lines = Lines::of(Body::from_stream(stream::iter(parts)), 5, SECOND);
        assert!(lines.next().await.expect("line").1.is_ok());
        let broken = lines.next().await;
        assert!(matches!(broken, Some((2, Err(Problem::BodyBroken)))));
        assert!(lines.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_ends_the_batch() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let mut lines = Lines::of(never, 5, SECOND);
        assert!(matches!(lines.next().await, Some((1, Err(Problem::BatchSilent { ms: 1_000 })))));
        assert!(lines.next().await.is_none());
    }
}
