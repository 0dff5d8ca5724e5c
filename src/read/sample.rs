//! A part of all views that is verified by itself, all the time, one part after the other.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Time;

use super::comparison::{Compared, Difference};

/// One of so many parts of all views, chosen by their keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sample {
    parts: u64,
    part: u64,
}

/// What samples of a projection have shown since the process started.
///
/// ```
/// use retell::app::App;
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// for projection in app.views().list() {
///     assert_eq!(projection.sampled.differences, 0, "{}", projection.name);
/// }
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Sampled {
    /// Samples that were compared.
    pub samples: u64,
    /// Views in them.
    pub views: u64,
    /// Those that differ; one that stays so is counted in each of its samples.
    pub differences: u64,
    /// The last of them.
    pub difference: Option<Arc<Difference>>,
    /// When the last sample was compared.
    pub last_at: Option<Time>,
}

impl Sample {
    /// The sample after so many others, each of about so many percent of all views.
    pub(super) fn after(samples: u64, percent: u32) -> Self {
        let parts = (100 / u64::from(percent.clamp(1, 100))).max(1);
        Self { parts, part: samples % parts }
    }

    /// Whether the view under this key is in it.
    pub(super) fn has(&self, key: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish() % self.parts == self.part
    }
}

impl Sampled {
    pub(super) fn count(&mut self, compared: Compared, now: Time) {
        self.samples += 1;
        self.views += compared.views;
        self.differences += compared.differences;
        self.difference = compared.first.or(self.difference.take());
        self.last_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_in_one_of_all_samples() {
        for percent in [1, 7, 30, 100] {
            let count = u64::from(100 / percent);
            for key in ["ann", "bob", "o1", ""] {
                let having = (0..count).filter(|&at| Sample::after(at, percent).has(key));
                assert_eq!(having.count(), 1, "{key} of {count}");
            }
            assert_eq!(Sample::after(count, percent), Sample::after(0, percent));
        }
    }
}
