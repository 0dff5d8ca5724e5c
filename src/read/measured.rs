//! What the read loop counts, by projection: how long its commits take and how large they are, and
//! how often a query did not have to ask the store.

use crate::measure::{Counter, Distribution, Histogram};

use super::queries::Views;

/// The numbers of all lanes of one projection.
#[derive(Debug)]
pub(super) struct ProjectionMeasures {
    pub(super) commits: Histogram,
    pub(super) changes: Histogram,
    pub(super) hits: Counter,
    pub(super) misses: Counter,
}

/// What was counted of one projection.
///
/// ```
/// use retell::{app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// app.view::<Lights>("hall", done.position).await?;
/// let mut measured = app.views().measured();
/// let lights = measured.find(|it| it.projection == "lights").expect("it is one of them");
/// assert!(lights.hits + lights.misses > 0, "the view was looked for");
/// # drop(measured);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MeasuredProjection {
    /// Its name.
    pub projection: &'static str,
    /// How long commits took, in microseconds.
    pub commits: Distribution,
    /// The changes of each commit.
    pub changes: Distribution,
    /// Views that queries found in memory.
    pub hits: u64,
    /// Views for which they asked the store.
    pub misses: u64,
}

impl Default for ProjectionMeasures {
    fn default() -> Self {
        Self {
            commits: Histogram::of_durations(),
            changes: Histogram::of_sizes(),
            hits: Counter::default(),
            misses: Counter::default(),
        }
    }
}

impl Views {
    /// What was counted, by projection.
    pub fn measured(&self) -> impl Iterator<Item = MeasuredProjection> {
        self.0.entries.iter().map(|(projection, entry)| {
            let ProjectionMeasures { commits, changes, hits, misses } = entry.measures.as_ref();
            MeasuredProjection {
                projection,
                commits: commits.read(),
                changes: changes.read(),
                hits: hits.get(),
                misses: misses.get(),
            }
        })
    }
}
