//! The lines of a file, version 1: a header, records, and the end of each partition.
//!
//! This is a storage format: a file once written is read for ever, and fields that a reader does
//! not know are ignored. Key and value survive byte for byte: a value that is JSON on one line
//! stands there as it is, anything else in hex.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::contract::{Offset, Partition, Time};
use crate::log::{LogId, Sum};
use crate::ports::Counted;

/// What a header calls the format.
const FORMAT: &str = "retell log";
/// The version that is written, and the highest that is read.
const VERSION: u32 = 1;

/// How every file begins.
pub(super) const BEGINNING: &[u8] = br#"{"format":"retell log","version":"#;

const SUM_BEGIN: &[u8] = br#","sum":""#;
const SUM_HEX_LEN: usize = 16;
const SUM_END: &[u8] = br#""}"#;

/// What the lines so far come to: the first 8 bytes of SHA-256 over the sum before and the line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Seal([u8; 8]);

/// The first line.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Header<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u32,
    pub(super) partitions: u32,
    pub(super) hash: String,
    /// The id of the log that was copied first, in each partition.
    pub(super) logs: Vec<Option<LogId>>,
}

/// A line after the first.
pub(super) enum Line {
    Record(Partition, Counted),
    End(Partition, Sum),
}

#[derive(Serialize)]
struct RecordLine<'a> {
    partition: Partition,
    offset: Offset,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
}

#[derive(Serialize)]
struct EndLine<'a> {
    end: Partition,
    #[serde(flatten)]
    sum: &'a Sum,
}

/// Whatever a line may have.
#[derive(Deserialize)]
struct AnyLine<'a> {
    partition: Option<Partition>,
    #[serde(default)]
    offset: Offset,
    #[serde(default)]
    time: Time,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_hex: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "there")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_hex: Option<Cow<'a, str>>,
    end: Option<Partition>,
    #[serde(default)]
    records: u64,
    #[serde(default)]
    sha256: String,
}

impl Header<'_> {
    pub(super) fn new(partitions: u32, hash: String, logs: Vec<Option<LogId>>) -> Self {
        Self { format: FORMAT.into(), version: VERSION, partitions, hash, logs }
    }

    /// Puts the line at the end of `lines`.
    pub(super) fn write(&self, lines: &mut Vec<u8>, seal: &mut Seal) {
        write(self, lines, seal);
    }
}

impl<'a> Header<'a> {
    pub(super) fn read(line: &'a [u8]) -> Result<Self, String> {
        let header: Self = serde_json::from_slice(line).map_err(|_| "is no copy of a log")?;
        if header.format != FORMAT {
            return Err("is no copy of a log".to_owned());
        }
        if header.version > VERSION {
            let version = header.version;
            return Err(format!("version {version} of the format; this binary reads {VERSION}"));
        }
        if header.partitions == 0 || header.logs.len() != header.partitions as usize {
            return Err("does not say how many partitions there are".to_owned());
        }
        Ok(header)
    }
}

/// Puts the line of a record at the end of `lines`.
pub(super) fn write_record(
    partition: Partition,
    record: &Counted,
    lines: &mut Vec<u8>,
    seal: &mut Seal,
) {
    let key = record.key.as_deref().map(|key| std::str::from_utf8(key).map_err(|_| hex(key)));
    let value = as_it_is(&record.value);
    let line = RecordLine {
        partition,
        offset: record.offset,
        time: record.time,
        key: key.as_ref().and_then(|key| key.as_deref().ok()),
        key_hex: key.as_ref().and_then(|key| key.as_ref().err().cloned()),
        value,
        value_hex: value.is_none().then(|| hex(&record.value)),
    };
    write(&line, lines, seal);
}

/// Puts the line of a partition's end at the end of `lines`.
pub(super) fn write_end(partition: Partition, sum: &Sum, lines: &mut Vec<u8>, seal: &mut Seal) {
    write(&EndLine { end: partition, sum }, lines, seal);
}

/// Checks a line's sum, and takes the line into account for the next.
pub(super) fn check_seal(line: &[u8], seal: &mut Seal) -> Result<(), String> {
    let altered = || "was altered, or a line before it is missing: its sum is another".to_owned();
    let body_len = line.len().checked_sub(SUM_BEGIN.len() + SUM_HEX_LEN + SUM_END.len());
    let (body, sum) = line.split_at(body_len.ok_or_else(altered)?);
    let next = seal.after(body);
    if sum != next.suffix() {
        return Err(altered());
    }
    *seal = next;
    Ok(())
}

/// Reads a line after the first.
pub(super) fn read(line: &[u8]) -> Result<Line, String> {
    let line: AnyLine<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    match (line.partition, line.end) {
        (Some(partition), None) => Ok(Line::Record(partition, line.record()?)),
        (None, Some(end)) => Ok(Line::End(end, Sum { records: line.records, sha256: line.sha256 })),
        _ => Err("is neither a record nor the end of a partition".to_owned()),
    }
}

impl AnyLine<'_> {
    fn record(self) -> Result<Counted, String> {
        let value = match (self.value, self.value_hex) {
            (Some(json), None) => json.get().as_bytes().to_vec(),
            (None, Some(hex)) => from_hex(&hex)?,
            _ => return Err("has no value, or two".to_owned()),
        };
        let key = match (self.key, self.key_hex) {
            (None, None) => None,
            (Some(text), None) => Some(text.into_owned().into_bytes()),
            (None, Some(hex)) => Some(from_hex(&hex)?),
            (Some(_), Some(_)) => return Err("has two keys".to_owned()),
        };
        let (offset, time) = (self.offset, self.time);
        Ok(Counted { offset, time, key: key.map(Into::into), value: value.into() })
    }
}

impl Seal {
    fn after(self, body: &[u8]) -> Self {
        let sha256 = Sha256::new().chain_update(self.0).chain_update(body).finalize();
        Self(*sha256.first_chunk().expect("SHA-256 has 32 bytes"))
    }

    fn suffix(self) -> Vec<u8> {
        [SUM_BEGIN, hex(&self.0).as_bytes(), SUM_END].concat()
    }
}

fn write(line: &impl Serialize, lines: &mut Vec<u8>, seal: &mut Seal) {
    let from = lines.len();
    serde_json::to_writer(&mut *lines, line).expect("a line has string keys only");
    lines.pop(); // the brace comes after the sum
    *seal = seal.after(&lines[from..]);
    lines.extend(seal.suffix());
    lines.push(b'\n');
}

/// A value that stands in a line as it is and is read back the same.
fn as_it_is(value: &[u8]) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_slice(value).ok()?;
    (json.get().as_bytes() == value && !value.contains(&b'\n')).then_some(json)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(16 * digit(*high)? + digit(*low)?);
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| "has hex that is none".to_owned())
}

/// `null` is a value like any other.
fn there<'de: 'a, 'a, D: Deserializer<'de>>(json: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(record: &Counted) -> (String, Counted) {
        let (mut lines, mut seal) = (Vec::new(), Seal::default());
        write_record(Partition(3), record, &mut lines, &mut seal);
        let line = lines.strip_suffix(b"\n").expect("a whole line");
        assert!(!line.contains(&b'\n'), "one line: {}", String::from_utf8_lossy(line));
        check_seal(line, &mut Seal::default()).expect("its sum is right");
        let Line::Record(Partition(3), read) = read(line).expect("a line") else {
            panic!("no record of the partition");
        };
        (String::from_utf8(line.to_vec()).expect("text"), read)
    }

    fn record(key: Option<&[u8]>, value: &[u8]) -> Counted {
        let key = key.map(|key| key.to_vec().into());
        let (offset, time) = (Offset(7), Time::from_millis(1_000));
        Counted { offset, time, key, value: value.to_vec().into() }
    }

    proptest! {
        #[test]
        fn any_key_and_value_are_read_back_byte_for_byte(
            key in prop::option::of(prop_oneof![
                any::<Vec<u8>>(),
                ".*".prop_map(String::into_bytes),
            ]),
            value in prop_oneof![
                any::<Vec<u8>>(),
                ".*".prop_map(String::into_bytes),
                r#"[ \n]{0,2}(\{"a":("x\\u00e9"|[0-9]{1,40}|1e5|null)\}|null|"x")[ \n]{0,2}"#
                    .prop_map(String::into_bytes),
            ],
            offset in any::<u64>(),
            millis in 0..4_102_444_800_000_i64,
        ) {
            let written = Counted {
                offset: Offset(offset),
                time: Time::from_millis(millis),
                ..record(key.as_deref(), &value)
            };
            prop_assert_eq!(there_and_back(&written).1, written);
        }
    }

    /// The storage format: this text is never changed.
    #[test]
    fn a_record_is_written_as_documented() {
        let (line, _) = there_and_back(&record(Some(b"account/ann"), br#"{"v":1, "a":1e2}"#));
        assert_eq!(
            line,
            r#"{"partition":3,"offset":7,"time":"1970-01-01T00:00:01.000Z","key":"account/ann","#
                .to_owned()
                + r#""value":{"v":1, "a":1e2},"sum":"e764f22f7dc5f470"}"#
        );
        let (line, _) = there_and_back(&record(None, b"\xff{"));
        assert!(line.contains(r#"Z","value_hex":"ff7b","sum""#), "{line}");
    }

    #[test]
    fn deep_json_stands_as_it_is() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let written = record(None, deep.as_bytes());
        let (line, read) = there_and_back(&written);
        assert!(line.contains(&deep) && read == written);
    }

    #[test]
    fn a_line_that_says_two_things_or_nothing_is_refused() {
        for line in [
            "{}",
            r#"{"partition":0,"end":0}"#,
            r#"{"partition":0}"#,
            r#"{"partition":0,"value":1,"value_hex":"31"}"#,
            r#"{"partition":0,"value_hex":"3"}"#,
            r#"{"partition":0,"value_hex":"+1"}"#,
            r#"{"partition":0,"key":"a","key_hex":"61","value":1}"#,
        ] {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_header_of_another_format_or_version_is_refused() {
        let (mut lines, mut seal) = (Vec::new(), Seal::default());
        Header::new(2, "murmur2".to_owned(), vec![None, None]).write(&mut lines, &mut seal);
        assert!(lines.starts_with(BEGINNING));
        let text = String::from_utf8(lines).expect("text");
        assert!(Header::read(text.as_bytes()).is_ok());
        for (from, to, said) in [
            ("retell log", "others", "is no copy of a log"),
            (r#""version":1"#, r#""version":2"#, "version 2 of the format"),
            (r#""partitions":2"#, r#""partitions":3"#, "how many partitions"),
        ] {
            let error = Header::read(text.replace(from, to).as_bytes()).err();
            assert!(error.is_some_and(|error| error.contains(said)), "{said}");
        }
    }
}
