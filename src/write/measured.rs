//! What the write loop counts: how long commands take and what becomes of them, by aggregate type,
//! and how long the log takes for a record.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::contract::Partition;
use crate::measure::{Counter, Distribution, Histogram};

use super::done::Done;
use super::failure::{CommandError, Failure};
use super::handle::Commands;
use super::kind::Kinds;
use super::ticket::Answer;

/// The numbers of all writers of a process.
#[derive(Debug)]
pub(super) struct WriteMeasures {
    /// By the name of the aggregate type: there is one for each, and no more.
    commands: BTreeMap<&'static str, CommandMeasures>,
    /// From when a record is handed to the log to when the log has proved it.
    pub(super) appends: Histogram,
    /// Key and value of a record.
    pub(super) record_bytes: Histogram,
}

#[derive(Debug)]
struct CommandMeasures {
    durations: Histogram,
    outcomes: [Counter; OUTCOMES.len()],
}

/// What becomes of a command, as it is counted.
const OUTCOMES: [&str; 8] =
    ["done", "replayed", "refused", "conflict", "invalid", "unavailable", "unknown", "failed"];

/// What was counted of the commands of one aggregate type.
///
/// ```
/// use retell::{app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let lights = app.commands().measured().next().expect("there is one type");
/// assert_eq!(lights.aggregate, "light");
/// assert!(lights.outcomes.contains(&("done", 1)) && lights.outcomes.contains(&("refused", 0)));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MeasuredCommands {
    /// The name of the type.
    pub aggregate: &'static str,
    /// How long they took, in microseconds, whatever became of them.
    pub durations: Distribution,
    /// How many had each outcome.
    pub outcomes: Vec<(&'static str, u64)>,
}

/// What was counted of records.
///
/// ```
/// use retell::{app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let measured = app.commands().measured_appends();
/// assert_eq!(measured.bytes.counts.iter().sum::<u64>(), 1, "one record was appended");
/// assert!(measured.bytes.sum > "light/hall".len() as u64);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MeasuredAppends {
    /// How long the log took for each, in microseconds.
    pub durations: Distribution,
    /// Bytes of key and value of each.
    pub bytes: Distribution,
}

impl WriteMeasures {
    pub(super) fn of(kinds: &Kinds) -> Self {
        let new = || CommandMeasures {
            durations: Histogram::of_durations(),
            outcomes: std::array::from_fn(|_| Counter::default()),
        };
        Self {
            commands: kinds.iter().map(|kind| (kind.name().as_str(), new())).collect(),
            appends: Histogram::of_durations(),
            record_bytes: Histogram::of_sizes(),
        }
    }

    /// A command that began then has this answer. One for no type that there is has no place here.
    pub(super) fn command(&self, aggregate: &str, begun: Instant, answer: &Answer) {
        if let Some(measures) = self.commands.get(aggregate) {
            measures.durations.duration(begun.elapsed());
            let outcome = outcome(answer);
            let at = OUTCOMES.iter().position(|known| *known == outcome);
            measures.outcomes[at.expect("every outcome has a counter")].count();
        }
    }
}

impl Commands {
    /// What was counted of commands, by aggregate type.
    pub fn measured(&self) -> impl Iterator<Item = MeasuredCommands> {
        self.measures().commands.iter().map(|(aggregate, measures)| MeasuredCommands {
            aggregate,
            durations: measures.durations.read(),
            outcomes: OUTCOMES
                .into_iter()
                .zip(measures.outcomes.iter().map(Counter::get))
                .collect(),
        })
    }

    /// What was counted of records.
    #[must_use]
    pub fn measured_appends(&self) -> MeasuredAppends {
        let measures = self.measures();
        MeasuredAppends { durations: measures.appends.read(), bytes: measures.record_bytes.read() }
    }

    /// How many commands wait for each partition's writer.
    pub fn queued(&self) -> impl Iterator<Item = (Partition, usize)> {
        self.queues().enumerate().map(|(at, queue)| {
            let partition = Partition(u32::try_from(at).expect("partitions have numbers"));
            (partition, queue.len())
        })
    }
}

fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Ok(Done { replayed: false, .. }) => "done",
        Ok(Done { replayed: true, .. }) | Err(CommandError::RefusedBefore { .. }) => "replayed",
        Err(CommandError::Refused { .. }) => "refused",
        Err(CommandError::Failed(failure)) => match failure {
            Failure::VersionDiffers { .. } | Failure::InFlight => "conflict",
            Failure::UnknownAggregate(_)
            | Failure::BadId(_)
            | Failure::BadCommand(_)
            | Failure::KeyReused
            | Failure::NoOutcome
            | Failure::EventsTooLarge { .. } => "invalid",
            Failure::SearchTimeout
            | Failure::OutOfTurn
            | Failure::QueueFull { .. }
            | Failure::CacheFull { .. }
            | Failure::StateUnavailable(_)
            | Failure::KeysFull { .. }
            | Failure::NoOwner { .. }
            | Failure::LogUnavailable(_)
            | Failure::DecideTimeout(_)
            | Failure::ShuttingDown => "unavailable",
            Failure::OutcomeUnknown => "unknown",
            Failure::HistoryUnreadable { .. } | Failure::Bug(_) => "failed",
        },
    }
}
