//! The lines of the input: envelopes as NDJSON, read by a thread of its own.
//!
//! A line that is none is told with its number, and the next one is read; memory stays bounded
//! whatever the input is.

use std::io::{self, BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc;

use crate::contract::Version;
use crate::events::{BadEnvelope, CommandId, Envelope};

/// The longest line; a service refuses longer bodies without reading them to their end.
const LINE_LEN_MAX: usize = 16 * 1024 * 1024;

/// Lines read ahead of what is sent.
const READ_AHEAD: usize = 16;

/// A command to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// `account/ann`; what it is ordered by.
    pub(super) aggregate: String,
    /// Where it is sent.
    pub(super) route: String,
    /// As it stands in the line.
    pub(super) command: Bytes,
    /// Makes it safe to send it again.
    pub(super) key: Option<CommandId>,
    /// The version that its aggregate must have.
    pub(super) expected_version: Option<Version>,
}

/// A line that cannot be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BadLine {
    /// Its number, from 1.
    pub(super) number: u64,
    /// What was expected.
    pub(super) detail: String,
}

/// What a line turned out to be.
pub(super) type Read = Result<Line, BadLine>;

/// The input, being read.
pub(super) struct Lines {
    /// What was read; ends with the input.
    pub(super) lines: mpsc::Receiver<Read>,
    /// Bytes read so far.
    pub(super) bytes: Arc<AtomicU64>,
}

/// Reads in a thread that ends with the input or with its reader, and is never waited for: a
/// read of a terminal cannot be broken off.
pub(super) fn read(input: impl io::Read + Send + 'static) -> Lines {
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = bytes.clone();
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(256 * 1024, input);
        let mut number = 0;
        while let Some(line) = next(&mut input, &mut number, &counted) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Lines { lines, bytes }
}

/// The next line that is not empty.
fn next(input: &mut impl BufRead, number: &mut u64, counted: &AtomicU64) -> Option<Read> {
    let mut line = Vec::new();
    loop {
        line.clear();
        *number += 1;
        let bad = |detail: String| BadLine { number: *number, detail };
        let limit = LINE_LEN_MAX as u64 + 1;
        match io::Read::take(&mut *input, limit).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(len) => counted.fetch_add(len as u64, Ordering::Relaxed),
            Err(error) => return Some(Err(bad(format!("the input cannot be read: {error}")))),
        };
        if line.len() > LINE_LEN_MAX && line.last() != Some(&b'\n') {
            let rest = input.skip_until(b'\n').unwrap_or_default();
            counted.fetch_add(rest as u64, Ordering::Relaxed);
            return Some(Err(bad(format!("is longer than {LINE_LEN_MAX} bytes"))));
        }
        if !line.trim_ascii().is_empty() {
            return Some(parse(*number, &line).map_err(|error| bad(error.to_string())));
        }
    }
}

fn parse(number: u64, line: &[u8]) -> Result<Line, BadEnvelope> {
    let envelope = Envelope::parse(line)?;
    let Envelope { aggregate_type, id, command, key, expected_version } = envelope;
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    Ok(Line {
        number,
        route: format!("commands/{}/{}", encode(&aggregate_type), encode(id.as_str())),
        aggregate: format!("{aggregate_type}/{id}"),
        command: Bytes::copy_from_slice(command.get().as_bytes()),
        key,
        expected_version,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    async fn all(input: &str) -> Vec<Read> {
        let mut input = read(std::io::Cursor::new(input.to_owned().into_bytes()));
        let mut all = Vec::new();
        while let Some(line) = input.lines.recv().await {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn an_envelope_is_a_command_for_an_aggregate_as_it_stands() {
        let input = r#"
            {"aggregate":{"type":"account","id":"Zoë/ 1"},"command":{}}
            {"command":{"type":"Open", "by":"Zoë"},"aggregate":{"type":"account","id":"Zoë 1"}}
            {"aggregate":{"type":"a","id":"b"},"command":{},"key":"k","expected_version":4}"#;
        let lines = all(input).await;
        assert!(lines[0].as_ref().expect_err("slash").detail.contains("must not contain `/`"));
        let line = lines[1].as_ref().expect("line");
        assert_eq!((line.number, line.aggregate.as_str()), (3, "account/Zoë 1"));
        assert_eq!(line.route, "commands/account/Zo%C3%AB%201");
        assert_eq!(line.command, r#"{"type":"Open", "by":"Zoë"}"#);
        assert_eq!((&line.key, line.expected_version), (&None, None));
        let line = lines[2].as_ref().expect("line");
        assert_eq!(line.key.as_ref().map(CommandId::as_str), Some("k"));
        assert_eq!(line.expected_version, Some(Version(4)));
        assert_eq!(lines.len(), 3);
    }

    #[tokio::test]
    async fn a_bad_line_is_told_with_its_number_and_the_next_is_read() {
        let good = r#"{"aggregate":{"type":"a","id":"b"},"command":{"type":"C"}}"#;
        let bad = [
            "{",
            "[]",
            r#"[{"type":"C"},{"type":"a","id":"b"},null,null]"#,
            r#"{"aggregate":{"type":"a","id":"b"}}"#,
            r#"{"aggregate":{"type":"a"},"command":{}}"#,
            r#"{"aggregate":{"type":"a","id":""},"command":{}}"#,
            r#"{"aggregate":{"type":"a","id":"b"},"command":{},"kee":1}"#,
            r#"{"aggregate":{"type":"a","id":"b"},"command":{},"key":"two words"}"#,
            r#"{"aggregate":{"type":"a","id":"b"},"command":{},"expected_version":-1}"#,
        ];
        let mut input = bad.join("\n");
        input.push('\n');
        input.push_str(good);
        let lines = all(&input).await;
        assert_eq!(lines.len(), bad.len() + 1);
        for (at, line) in lines[..bad.len()].iter().enumerate() {
            assert_eq!(line.as_ref().expect_err(bad[at]).number, at as u64 + 1, "{}", bad[at]);
        }
        assert_eq!(lines[bad.len()].as_ref().expect("good").number, bad.len() as u64 + 1);
    }

    #[tokio::test]
    async fn a_line_without_end_takes_no_memory() {
        let good = "\n{\"aggregate\":{\"type\":\"a\",\"id\":\"b\"},\"command\":{}}\n";
        let endless = std::io::repeat(b' ').take(LINE_LEN_MAX as u64 * 3);
        let mut input = read(endless.chain(std::io::Cursor::new(good)));
        let bad = input.lines.recv().await.expect("line").expect_err("too long");
        assert!(bad.detail.contains("longer"), "{}", bad.detail);
        assert_eq!(input.lines.recv().await.expect("line").expect("good").number, 2);
        let bytes = input.bytes.load(Ordering::Relaxed);
        assert_eq!(bytes, LINE_LEN_MAX as u64 * 3 + good.len() as u64);
    }
}
