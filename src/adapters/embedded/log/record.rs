//! The stored form of a record. It is frozen: every version ever written must be read for ever.
//!
//! ```text
//! 0        1      2         10        18         26           30
//! +--------+------+---------+---------+----------+------------+-----+-------+
//! | format | kind | time ms |  term   |  chain   | key length | key | value |
//! +--------+------+---------+---------+----------+------------+-----+-------+
//! ```
//! Numbers are big-endian. The offset is the key in the keyspace of the partition.

use bytes::Bytes;

use crate::contract::{Offset, Time};
use crate::log::{Chain, Stamp, Term};
use crate::ports::{LogRecord, NewRecord};

const FORMAT: u8 = 1;

const FOREIGN: u8 = 0;
const COMMIT: u8 = 1;
const CLAIM: u8 = 2;

const TIME_AT: usize = 2;
const TERM_AT: usize = 10;
const CHAIN_AT: usize = 18;
const KEY_LEN_AT: usize = 26;
const HEADER_LEN: usize = 30;

/// The key length of a record that has no key; a key is never that long.
const NO_KEY: u32 = u32::MAX;

/// Bytes that are no record of this or an older version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    /// A newer binary wrote it.
    #[error("its format is {0}, this binary knows format {FORMAT}")]
    Format(u8),
    /// Nobody wrote it so.
    #[error("it is cut off or overwritten")]
    Torn,
}

/// The stored form of a record, still without the time, which is known when it is written.
pub(super) fn encode(record: &NewRecord<'_>) -> Vec<u8> {
    let key = record.key.unwrap_or_default();
    let (kind, term, chain) = match record.stamp {
        Stamp::Commit { term, chain } => (COMMIT, term.0, chain.0),
        Stamp::Claim { term } => (CLAIM, term.0, 0),
        Stamp::Foreign(_) => (FOREIGN, 0, 0),
    };
    let key_len = record.key.map_or(NO_KEY, |key| {
        u32::try_from(key.len()).expect("the appender took it, so it is shorter than a record")
    });
    let mut bytes = Vec::with_capacity(HEADER_LEN + key.len() + record.value.len());
    bytes.extend([FORMAT, kind]);
    bytes.extend([0; TERM_AT - TIME_AT]);
    bytes.extend(term.to_be_bytes());
    bytes.extend(chain.to_be_bytes());
    bytes.extend(key_len.to_be_bytes());
    bytes.extend(key);
    bytes.extend(record.value);
    bytes
}

/// Sets the time of an encoded record.
pub(super) fn set_time(encoded: &mut [u8], time: Time) {
    encoded[TIME_AT..TERM_AT].copy_from_slice(&time.millis().to_be_bytes());
}

/// The time of a stored record.
pub(super) fn time_of(stored: &[u8]) -> Result<Time, Unreadable> {
    check(stored)?;
    Ok(Time::from_millis(i64::from_be_bytes(number(stored, TIME_AT))))
}

/// Reads a stored record; key and value share its bytes.
pub(super) fn decode(offset: Offset, stored: &Bytes) -> Result<LogRecord, Unreadable> {
    let time = time_of(stored)?;
    let term = Term(u64::from_be_bytes(number(stored, TERM_AT)));
    let chain = Chain(u64::from_be_bytes(number(stored, CHAIN_AT)));
    let stamp = match stored[1] {
        COMMIT => Stamp::Commit { term, chain },
        CLAIM => Stamp::Claim { term },
        FOREIGN => Stamp::parse(std::iter::empty()),
        _ => return Err(Unreadable::Torn),
    };
    let (key, value_at) = match u32::from_be_bytes(number(stored, KEY_LEN_AT)) {
        NO_KEY => (None, HEADER_LEN),
        len => {
            let end = HEADER_LEN + len as usize;
            if end > stored.len() {
                return Err(Unreadable::Torn);
            }
            (Some(stored.slice(HEADER_LEN..end)), end)
        }
    };
    Ok(LogRecord { offset, time, key, stamp, value: stored.slice(value_at..) })
}

fn check(stored: &[u8]) -> Result<(), Unreadable> {
    match stored.first() {
        Some(&FORMAT) if stored.len() >= HEADER_LEN => Ok(()),
        Some(&format) if format != FORMAT => Err(Unreadable::Format(format)),
        _ => Err(Unreadable::Torn),
    }
}

/// `N` bytes of a header that was checked to be there.
fn number<const N: usize>(stored: &[u8], at: usize) -> [u8; N] {
    stored[at..at + N].try_into().expect("a slice of N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT_3: Stamp = Stamp::Commit { term: Term(3), chain: Chain(259) };

    fn stored(record: &NewRecord<'_>) -> Bytes {
        let mut bytes = encode(record);
        set_time(&mut bytes, Time::from_millis(1_795_341_600_007));
        bytes.into()
    }

    #[test]
    fn a_record_reads_back_byte_for_byte() {
        let stamps = [COMMIT_3, Stamp::Claim { term: Term(u64::MAX) }];
        for stamp in stamps {
            for key in [None, Some(&b""[..]), Some(&b"account/ann"[..])] {
                for value in [&b""[..], &b"{\"v\":1}"[..], &[0, 255, 10]] {
                    let bytes = stored(&NewRecord { key, stamp, value });
                    let record = decode(Offset(7), &bytes).expect("a record");
                    assert_eq!(record.key.as_deref(), key);
                    assert_eq!((record.stamp, &record.value[..]), (stamp, value));
                    assert_eq!(record.offset, Offset(7));
                    assert_eq!(record.time.millis(), 1_795_341_600_007);
                }
            }
        }
    }

    /// The bytes of format 1, as folders out there hold them.
    #[test]
    fn the_stored_form_never_changes() {
        let bytes = stored(&NewRecord { key: Some(b"a/b"), stamp: COMMIT_3, value: b"{}" });
        let sample = b"\x01\x01\x00\x00\x01\xa2\x02\xb2\xc5\x07\
            \x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x01\x03\x00\x00\x00\x03a/b{}";
        assert_eq!(bytes, &sample[..]);
    }

    #[test]
    fn bytes_that_are_no_record_are_told_apart_from_newer_ones() {
        let whole = stored(&NewRecord { key: Some(b"a/b"), stamp: COMMIT_3, value: b"" });
        for len in 0..whole.len() {
            assert_eq!(decode(Offset(0), &whole.slice(..len)), Err(Unreadable::Torn), "{len}");
        }
        let newer = Bytes::from([&[2], &whole[1..]].concat());
        assert_eq!(decode(Offset(0), &newer), Err(Unreadable::Format(2)));
        let no_kind = Bytes::from([&[1, 9], &whole[2..]].concat());
        assert_eq!(decode(Offset(0), &no_kind), Err(Unreadable::Torn));
    }
}
