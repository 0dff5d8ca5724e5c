//! `traces`: the records of every correlation, causation and command, as long as they are kept.
//!
//! Only records that name a correlation or a cause are in it: others belong to nothing. What is
//! kept ends by the store's expiry; what had ended before a replay is not built again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contract::{Key, Name, Offset, Partition, Recorded, Sources, Time};
use crate::log::Partitions;
use crate::ports::Clock;

use super::any_projection::{AnyProjection, LinkSlot, Slot};
use super::status::ViewKind;

/// The longest id that is traced, in bytes: that of a header.
const ID_LEN_MAX: usize = 255;

/// The projection `traces`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use retell::adapters::SystemClock;
/// use retell::read::{AnyProjection, Traces};
///
/// let day = Duration::from_secs(86_400);
/// let traces = Traces::new(vec!["light"], day, 1_000, Arc::new(SystemClock));
/// assert_eq!(traces.name().as_str(), Traces::NAME);
/// assert!(traces.reads_records());
/// ```
pub struct Traces {
    name: Name,
    types: Vec<&'static str>,
    keep_ms: i64,
    records_max: usize,
    clock: Arc<dyn Clock>,
}

/// What a trace is asked for by.
///
/// ```
/// use std::time::Duration;
///
/// use retell::events::{CommandId, Metadata};
/// use retell::{app::App, read::TraceBy, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let metadata = Metadata { causation_id: Some("switch-7".to_owned()), ..Metadata::default() };
/// let command_id = Some(CommandId::from_client("order-1")?);
/// let options = SendOptions { command_id, metadata, ..SendOptions::default() };
/// let done = app.commands().send::<Light>("hall", LightCommand::SwitchOn {}, options).await?;
/// let (after, wait) = (done.position.into(), Duration::from_secs(5));
/// for (by, id) in [(TraceBy::Causation, "switch-7"), (TraceBy::Command, "order-1")] {
///     assert_eq!(app.views().trace(by, id, 10, &after, wait).await?.records.len(), 1);
/// }
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TraceBy {
    /// The correlation id that the records share.
    Correlation,
    /// The id of what caused them: of a command or of an event.
    Causation,
    /// The id of the command that they are of.
    Command,
}

/// One partition's part of a trace.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Trace {
    /// Where its records are, the first ones of all.
    pub(super) offsets: Vec<Offset>,
    /// How many came after them.
    pub(super) more: u64,
    /// When the last one was decided.
    last: Time,
}

impl Traces {
    /// The name under which it is known.
    pub const NAME: &'static str = "traces";

    /// Keeps traces for so long, and so many records of each in a partition, in a binary that has
    /// these aggregate types.
    #[must_use]
    pub fn new(
        types: Vec<&'static str>,
        keep: Duration,
        records_max: usize,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let name = Name::new(Self::NAME).expect("a name");
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        Self { name, types, keep_ms, records_max, clock }
    }

    /// How long something of this time is still kept; nothing when it has ended.
    fn left(&self, last: Time) -> Duration {
        Duration::from_millis(self.end_of(last).millis_since(self.clock.now()))
    }

    const fn end_of(&self, last: Time) -> Time {
        Time::from_millis(last.millis().saturating_add(self.keep_ms))
    }
}

/// The key of a trace: `correlation:order-7`.
pub(super) fn trace_key(by: TraceBy, id: &str) -> String {
    let by = match by {
        TraceBy::Correlation => "correlation",
        TraceBy::Causation => "causation",
        TraceBy::Command => "command",
    };
    [by, ":", id].concat()
}

impl AnyProjection for Traces {
    fn name(&self) -> Name {
        self.name
    }

    fn revision(&self) -> u32 {
        1
    }

    fn kind(&self) -> ViewKind {
        ViewKind::Records
    }

    fn schema(&self) -> Value {
        let number = json!({"type": "integer", "minimum": 0});
        let offsets = json!({"type": "array", "items": number});
        let time = json!({"type": "string", "format": "date-time"});
        json!({
            "type": "object",
            "properties": {"offsets": offsets, "more": number, "last": time},
            "required": ["offsets", "more", "last"],
        })
    }

    fn sources(&self) -> Sources {
        Sources::default()
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn knows(&self, aggregate_type: &str) -> bool {
        self.types.contains(&aggregate_type)
    }

    fn kept_for(&self, slot: &Slot) -> Option<Duration> {
        let trace = trace_in(slot).map(|trace| self.left(trace.last));
        Some(trace.unwrap_or_default())
    }

    fn partition_of(&self, _: &Key, _: Partitions) -> Option<Partition> {
        None
    }

    fn keys(&self, _: Option<&LinkSlot>, recorded: &Recorded<'_>) -> Option<Vec<Key>> {
        let (correlation, causation) = (recorded.correlation_id(), recorded.causation_id());
        let is_traced = correlation.or(causation).is_some();
        if !is_traced || self.left(recorded.time()).is_zero() {
            return Some(Vec::new());
        }
        let named = [
            (TraceBy::Correlation, correlation),
            (TraceBy::Causation, causation),
            (TraceBy::Command, Some(recorded.command_id())),
        ];
        let fits = |id: &&str| (1..=ID_LEN_MAX).contains(&id.len());
        let keys = named.iter().filter_map(|&(by, id)| Some((by, id.filter(fits)?)));
        Some(keys.map(|(by, id)| Key::known(&trace_key(by, id))).collect())
    }

    fn slot(&self, stored: Option<&[u8]>) -> Result<Slot, serde_json::Error> {
        let trace: Option<Trace> = stored.map(serde_json::from_slice).transpose()?;
        Ok(Box::new(trace))
    }

    fn fold(&self, slot: &mut Slot, _: &str, _: Option<&LinkSlot>, recorded: &Recorded<'_>) {
        let held: &mut Option<Trace> = slot.downcast_mut().expect("a slot of this projection's");
        let (offset, time) = (recorded.position().offset, recorded.time());
        // One that has ended is another one's: so it is when nothing of it was held.
        if held.as_ref().is_some_and(|trace| self.end_of(trace.last) < time) {
            *held = None;
        }
        let trace = held.get_or_insert_with(|| Trace { offsets: Vec::new(), more: 0, last: time });
        trace.last = trace.last.max(time);
        if trace.offsets.len() < self.records_max {
            trace.offsets.push(offset);
        } else {
            trace.more += 1;
        }
    }

    fn render(&self, slot: &Slot) -> Option<Bytes> {
        let trace = trace_in(slot).filter(|trace| !self.left(trace.last).is_zero())?;
        Some(serde_json::to_vec(trace).expect("a trace has string keys only").into())
    }

    fn merge(&self, parts: Vec<Bytes>) -> Result<Bytes, serde_json::Error> {
        Ok(parts.into_iter().next().unwrap_or_default())
    }
}

fn trace_in(slot: &Slot) -> Option<&Trace> {
    let trace: &Option<Trace> = slot.downcast_ref().expect("a slot of this projection's");
    trace.as_ref()
}
