//! The newest records of one partition, for all event streams of a process together.
//!
//! Invariant: what is held are all records that the log has from `first` to `next`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::contract::Offset;
use crate::ports::LogRecord;

use super::super::feed::Fed;

/// Bytes that are held at most, about; the last chunk is held whatever it weighs.
const BYTES_MAX: usize = 1 << 20;

/// Those of one partition, from when somebody began to listen.
pub(super) struct Recent {
    first: Offset,
    next: Offset,
    chunks: VecDeque<Arc<Fed>>,
    bytes: usize,
}

/// What comes at a place and after it.
pub(super) enum Since {
    /// Records, some of which may be before it.
    Records(Arc<Fed>),
    /// Nothing yet.
    Nothing,
    /// What is not held (any more), up to here: the log has it.
    Missed(Offset),
}

impl Recent {
    pub(super) fn from(next: Offset) -> Self {
        Self { first: next, next, chunks: VecDeque::new(), bytes: 0 }
    }

    /// Takes what was appended; says where that ends.
    pub(super) fn push(&mut self, fed: Arc<Fed>) -> Offset {
        let last = fed.records.last().map(|last| last.offset.next());
        if let Some(next) = last.filter(|next| *next > self.next) {
            self.next = next;
            self.bytes += weight(&fed);
            self.chunks.push_back(fed);
        }
        while self.bytes > BYTES_MAX && self.chunks.len() > 1 {
            let Some(gone) = self.chunks.pop_front() else { break };
            self.bytes -= weight(&gone);
            self.first = end(&gone);
        }
        self.next
    }

    pub(super) fn since(&self, from: Offset) -> Since {
        if from < self.first {
            return Since::Missed(self.next);
        }
        let at = self.chunks.partition_point(|chunk| end(chunk) <= from);
        self.chunks.get(at).map_or(Since::Nothing, |chunk| Since::Records(chunk.clone()))
    }
}

fn end(chunk: &Fed) -> Offset {
    chunk.records.last().map_or(Offset(0), |last| last.offset.next())
}

/// Its bytes, with a few for what is around them.
fn weight(chunk: &Fed) -> usize {
    const FRAME_LEN: usize = 100;
    let len = |record: &LogRecord| {
        FRAME_LEN + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.len()
    };
    chunk.records.iter().map(len).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::contract::Time;
    use crate::log::{Stamp, Term};

    fn chunk(offsets: &[u64], len: usize) -> Arc<Fed> {
        let record = |&offset: &u64| LogRecord {
            offset: Offset(offset),
            time: Time::default(),
            key: None,
            stamp: Stamp::Claim { term: Term(1) },
            value: Bytes::from(vec![0; len]),
        };
        Arc::new(Fed { records: offsets.iter().map(record).collect(), at_end: true })
    }

    fn since(recent: &Recent, from: u64) -> Result<Vec<u64>, u64> {
        match recent.since(Offset(from)) {
            Since::Records(fed) => {
                Ok(fed.since(Offset(from)).iter().map(|record| record.offset.0).collect())
            }
            Since::Nothing => Ok(Vec::new()),
            Since::Missed(to) => Err(to.0),
        }
    }

    #[test]
    fn who_is_at_a_place_gets_every_record_from_there_on() {
        let mut recent = Recent::from(Offset(5));
        assert_eq!(recent.push(chunk(&[4, 5, 7], 1)), Offset(8));
        assert_eq!(recent.push(chunk(&[], 1)), Offset(8));
        assert_eq!(recent.push(chunk(&[9, 12], 1)), Offset(13));
        assert_eq!(since(&recent, 5), Ok(vec![5, 7]));
        assert_eq!(since(&recent, 6), Ok(vec![7]));
        assert_eq!(since(&recent, 8), Ok(vec![9, 12]));
        assert_eq!(since(&recent, 13), Ok(vec![]));
        assert_eq!(since(&recent, 20), Ok(vec![]), "it comes");
        assert_eq!(since(&recent, 4), Err(13), "from before somebody listened");
    }

    #[test]
    fn what_is_too_much_is_forgotten_and_said_to_be_missed() {
        let mut recent = Recent::from(Offset(0));
        for offset in 0..10 {
            recent.push(chunk(&[offset], BYTES_MAX / 4));
            assert!(recent.bytes <= BYTES_MAX, "{}", recent.bytes);
        }
        assert_eq!(since(&recent, 3), Err(10));
        assert_eq!(since(&recent, 9), Ok(vec![9]));
        recent.push(chunk(&[10, 11], BYTES_MAX));
        assert_eq!(since(&recent, 10), Ok(vec![10, 11]), "the last chunk is held");
        assert_eq!(since(&recent, 9), Err(12));
    }
}
