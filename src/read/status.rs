//! What the read loop says about itself: for `GET /projections`, readiness and status.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{Offset, Partition, Time};

use super::sample::Sampled;

/// A projection, and where it stands.
///
/// ```
/// use retell::{app::App, read::ViewKind};
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let all = app.views().list();
/// let lights = all.iter().find(|it| it.name == "lights").expect("it is one of them");
/// assert_eq!((lights.revision, &lights.keyed_by), (1, &ViewKind::Aggregate("light")));
/// assert!(lights.generation.is_some() && !lights.paused);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ProjectionInfo {
    /// Its name.
    pub name: &'static str,
    /// Its revision.
    pub revision: u32,
    /// The generation that queries read; none before the first is built.
    pub generation: Option<Uuid>,
    /// The aggregate type whose ids are its keys, or that it is merged.
    pub keyed_by: ViewKind,
    /// The fields of each index by which its views are listed.
    #[serde(skip)]
    pub indexes: Vec<Vec<&'static str>>,
    /// The JSON Schema of its views.
    #[serde(skip)]
    pub schema: Value,
    /// Whether it is not folded: by `read.paused` on this node, or by an operator on all.
    pub paused: bool,
    /// Why this node builds no generation: a newer binary wrote what this one cannot read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_events: Option<String>,
    /// Why this node builds no generation: too many aggregates would be parked in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_many_parked: Option<String>,
    /// What samples of its views, compared with the log, have shown.
    pub sampled: Sampled,
    /// Where each partition of the live generation stands.
    #[serde(skip)]
    pub partitions: Vec<LaneStatus>,
}

/// What the keys of a projection are.
///
/// ```
/// use retell::read::ViewKind;
/// use serde_json::json;
///
/// let kinds = [ViewKind::Aggregate("light"), ViewKind::Merged];
/// assert_eq!(serde_json::to_value(kinds)?, json!([{"aggregate": "light"}, "merged"]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewKind {
    /// The ids of this aggregate type.
    Aggregate(&'static str),
    /// Any keys, their parts merged over the partitions.
    Merged,
    /// Retell's own, over the records of every aggregate.
    Records,
}

/// Where one partition of one generation stands.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Offset, Partition, Time, read::{LaneState, LaneStatus}};
///
/// let (partition, time) = (Partition(5), Some(Time::from_millis(1_000)));
/// let (next, state) = (Offset(1234), LaneState::Following);
/// let lane = LaneStatus { partition, next, lag: 2, state, time, parked: 0 };
/// assert_eq!(lane.lag_time(Time::from_millis(1_500)), Duration::from_millis(500));
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LaneStatus {
    /// The partition.
    pub partition: Partition,
    /// The offset after the last record that is in the views.
    pub next: Offset,
    /// Records between that and the log's end, as far as it is known.
    pub lag: u64,
    /// What it is doing.
    #[serde(flatten)]
    pub state: LaneState,
    /// The time of the last record that is in the views, by the log's clock.
    pub time: Option<Time>,
    /// Aggregates that are held back, without those that were given up.
    pub parked: usize,
}

impl LaneStatus {
    /// How far behind it is, in time: the age of the last record that is in the views, by this
    /// node's clock and the log's; nothing where no record is missing.
    #[must_use]
    pub fn lag_time(&self, now: Time) -> Duration {
        match self.time {
            Some(time) if self.lag > 0 => Duration::from_millis(now.millis_since(time)),
            _ => Duration::ZERO,
        }
    }
}

/// What a lane is doing.
///
/// ```
/// use retell::read::LaneState;
/// use serde_json::json;
///
/// let waiting = LaneState::Waiting { reason: "no broker answers".to_owned() };
/// let shown = json!({"state": "waiting", "reason": "no broker answers"});
/// assert_eq!(serde_json::to_value(waiting)?, shown);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LaneState {
    /// It was just started.
    #[default]
    Starting,
    /// It is building a generation from the beginning of the log.
    Building,
    /// It compares what it has built with what is live.
    Comparing,
    /// It has built and compared, and that was all.
    Built,
    /// It folds what is appended.
    Following,
    /// Another runner commits to its space; it waits in case that one stops.
    StandingBy,
    /// It may not run on this node, by the settings or an operator.
    Paused,
    /// The log or the store does not answer.
    Waiting {
        /// What it said last.
        reason: String,
    },
    /// A newer binary wrote what this one cannot read.
    NewerEvents {
        /// Which record, and what is newer.
        detail: String,
    },
    /// One more aggregate would have to be parked than may be.
    TooManyParked {
        /// Which, and why.
        detail: String,
    },
    /// Its space was lost; a replay builds another.
    Lost,
}

impl LaneState {
    /// Why it does not go on, if it says.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Waiting { reason: detail }
            | Self::NewerEvents { detail }
            | Self::TooManyParked { detail } => detail,
            Self::Starting
            | Self::Building
            | Self::Comparing
            | Self::Built
            | Self::Following
            | Self::StandingBy
            | Self::Paused
            | Self::Lost => "",
        }
    }
}
