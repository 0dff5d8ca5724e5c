//! A filter: whether a key may be among many, in three bytes a key.
//!
//! A split block Bloom filter, as Parquet has it: each key sets eight bits of one block of 32
//! bytes, so that asking touches one line of the processor's cache. What was added is always found;
//! of what was not, about one in 6,000.

use super::outcomes::IdHash;

/// Bits for each key: with 24 of them one stranger in 6,000 is taken for one of the keys.
const BITS_PER_KEY: usize = 24;
const BLOCK_BITS: usize = 256;

/// Odd numbers that spread a hash over the eight words of a block; those of Parquet.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

type Block = [u32; 8];

/// A filter over a number of keys that was known before.
pub(super) struct Filter(Vec<Block>);

/// The bits of one key, the same in every filter.
#[derive(Clone, Copy)]
pub(super) struct Bits(Block);

impl Bits {
    pub(super) fn of(hash: IdHash) -> Self {
        // The upper half of the hash chooses the block.
        let low = u32::try_from(hash.0 & 0xffff_ffff).expect("32 bits");
        Self(SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27)))
    }
}

impl Filter {
    /// A filter with room for so many keys.
    pub(super) fn new(keys: usize) -> Self {
        Self(vec![[0; 8]; (keys * BITS_PER_KEY).div_ceil(BLOCK_BITS).max(1)])
    }

    pub(super) fn add(&mut self, hash: IdHash) {
        let at = share_of(hash, self.0.len());
        self.0[at].iter_mut().zip(Bits::of(hash).0).for_each(|(word, bit)| *word |= bit);
    }

    /// Whether the key, of which these are the bits, may be among them.
    pub(super) fn may_have(&self, hash: IdHash, bits: Bits) -> bool {
        let block = &self.0[share_of(hash, self.0.len())];
        let missing =
            block.iter().zip(bits.0).fold(0, |missing, (word, bit)| missing | bit & !word);
        missing == 0
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// `None` when these are the bytes of no filter.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (blocks, rest) = bytes.as_chunks::<32>();
        let word = |block: &[u8; 32], at: usize| {
            u32::from_le_bytes(*block[4 * at..].first_chunk().expect("four bytes of 32"))
        };
        let block = |block| std::array::from_fn(|at| word(block, at));
        let is_one = rest.is_empty() && !blocks.is_empty();
        is_one.then(|| Self(blocks.iter().map(block).collect()))
    }
}

/// Spreads hashes evenly over `shares`, in the order of the hashes.
pub(super) fn share_of(hash: IdHash, shares: usize) -> usize {
    let share = (u128::from(hash.0) * shares as u128) >> 64;
    usize::try_from(share).expect("less than `shares`")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes as SHA-256 gives them.
    fn hash(number: u64) -> IdHash {
        let target = crate::contract::Target::parse(b"account/ann").expect("a target");
        IdHash::of(&target, &number.to_string())
    }

    #[test]
    fn what_was_added_is_found_and_almost_nothing_else() {
        for keys in [0, 1, 500, 100_000] {
            let mut filter = Filter::new(usize::try_from(keys).expect("few"));
            (0..keys).for_each(|number| filter.add(hash(number)));
            let filter = Filter::from_bytes(&filter.to_bytes()).expect("its bytes");
            let has = |number| filter.may_have(hash(number), Bits::of(hash(number)));
            assert!((0..keys).all(has), "{keys}");
            let strangers = (keys..keys + 100_000).filter(|number| has(*number)).count();
            assert!(strangers <= 60, "{strangers} of 100,000 beside {keys}");
        }
    }

    /// L8: what a key costs.
    #[test]
    fn a_key_takes_three_bytes() {
        assert_eq!(Filter::new(1_000_000).to_bytes().len(), 3_000_000);
    }

    #[test]
    fn bytes_that_are_no_filter_are_refused() {
        for len in [0, 1, 31, 33] {
            assert!(Filter::from_bytes(&vec![0; len]).is_none(), "{len}");
        }
    }
}
