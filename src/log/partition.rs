//! Which partition an aggregate lives in.
//!
//! Computed here, never by a client library: librdkafka's default is not Java's, and a record in
//! another partition would be another history.

use crate::contract::Partition;

/// The name of the hash, as it stands in claims.
pub const PARTITION_HASH: &str = "murmur2";

/// How many partitions a log has, fixed when the log is made.
///
/// ```
/// use retell::{Partition, log::Partitions};
///
/// let partitions = Partitions::new(16).expect("at least one");
/// assert_eq!(partitions.of("account/ann"), Partition(13));
/// assert_eq!(partitions.iter().last(), Some(Partition(15)));
/// assert_eq!(Partitions::new(0), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Partitions(u32);

impl Partitions {
    /// A count of at least 1.
    #[must_use]
    pub const fn new(count: u32) -> Option<Self> {
        if count == 0 { None } else { Some(Self(count)) }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0
    }

    /// Each of them.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Partition> + Clone {
        (0..self.0).map(Partition)
    }

    /// The partition of this routing text: `TYPE/ID`, or what the aggregate names instead.
    #[must_use]
    pub fn of(self, partition_by: &str) -> Partition {
        Partition((murmur2(partition_by.as_bytes()) & 0x7fff_ffff) % self.0)
    }
}

/// Kafka's murmur2, with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ u32::try_from(bytes.len()).expect("a routing text is short");
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        for (at, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own unit test of `Utils.murmur2` lists.
    #[test]
    fn the_hash_is_kafkas() {
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn aggregates_spread_over_all_partitions() {
        let partitions = Partitions::new(16).expect("16");
        let mut seen = [0_u32; 16];
        for i in 0..1_600 {
            seen[partitions.of(&format!("account/a{i}")).0 as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (50..=200).contains(&count)), "{seen:?}");
    }
}
