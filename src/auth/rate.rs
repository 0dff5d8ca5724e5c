//! How often a caller may ask: a bucket that fills at a rate, and from which each request takes.
//!
//! A caller's bucket is kept by name, so that more keys or tokens give no more turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::RateConfig;

/// When so many callers have a bucket, those that nobody holds are dropped.
const SWEEP_LEN: usize = 1_024;

/// The buckets of all callers.
#[derive(Debug)]
pub(super) struct Rates {
    config: RateConfig,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    burst: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    turns: f64,
    at: Instant,
}

impl Rates {
    pub(super) fn new(config: RateConfig) -> Self {
        Self { config, buckets: Mutex::default() }
    }

    /// The bucket of a caller; none where there is no limit.
    pub(super) fn of(&self, name: &str) -> Option<Arc<Bucket>> {
        let per_second = self.config.requests_per_second_max;
        if per_second == 0 {
            return None;
        }
        let mut buckets = self.buckets.lock().expect("no panic while it is held");
        if let Some(bucket) = buckets.get(name) {
            return Some(bucket.clone());
        }
        if buckets.len() >= SWEEP_LEN {
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1);
        }
        let bucket =
            Arc::new(Bucket::new(per_second.into(), self.config.burst_requests_max.into()));
        buckets.insert(name.to_owned(), bucket.clone());
        Some(bucket)
    }
}

impl Bucket {
    fn new(per_second: f64, burst: f64) -> Self {
        let level = Mutex::new(Level { turns: burst, at: Instant::now() });
        Self { per_second, burst, level }
    }

    /// One turn, or how long it takes until there is one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        let mut level = self.level.lock().expect("no panic while it is held");
        let now = Instant::now();
        let grown = now.duration_since(level.at).as_secs_f64() * self.per_second;
        (level.turns, level.at) = ((level.turns + grown).min(self.burst), now);
        if level.turns < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - level.turns) / self.per_second));
        }
        level.turns -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_and_then_a_turn_at_a_time() {
        let bucket = Bucket::new(10.0, 3.0);
        for _ in 0..3 {
            bucket.take().expect("the burst");
        }
        let wait = bucket.take().expect_err("empty");
        assert!(wait > Duration::from_millis(90) && wait <= Duration::from_millis(100));
        tokio::time::advance(wait + Duration::from_millis(1)).await;
        bucket.take().expect("one more");
        bucket.take().expect_err("only one");
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!((0..9).filter(|_| bucket.take().is_ok()).count(), 3, "never more than a burst");
    }
}
