//! The most records that a replay reads in a second, over all partitions and projections.
//!
//! A record is paid for before it is folded: at no moment have more been folded than the time
//! since the beginning allows.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Records are let through in pieces of this much time, so that no second has a burst.
const PIECE: Duration = Duration::from_millis(20);

/// Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    per_second: NonZeroU32,
    /// When the next record may be folded.
    next: Arc<Mutex<Option<Instant>>>,
}

impl Rate {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, next: Arc::default() }
    }

    /// How many records to let through at once.
    pub(super) fn piece(&self) -> usize {
        let millis = u64::try_from(PIECE.as_millis()).unwrap_or(1);
        let records = u64::from(self.per_second.get()) * millis / 1_000;
        usize::try_from(records).unwrap_or(usize::MAX).max(1)
    }

    /// Returns when so many more may be folded.
    pub(super) async fn pay(&self, records: usize) {
        let cost = Duration::from_secs(records as u64) / self.per_second.get();
        let paid = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let paid = next.map_or(now, |next| next.max(now)) + cost;
            *next = Some(paid);
            paid
        };
        sleep_until(paid).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_second).expect("not 0"))
    }

    #[tokio::test(start_paused = true)]
    async fn partitions_that_share_a_rate_are_together_as_fast_as_it_says() {
        let (rate, begun) = (rate(1_000), Instant::now());
        let partition = || async {
            for _ in 0..50 {
                rate.pay(rate.piece()).await;
            }
        };
        tokio::join!(partition(), partition(), partition(), partition());
        let records = 4 * 50 * rate.piece();
        assert_eq!(begun.elapsed().as_millis(), records as u128);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_is_not_saved_for_later() {
        let (rate, begun) = (rate(10), Instant::now());
        rate.pay(1).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        rate.pay(5).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(100 + 60_000 + 500));
    }

    #[test]
    fn the_slowest_rate_lets_records_through_one_by_one() {
        assert_eq!((rate(1).piece(), rate(100_000).piece()), (1, 2_000));
    }
}
